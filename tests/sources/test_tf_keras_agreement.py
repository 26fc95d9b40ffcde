"""The preflight, which knows no TensorFlow, against tf-keras itself: shapes, parameters, weights, and what loads."""

from __future__ import annotations

import errno
import inspect
import io
import json
import shutil
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from optimizer.errors import InputError
from optimizer.job import DataSource
from optimizer.sources.keras_model import load_keras_model, load_our_own
from optimizer.sources.preflight import allowlist, read_model_summary
from optimizer.sources.readers import read_dataset
from optimizer.sources.summary import ModelSummary
from optimizer.surgery.flattening import flattened

MODEL_CLASSES = ("AbstractRNNCell", "InputSpec", "Layer", "Wrapper")
"""What tf_keras.layers exports beside layers that can be used as they are."""


@pytest.fixture(scope="module")
def keras() -> Any:
    import tf_keras

    return tf_keras


def read(model: Any, tmp_path: Path, suffix: str) -> ModelSummary:
    path = tmp_path / f"model{suffix}"
    model.save(path)
    return read_model_summary(path, name=path.name)


def test_every_ordinary_layer_is_on_the_allowlist(keras: Any) -> None:
    exported = {name for name, item in vars(keras.layers).items() if inspect.isclass(item)} - set(MODEL_CLASSES)
    assert exported - allowlist.LAYERS - set(allowlist.KERAS_2.refused) == set()


def test_every_allowed_name_exists(keras: Any) -> None:
    from tf_keras.src.applications import convnext, inception_resnet_v2

    extra = {"BatchNormalizationV1", "BatchNormalizationV2", "SyncBatchNormalization", "TFOpLambda", "SlicingOpLambda"}
    classes = (convnext.LayerScale, convnext.StochasticDepth, inception_resnet_v2.CustomScaleLayer)
    extra |= {cls.__name__ for cls in classes} | {"Custom>CustomScaleLayer"}
    assert {name for name in allowlist.LAYERS - extra if not hasattr(keras.layers, name)} == set()
    import tensorflow as tf

    for operator in allowlist.OPERATORS:
        if not operator.startswith("__operators__"):
            item = tf
            for part in operator.split("."):
                item = getattr(item, part)


SINGLE_LAYERS = [
    ("Conv1D", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}, (11, 3)),
    ("Conv1D", {"filters": 4, "kernel_size": 3, "padding": "causal", "dilation_rate": 2}, (11, 3)),
    ("Conv2D", {"filters": 4, "kernel_size": (3, 2), "strides": (2, 1)}, (9, 8, 3)),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "groups": 2, "dilation_rate": 2, "use_bias": False}, (9, 8, 4)),
    ("Conv3D", {"filters": 2, "kernel_size": 2, "padding": "same"}, (4, 5, 6, 2)),
    ("Conv1DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2}, (5, 3)),
    ("Conv2DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}, (5, 4, 3)),
    ("Conv2DTranspose", {"filters": 4, "kernel_size": 2, "strides": 3}, (5, 4, 3)),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 1}, (5, 4, 3)),
    ("Conv3DTranspose", {"filters": 2, "kernel_size": 2, "strides": 2}, (2, 3, 2, 2)),
    ("DepthwiseConv1D", {"kernel_size": 3, "depth_multiplier": 2}, (9, 3)),
    ("DepthwiseConv2D", {"kernel_size": 3, "strides": 2, "padding": "same"}, (9, 8, 3)),
    ("SeparableConv1D", {"filters": 5, "kernel_size": 3}, (9, 3)),
    ("SeparableConv2D", {"filters": 5, "kernel_size": 3, "depth_multiplier": 2, "padding": "same"}, (9, 8, 3)),
    ("Dense", {"units": 5}, (4, 3)),
    ("EinsumDense", {"equation": "abc,cd->abd", "output_shape": (None, 5), "bias_axes": "d"}, (4, 3)),
    ("MaxPooling1D", {"pool_size": 3, "strides": 2}, (9, 3)),
    ("MaxPooling2D", {}, (9, 8, 3)),
    ("AveragePooling2D", {"pool_size": 2, "strides": 1, "padding": "same"}, (9, 8, 3)),
    ("AveragePooling3D", {}, (4, 4, 5, 2)),
    ("GlobalAveragePooling1D", {}, (9, 3)),
    ("GlobalAveragePooling2D", {"keepdims": True}, (9, 8, 3)),
    ("GlobalMaxPooling2D", {}, (9, 8, 3)),
    ("UpSampling1D", {"size": 3}, (4, 2)),
    ("UpSampling2D", {"size": (2, 3)}, (4, 5, 2)),
    ("ZeroPadding1D", {"padding": 2}, (4, 2)),
    ("ZeroPadding2D", {"padding": ((0, 1), (2, 3))}, (4, 5, 2)),
    ("Cropping1D", {"cropping": (1, 1)}, (5, 2)),
    ("Cropping2D", {"cropping": ((1, 0), (0, 2))}, (4, 5, 2)),
    ("Flatten", {}, (4, 5, 2)),
    ("Reshape", {"target_shape": (-1, 5)}, (4, 5)),
    ("Permute", {"dims": (2, 1)}, (4, 5)),
    ("RepeatVector", {"n": 3}, (4,)),
    ("Embedding", {"input_dim": 9, "output_dim": 4}, (6,)),
    ("LSTM", {"units": 4}, (6, 3)),
    ("LSTM", {"units": 4, "return_sequences": True, "use_bias": False}, (6, 3)),
    ("GRU", {"units": 4}, (6, 3)),
    ("GRU", {"units": 4, "reset_after": False}, (6, 3)),
    ("SimpleRNN", {"units": 4, "return_sequences": True}, (6, 3)),
    ("BatchNormalization", {}, (4, 3)),
    ("BatchNormalization", {"scale": False, "axis": 1}, (4, 3)),
    ("LayerNormalization", {"axis": [1, 2]}, (4, 3)),
    ("GroupNormalization", {"groups": 2}, (3, 3, 4)),
    ("UnitNormalization", {}, (4, 3)),
    ("PReLU", {"shared_axes": [1]}, (4, 3)),
    ("LeakyReLU", {}, (4, 3)),
    ("Dropout", {"rate": 0.5}, (4, 3)),
    ("Rescaling", {"scale": 1 / 255}, (4, 4, 3)),
    ("Resizing", {"height": 3, "width": 5}, (4, 4, 3)),
    ("CenterCrop", {"height": 3, "width": 2}, (4, 4, 3)),
    ("RandomFlip", {}, (4, 4, 3)),
]


@pytest.mark.parametrize(
    ("class_name", "settings", "shape"), SINGLE_LAYERS, ids=lambda item: item if isinstance(item, str) else ""
)
def test_shapes_and_weights_agree_with_tf_keras(keras: Any, tmp_path: Path, class_name: str, settings: Any, shape: Any) -> None:
    inputs = keras.layers.Input(shape)
    layer = getattr(keras.layers, class_name)(**settings)
    model = keras.Model(inputs, layer(inputs))
    for suffix in (".h5", ".keras"):
        found = read(model, tmp_path, suffix).layers[-1]
        assert found.output_shape == tuple(model.output_shape)
        assert sorted(found.weight_shapes.values()) == sorted(tuple(w.shape) for w in layer.weights)
        assert found.parameters == model.count_params()
        assert found.macs is not None
        names = {w.name.split("/")[-1].split(":")[0] for w in layer.weights}
        assert {name.split("/")[-1] for name in found.weight_shapes} == names


def everything(keras: Any) -> Any:
    """One model of nested, wrapped, shared and merged layers and TensorFlow functions."""
    import tensorflow as tf

    layers = keras.layers
    inputs = layers.Input((8, 8, 2))
    x = layers.Conv2D(4, 3, padding="same", use_bias=False)(inputs)
    x = layers.ReLU(max_value=6.0)(layers.BatchNormalization()(x))
    block = keras.Sequential(
        [layers.Conv2D(4, 3, padding="same", name="inner"), layers.BatchNormalization(), layers.ReLU()], name="block"
    )
    deeper = layers.Input((8, 8, 4))
    nested = keras.Model(deeper, layers.Concatenate()([block(deeper), deeper]), name="nested")
    x = nested(x)
    shared = layers.Conv2D(8, 1, name="shared")
    x = layers.Add()([shared(x), shared(shared(x))])
    x = tf.nn.relu(x) * 2.0 + 1.0
    x = tf.reduce_mean(x[:, 1:, ::2], axis=[2])
    x = layers.TimeDistributed(layers.Dense(6))(x)
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(x)
    x = layers.MultiHeadAttention(2, 4)(x, x) + x
    x = layers.Attention()([x, x])
    x = layers.GRU(5)(layers.LayerNormalization()(x))
    x = layers.Dot(axes=1)([x, layers.Dense(5)(x)])
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x))


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_model_of_everything_is_read_as_tf_keras_has_it(keras: Any, tmp_path: Path, suffix: str) -> None:
    model = everything(keras)
    summary = read(model, tmp_path, suffix)
    assert summary.parameters == model.count_params()
    assert summary.output_shapes == ((None, 3),)
    assert summary.macs is not None
    assert [layer.name for layer in summary.layers if layer.output_shape is None] == []
    for layer in model.layers:
        if not isinstance(layer, keras.Model) and layer.name != "shared":
            shape = layer.output_shape[0] if isinstance(layer.output_shape, list) else layer.output_shape
            assert summary.layer(layer.name).output_shape == tuple(shape)
    assert summary.layer("nested/block/inner").parameters == 9 * 4 * 4 + 4


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_what_passes_the_preflight_loads_and_predicts_the_same(keras: Any, tmp_path: Path, suffix: str) -> None:
    model = everything(keras)
    summary = read(model, tmp_path, suffix)
    stored = tmp_path / ("0" * 64)
    (tmp_path / f"model{suffix}").rename(stored)
    loaded = load_keras_model(stored, summary)
    x = np.random.default_rng(0).random((2, 8, 8, 2), dtype=np.float32)
    np.testing.assert_allclose(loaded(x), model(x), atol=1e-6)
    assert loaded.optimizer is None


def test_sequential_models_and_training_settings(keras: Any, tmp_path: Path) -> None:
    model = keras.Sequential([keras.layers.Dense(5), keras.layers.Dropout(0.5), keras.layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(np.ones((4, 3)), np.ones(4), verbose=0)
    for suffix in (".h5", ".keras"):
        summary = read(model, tmp_path, suffix)
        assert (summary.class_name, summary.parameters, summary.macs) == ("Sequential", 26, 20)
        assert summary.training_config["loss"] == "mse"
        json.dumps(summary.to_json())


def test_a_normalization_layer_keeps_its_statistics(keras: Any, tmp_path: Path) -> None:
    normalization = keras.layers.Normalization()
    normalization.adapt(np.random.default_rng(0).random((20, 4)))
    model = keras.Sequential([keras.layers.Input((4,)), normalization, keras.layers.Dense(2)])
    for suffix in (".h5", ".keras"):
        assert set(read(model, tmp_path, suffix).layers[1].weight_shapes) == {"mean", "variance", "count"}


def test_a_subclassed_model_is_refused(keras: Any, tmp_path: Path) -> None:
    class Tiny(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    model = Tiny()
    model(np.zeros((1, 4), np.float32))
    with pytest.raises(InputError) as caught:
        read(model, tmp_path, ".keras")
    assert caught.value.code == "SUBCLASSED"


def test_a_real_lambda_is_refused_before_it_runs(keras: Any, tmp_path: Path) -> None:
    canary = str(tmp_path / "canary")
    inputs = keras.layers.Input((4,))
    outputs = keras.layers.Lambda(lambda x: (open(canary, "a").close(), x)[1])(inputs)  # noqa: PTH123
    Path(canary).unlink(missing_ok=True)
    model = keras.Model(inputs, outputs)
    for suffix in (".h5", ".keras"):
        with pytest.raises(InputError) as caught:
            read(model, tmp_path, suffix)
        assert caught.value.code == "UNSAFE_LAYER"
    assert not Path(canary).exists()


def test_a_model_that_tf_keras_cannot_rebuild_says_why(
    keras: Any, write_h5: Callable[..., Path], dense_config: Any, dense_weights: Any
) -> None:
    dense_config["config"]["layers"][1]["config"]["no_such_setting"] = 1
    path = write_h5(dense_config, dense_weights)
    summary = read_model_summary(path, name="model.h5")
    with pytest.raises(InputError) as caught:
        load_keras_model(path, summary)
    assert caught.value.code == "LOAD_FAILED"
    with pytest.raises(InputError) as caught:
        load_keras_model(path, replace(summary, sha256="0" * 64))
    assert caught.value.code == "CHANGED"


@pytest.mark.parametrize(
    "name", ["MobileNet", "MobileNetV2", "MobileNetV3Small", "ResNet50V2", "DenseNet121", "EfficientNetB0", "NASNetMobile"]
)
def test_well_known_architectures_are_understood(keras: Any, tmp_path: Path, name: str) -> None:
    model = getattr(keras.applications, name)(weights=None, input_shape=(96, 96, 3), classes=10)
    path = tmp_path / "model.json"
    path.write_text(model.to_json())
    from optimizer.sources.preflight.reading import understand

    graph, inference = understand(json.loads(path.read_text()), name)
    assert inference.outputs == ((None, 10),)
    total = sum(int(np.prod(shape)) for layer in inference.layers.values() for shape in (layer.weights or {}).values())
    assert total == model.count_params()
    assert len(graph.leaves()) == len(model.layers)
    assert all(layer.macs is not None for layer in inference.layers.values())


def test_archives_of_older_keras_versions_load_too(keras: Any, tmp_path: Path) -> None:
    model, path = everything(keras), tmp_path / "new.keras"
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    store = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(store, "r+") as file:
        groups: list[str] = []
        file.visit(lambda name: groups.append(name) if name.split("/")[-1] == "layers" else None)
        for group in sorted(groups, key=len, reverse=True):
            file.move(group, group[: -len("layers")] + "_layer_checkpoint_dependencies")
    old = tmp_path / "old.keras"
    with zipfile.ZipFile(old, "w") as archive:
        for name, content in {**parts, "model.weights.h5": store.getvalue()}.items():
            archive.writestr(name, content)
    summary = read_model_summary(old, name=old.name)
    assert summary.parameters == model.count_params()
    x = np.random.default_rng(0).random((2, 8, 8, 2), dtype=np.float32)
    np.testing.assert_allclose(load_keras_model(old, summary)(x), model(x), atol=1e-6)


def of_shared_layers(keras: Any) -> Any:
    layers = keras.layers
    dense, block = layers.Dense(4), keras.Sequential([layers.Dense(4, activation="relu"), layers.BatchNormalization()])
    inputs = keras.Input((4,))
    return keras.Model(inputs, block(dense(dense(inputs))) + block(inputs))


def of_attention(keras: Any) -> Any:
    layers = keras.layers
    x = layers.Embedding(20, 8)(inputs := keras.Input((6,), dtype="int32"))
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 4)(x, x))
    return keras.Model(inputs, layers.Bidirectional(layers.GRU(3))(x))


def built_late(keras: Any) -> Any:
    """Without an Input layer, and with another such model within."""
    inner = keras.Sequential([keras.layers.Dense(3), keras.layers.BatchNormalization()])
    model = keras.Sequential([keras.layers.Conv2D(3, 3), keras.layers.GlobalMaxPooling2D(), inner])
    model.build((None, 7, 7, 2))
    return model


@pytest.mark.parametrize("build", [of_shared_layers, of_attention, built_late], ids=lambda build: build.__name__)
def test_an_archive_loads_as_tf_keras_loads_it(keras: Any, tmp_path: Path, build: Any) -> None:
    summary = read(build(keras), tmp_path, ".keras")
    path = tmp_path / "model.keras"
    wanted = keras.models.load_model(path, compile=False)
    for loaded in (load_keras_model(path, summary), load_our_own(path)):
        assert loaded.get_config() == wanted.get_config()
        assert loaded.count_params() > 0
        for one, other in zip(loaded.get_weights(), wanted.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_layers_of_an_architecture_are_found_in_what_a_run_has_written(keras: Any, tmp_path: Path) -> None:
    """Such a file does not say where its own class is; flattening leaves the name alone."""
    model = keras.applications.ConvNeXtTiny(weights=None, input_shape=(32, 32, 3), include_top=False)
    flattened(keras.Model(model.input, model.layers[20].output)).save(tmp_path / "model.keras")
    assert any(type(layer).__name__ == "LayerScale" for layer in load_our_own(tmp_path / "model.keras").layers)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_model_of_very_many_layers_loads(keras: Any, tmp_path: Path, suffix: str) -> None:
    usual = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(10_000)
        x = inputs = keras.Input((2,))
        for _ in range(1200):
            x = keras.layers.Activation("tanh")(x)
        summary = read(keras.Model(inputs, x), tmp_path, suffix)
        sys.setrecursionlimit(1000)
        model = flattened(load_keras_model(tmp_path / f"model{suffix}", summary))
    finally:
        sys.setrecursionlimit(usual)
    assert len(model.layers) == 1201


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_disk_that_fills_up_is_no_fault_of_the_model(
    keras: Any, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = read(of_shared_layers(keras), tmp_path, suffix)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space"):
        load_keras_model(tmp_path / f"model{suffix}", summary)


def test_the_sample_model_knows_the_digits_it_has_not_seen() -> None:
    path = Path(__file__).resolve().parents[2] / "assets" / "models" / "digits_cnn.keras"
    model = load_keras_model(path, read_model_summary(path, name=path.name))
    test = read_dataset(DataSource(name="digits"), seed=0).test
    assert np.mean(np.argmax(model(test.x), axis=1) == test.y) >= 0.97
