"""The lists and schemas of the preflight held against what TensorFlow, Keras 3 and LiteRT themselves have, and write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from optimizer.errors import InputError
from optimizer.sources.preflight import allowlist, read_model_summary
from optimizer.sources.preflight.graph_allowlist import CHECKPOINT, OPERATIONS
from optimizer.sources.preflight.litert import check_content
from optimizer.sources.preflight.litert_schema import OPERATORS, TABLES, TYPES
from optimizer.sources.preflight.saved_model import check_saved_model

WALK_KERAS_3 = """
import importlib, inspect, json, pkgutil, sys
import keras, keras.src.ops as ops
from keras.src.ops.operation import Operation

layers = [name for name, value in vars(keras.layers).items() if inspect.isclass(value) and issubclass(value, keras.layers.Layer)]
modules = [importlib.import_module(f"keras.src.ops.{m.name}") for m in pkgutil.iter_modules(ops.__path__) if "test" not in m.name]
operations = [
    name
    for module in modules
    for name, value in vars(module).items()
    if inspect.isclass(value) and issubclass(value, Operation) and value.__module__ == module.__name__
]
inputs = keras.Input((8, 8, 1))
x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3, kernel_regularizer="l2")(inputs))
x = keras.layers.Flatten()(keras.layers.RandomFlip()(keras.ops.relu(x) * 2 + x[:, :, :, :1]))
model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))
model.compile("adam", "mse")
model.save(sys.argv[1] + "/three.keras")
model.save(sys.argv[1] + "/three.h5")
lambdas = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: x + 1)])
lambdas.save(sys.argv[1] + "/lambda.keras")
print(json.dumps([layers, operations]))
"""
NO_LAYERS_OF_THEIR_OWN = {"Layer", "Wrapper", "Operation"}


@pytest.fixture(scope="module")
def keras_3(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], list[str]]:
    """A folder of files that Keras 3 wrote, and the names of its layers and operations."""
    folder = tmp_path_factory.mktemp("keras3")
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_USE_LEGACY_KERAS": "0"}
    command = [sys.executable, "-c", WALK_KERAS_3, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    layers, operations = json.loads(done.stdout.splitlines()[-1])
    return folder, layers, operations


def test_every_layer_of_keras_3_is_accepted_or_refused_with_a_reason(keras_3: Any) -> None:
    _, layers, _ = keras_3
    known = allowlist.KERAS_3.classes | set(allowlist.KERAS_3.refused)
    assert set(layers) - known - NO_LAYERS_OF_THEIR_OWN == set()
    assert {"Dense", "Conv2D", "MultiHeadAttention", "RMSNormalization"} <= set(layers) & allowlist.KERAS_3.classes


def test_every_operation_of_keras_3_is_accepted_or_refused_with_a_reason(keras_3: Any) -> None:
    _, _, operations = keras_3
    known = allowlist.KERAS_3.classes | set(allowlist.KERAS_3.refused)
    assert set(operations) - known - NO_LAYERS_OF_THEIR_OWN == set()


@pytest.mark.parametrize("name", ["three.keras", "three.h5"])
def test_files_that_keras_3_writes_pass(keras_3: Any, name: str) -> None:
    summary = read_model_summary(keras_3[0] / name, name=name)
    assert summary.keras_version.startswith("3.")
    assert summary.output_shapes == ((None, 3),)


def test_a_lambda_of_keras_3_is_refused(keras_3: Any) -> None:
    with pytest.raises(InputError) as caught:
        read_model_summary(keras_3[0] / "lambda.keras", name="lambda.keras")
    assert caught.value.code == "UNSAFE_LAYER", caught.value.line


def test_no_class_is_both_accepted_and_refused() -> None:
    for lists in (allowlist.KERAS_2, allowlist.KERAS_3):
        assert not lists.classes & set(lists.refused)


def test_every_accepted_op_is_one_of_tensorflows_and_touches_nothing() -> None:
    import tensorflow as tf

    registered = set(dir(tf.raw_ops))
    # Resource ops of V1 and checkpoints have no raw_ops function of their own.
    assert OPERATIONS - registered - {"VariableV2", "Variable"} == set()
    assert not OPERATIONS & set(CHECKPOINT)
    for word in ("File", "Dataset", "PyFunc", "Print", "Debug", "Send", "Recv", "Reader", "Iterator", "Summary", "TPU", "Remote"):
        # ShardedFilename only joins texts.
        assert not {op for op in OPERATIONS if word in op} - {"ShardedFilename"}, word


def _zipped(folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for item in sorted(folder.rglob("*")):
            archive.write(item, item.relative_to(folder.parent))
    return path


@pytest.mark.parametrize("kind", ["export", "save", "recurrent"])
def test_saved_models_that_tf_keras_writes_pass(tmp_path: Path, kind: str) -> None:
    import tensorflow as tf

    layers = tf.keras.layers
    if kind == "recurrent":
        model = tf.keras.Sequential([layers.Input((4, 3)), layers.Bidirectional(layers.LSTM(2)), layers.Dense(2)])
    else:
        model = tf.keras.Sequential(
            [layers.Input((8, 8, 1)), layers.Conv2D(2, 3), layers.BatchNormalization(), layers.Flatten(), layers.Dense(2)]
        )
    if kind == "save":
        model.compile("adam", "mse")
        model.save(tmp_path / "model", save_format="tf")
    else:
        model.export(tmp_path / "model")
    summary = read_model_summary(_zipped(tmp_path / "model"), name="model.zip")
    assert summary.parameters == model.count_params()
    assert summary.output_shapes == ((None, 2),)


@pytest.mark.parametrize(
    ("kind", "op"), [("file", "WriteFile"), ("python", "EagerPyFunc"), ("table", "InitializeTableFromTextFileV2")]
)
def test_saved_models_that_do_more_than_compute_are_refused(tmp_path: Path, kind: str, op: str) -> None:
    import tensorflow as tf

    module = tf.Module()
    if kind == "table":
        (tmp_path / "words.txt").write_text("a\nb\n")
        words = tf.lookup.TextFileInitializer(
            str(tmp_path / "words.txt"),
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        )
        module.table = tf.lookup.StaticVocabularyTable(words, 1)

    def call(x: Any) -> Any:
        if kind == "file":
            tf.io.write_file(str(tmp_path / "canary"), "x")
        if kind == "table":
            return module.table.lookup(tf.strings.as_string(x))
        return tf.py_function(lambda value: value, [x], tf.float32) if kind == "python" else x + 1

    module.call = tf.function(call, input_signature=[tf.TensorSpec((None, 3))])
    tf.saved_model.save(module, str(tmp_path / "model"))
    with pytest.raises(InputError) as caught:
        check_saved_model(_zipped(tmp_path / "model"), "model.zip")
    assert caught.value.code == "UNSAFE_OP"
    assert op in caught.value.what
    assert "function __inference_" in caught.value.place
    assert not (tmp_path / "canary").exists()


def test_the_schema_of_tflite_files_is_the_one_of_the_installed_interpreter() -> None:
    from ai_edge_litert import schema_py_generated as schema

    numbers = {name: value for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    assert {name: number for number, name in enumerate(OPERATORS)} == numbers
    types = {name: value for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
    assert {name: number for number, (name, _) in enumerate(TYPES)} == types
    assert all(hasattr(schema, table) for table in TABLES)
    for table, fields in TABLES.items():
        assert all(hasattr(getattr(schema, table), field) for field, _ in fields if field), table


def test_tflite_files_that_tensorflow_writes_pass() -> None:
    import tensorflow as tf

    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.SeparableConv2D(16, 3, use_bias=False),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(40),
        ]
    )
    for optimizations in ([], [tf.lite.Optimize.DEFAULT]):
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        converter.optimizations = optimizations
        check_content(memoryview(converter.convert()), "model.tflite")
