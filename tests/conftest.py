"""Shared surroundings of the tests. TF_USE_LEGACY_KERAS must be set before anything imports TensorFlow."""

from __future__ import annotations

import gc
import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimizer.context import RunContext
from optimizer.measure import latency
from optimizer.runs.sandbox.policy import TRUST_VARIABLE
from optimizer.runs.sandbox.probe import missing_layers
from optimizer.sources.dataset import Dataset, PreparedData, Split, Task

# Tests make their own files: on a kernel without a layer of the sandbox, only the tests of the sandbox itself fail.
if missing_layers():
    os.environ[TRUST_VARIABLE] = "1"

# They kill processes and look who is left, hold time limits or measure time: `make test` runs them without others beside them.
ALONE = (
    "browser/",
    "live/",
    "measure/test_latency.py",
    "runs/faults/test_locked_database.py",
    "runs/faults/test_runner_faults.py",
    "runs/faults/test_training_jobs.py",
    "runs/test_command.py",
    "runs/test_runner.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs alone."""
    for item in items:
        if item.path.relative_to(Path(__file__).parent).as_posix().startswith(ALONE):
            item.add_marker("alone")


@pytest.fixture(scope="module", autouse=True)
def imports_out_of_sight() -> None:
    """The collector need not look again at what earlier modules imported: it took a third of a second each time that a run asked for it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def short_measurements() -> None:
    """Beside other tests no latency means anything: the least number of blocks is enough. Worker processes measure in full."""
    latency.SECONDS = 0.0


@pytest.fixture(scope="session")
def digits() -> PreparedData:
    """scikit-learn's digits, split by hand: 900 train, 100 calibration, 100 validation, 400 test."""
    from sklearn.datasets import load_digits

    raw = load_digits()
    order = np.random.default_rng(0).permutation(len(raw.images))
    x, y = (raw.images[order, ..., None] / 16).astype(np.float32), raw.target[order].astype(np.int64)
    parts = {
        name: Split(x=x[start:stop], y=y[start:stop])
        for name, start, stop in (("train", 0, 900), ("calibration", 900, 1000), ("validation", 1000, 1100), ("test", 1100, 1500))
    }
    dataset = Dataset(
        name="digits", sha256="0" * 64, kind="images", labels="class", class_names=tuple("0123456789"), notes=(), **parts
    )
    return PreparedData(
        dataset=dataset,
        task=Task.CLASSIFICATION,
        input_shape=(8, 8, 1),
        output_shape=(10,),
        input_dtype="float32",
        from_logits=False,
    )


@pytest.fixture(scope="session")
def digits_model(digits: PreparedData) -> Any:
    """A trained tf_keras.Model with the shapes of a small ResNet: convolutions, BatchNormalization, a depthwise layer, an addition."""
    import tensorflow as tf

    layers = tf.keras.layers
    tf.keras.utils.set_random_seed(0)
    inputs = layers.Input((8, 8, 1))
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="first")(inputs)
    x = layers.BatchNormalization(name="first_bn")(x)
    shortcut = x = layers.ReLU(name="first_relu")(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.BatchNormalization(name="depthwise_bn")(x)
    x = layers.ReLU(name="depthwise_relu")(x)
    x = layers.Conv2D(8, 1, name="second")(x)
    x = layers.BatchNormalization(name="second_bn")(x)
    x = layers.Add(name="add")([x, shortcut])
    x = layers.MaxPooling2D(name="pool")(layers.ReLU(name="add_relu")(x))
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(24, activation="relu", name="hidden")(x)
    model = tf.keras.Model(inputs, layers.Dense(10, activation="softmax", name="classes")(x))
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(digits.dataset.train.x, digits.dataset.train.y, epochs=12, batch_size=32, verbose=0)
    return model


@pytest.fixture
def context(digits: PreparedData, digits_model: Any, tmp_path: Path) -> RunContext:
    """A run on the digits with seed 0."""
    from optimizer.model import Model

    return RunContext(seed=0, data=digits, original=Model(keras=digits_model), work_folder=tmp_path)


@pytest.fixture(scope="session")
def digits_summary(digits_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The small ResNet as the preflight reads it from its file."""
    from optimizer.sources.preflight import read_model_summary

    path = tmp_path_factory.mktemp("model") / "digits.h5"
    digits_model.save(path, save_format="h5")
    return read_model_summary(path, name=path.name)


@pytest.fixture(scope="session")
def context_once(digits: PreparedData, digits_model: Any, tmp_path_factory: pytest.TempPathFactory) -> RunContext:
    """The context of fixtures that outlive a single test."""
    from optimizer.model import Model

    return RunContext(seed=0, data=digits, original=Model(keras=digits_model), work_folder=tmp_path_factory.mktemp("work"))
