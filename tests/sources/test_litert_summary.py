"""What is read of a .tflite and of a SavedModel before TensorFlow has seen them, and what each technique says of them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimizer.errors import InputError
from optimizer.recipe import Recipe, check_takes
from optimizer.sources.dataset import Dataset, Split
from optimizer.sources.fit import prepare
from optimizer.sources.preflight import read_model_summary
from optimizer.sources.scaling import expected_range_in_words
from optimizer.sources.summary import WHOLE_MODEL, ModelSummary, Quantization, Verdict, model_summary_from_json
from optimizer.technique import Stage, registry, technique_named

Summarize = Callable[..., ModelSummary]
KERNEL = np.arange(12, dtype=np.float32).reshape(4, 3) - 5


@pytest.fixture
def summary_of(tmp_path: Path) -> Summarize:
    """The summary of a function as TensorFlow's converter makes it a .tflite."""
    import tensorflow as tf

    def make(body: Any, *inputs: tuple[Any, ...], dtype: str = "float32", configure: Any = None) -> ModelSummary:
        specs = [tf.TensorSpec(shape, dtype) for shape in inputs]
        concrete = tf.function(body, input_signature=specs).get_concrete_function()
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], tf.Module())
        if configure is not None:
            configure(converter)
        (tmp_path / "a.tflite").write_bytes(converter.convert())
        return read_model_summary(tmp_path / "a.tflite", name="a.tflite")

    return make


def dense(x: Any) -> Any:
    import tensorflow as tf

    return tf.nn.softmax(tf.matmul(x, KERNEL) + np.ones(3, np.float32))


def integers(dtype: str) -> Callable[[Any], None]:
    def configure(converter: Any) -> None:
        import tensorflow as tf

        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([np.full((1, 4), n / 10, np.float32)] for n in range(11))
        converter.inference_input_type = converter.inference_output_type = tf.as_dtype(dtype)

    return configure


def half(converter: Any) -> None:
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]


def test_operators_become_layers_with_their_kernels_and_macs(summary_of: Summarize) -> None:
    summary = summary_of(dense, (1, 4))
    assert summary.format == "tflite"
    assert [layer.class_name for layer in summary.layers] == ["InputLayer", "FULLY_CONNECTED", "SOFTMAX"]
    connected = summary.layers[1]
    assert connected.weight_shapes == {"kernel": (3, 4), "bias": (3,)}
    assert connected.config["stored"] == {"kernel": "FLOAT32", "bias": "FLOAT32"}
    assert (summary.parameters, summary.macs) == (15, 12)
    assert (summary.input_shapes, summary.output_shapes) == (((1, 4),), ((1, 3),))
    assert summary.output_activation == "softmax"
    assert summary.notes == ()
    assert model_summary_from_json(json.loads(json.dumps(summary.to_json()))) == summary


@pytest.mark.parametrize(("dtype", "zero_point"), [("int8", -128), ("uint8", 0)])
def test_a_quantized_input_is_read_as_the_numbers_that_it_stands_for(
    summary_of: Summarize, dtype: str, zero_point: int, data: Dataset
) -> None:
    summary = summary_of(dense, (1, 4), configure=integers(dtype))
    assert summary.input_dtypes == (dtype,)
    assert summary.input_quantization == (Quantization(scale=pytest.approx(1 / 255), zero_point=zero_point),)
    assert expected_range_in_words(summary).startswith(f"numbers 0 to 1, which the file takes as {dtype}")
    assert prepare(data, summary).input_dtype == "float32"
    assert summary.output_activation == "softmax"
    assert "INT8" in summary.notes[0]


@pytest.fixture
def data() -> Dataset:
    split = Split(x=np.zeros((6, 4), np.float32), y=np.arange(6) % 3)
    return Dataset(
        name="d", sha256="0" * 64, kind="table", labels="class", class_names=("a", "b", "c"), train=split, calibration=split,
        validation=split, test=split,
    )  # fmt: skip


def test_a_float16_kernel_belongs_to_the_operator_that_uses_it(summary_of: Summarize) -> None:
    summary = summary_of(dense, (1, 4), configure=half)
    assert [layer.class_name for layer in summary.layers] == ["InputLayer", "FULLY_CONNECTED", "SOFTMAX"]
    assert summary.layers[1].config["stored"]["kernel"] == "FLOAT16"


def test_open_axes_are_open_and_their_macs_unknown(summary_of: Summarize) -> None:
    import tensorflow as tf

    kernel = np.ones((3, 3, 2, 4), np.float32)
    summary = summary_of(lambda x: tf.reduce_mean(tf.nn.conv2d(x, kernel, 1, "SAME"), [1, 2]), (1, None, None, 2))
    assert summary.input_shapes == ((1, None, None, 2),)
    assert summary.macs is None


def test_a_lone_axis_is_one_sample(summary_of: Summarize) -> None:
    import tensorflow as tf

    summary = summary_of(lambda x: tf.reshape(tf.matmul(x[None], KERNEL), [3]), (4,))
    assert (summary.input_shapes, summary.output_shapes) == (((1, 4),), ((1, 3),))


def test_several_samples_at_a_time_are_noted(summary_of: Summarize) -> None:
    assert "5 samples at a time" in summary_of(dense, (5, 4)).notes[0]


def test_several_inputs_are_shown_and_ask_for_an_array_each(summary_of: Summarize, data: Dataset) -> None:
    summary = summary_of(lambda a, b: dense(a + b), (1, 4), (1, 4))
    assert len(summary.input_shapes) == len(summary.input_names) == 2
    with pytest.raises(InputError) as caught:
        prepare(data, summary)
    assert caught.value.code == "DATA_MODEL_MISMATCH"
    assert all(f"x_train_{name}" in caught.value.expected for name in summary.input_names)


def test_word_numbers_beyond_the_table_are_refused_before_they_are_looked_up(summary_of: Summarize, data: Dataset) -> None:
    import tensorflow as tf

    table = np.ones((5, 2), np.float32)
    summary = summary_of(lambda x: tf.nn.softmax(tf.matmul(tf.reshape(tf.gather(table, x), [1, 8]), np.ones((8, 3), np.float32))),
                         (1, 4), dtype="int32")  # fmt: skip
    assert expected_range_in_words(summary).startswith("whole numbers 0 to 4")
    words = Split(x=np.full((6, 4), 5), y=np.arange(6) % 3)
    with pytest.raises(InputError) as caught:
        prepare(Dataset(**{**vars(data), "test": words}), summary)
    assert caught.value.expected == "whole numbers 0 to 4"


def test_a_loop_has_unknown_macs_and_no_calibration(summary_of: Summarize) -> None:
    import tensorflow as tf

    def body(x: Any) -> Any:
        return tf.while_loop(lambda y: tf.reduce_sum(y) < 100.0, lambda y: y + tf.matmul(y, np.eye(4, dtype=np.float32)), [x])[0]

    summary = summary_of(lambda x: dense(body(x)), (1, 4))
    assert summary.macs is None
    quantization = technique_named("post_training_quantization")
    refusal = quantization().refusal_of(summary)
    assert refusal is not None
    assert refusal.code == "LOOP_NOT_QUANTIZABLE"
    assert quantization(activations="float32").refusal_of(summary) is None


def test_nothing_to_quantize_is_said(summary_of: Summarize) -> None:
    refusal = technique_named("post_training_quantization")().refusal_of(summary_of(lambda x: x * 2.0, (1, 4)))
    assert refusal is not None
    assert refusal.code == "NOTHING_TO_QUANTIZE"


def zipped(folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for item in sorted(folder.rglob("*")):
            archive.write(item, item.relative_to(folder.parent))
    return path


@pytest.fixture
def served(tmp_path: Path) -> Callable[..., ModelSummary]:
    """The summary of a tf.Module with variables, as a zipped SavedModel."""
    import tensorflow as tf

    def make(shape: list[Any] | None, dtype: str = "float32", **signatures: Any) -> ModelSummary:
        module = tf.Module()
        module.kernel, module.bias = tf.Variable(KERNEL, name="kernel"), tf.Variable(np.ones(3, np.float32), name="bias")
        module.unused = tf.Variable(np.ones(100, np.float32))

        def serve(x: Any) -> dict[str, Any]:
            values = tf.strings.to_number(x) if dtype == "string" else tf.cast(x, tf.float32)
            return {"classes": tf.nn.softmax(tf.nn.bias_add(tf.matmul(tf.reshape(values, [-1, 4]), module.kernel), module.bias))}

        function = tf.function(serve, input_signature=[tf.TensorSpec(shape, dtype, name="x")])
        tf.saved_model.save(module, str(tmp_path / "m"), signatures=signatures or {"serving_default": function})
        return read_model_summary(zipped(tmp_path / "m"), name="m.zip")

    return make


def test_ops_that_use_variables_are_the_layers_of_a_saved_model(served: Callable[..., ModelSummary]) -> None:
    summary = served([None, 4])
    assert summary.format == "saved_model"
    assert [layer.class_name for layer in summary.layers] == ["InputLayer", "MatMul", "BiasAdd", "Output"]
    assert summary.layers[1].weight_shapes == {"kernel": (4, 3)}
    assert (summary.parameters, summary.macs) == (15, None)
    assert (summary.input_shapes, summary.input_dtypes) == (((None, 4),), ("float32",))
    assert (summary.output_shapes, summary.output_activation) == (((None, 3),), "softmax")
    assert model_summary_from_json(json.loads(json.dumps(summary.to_json()))) == summary


def test_a_saved_model_without_a_known_rank_is_refused(served: Callable[..., ModelSummary]) -> None:
    with pytest.raises(InputError) as caught:
        served(None)
    assert caught.value.code == "UNSUPPORTED_MODEL"
    assert "TensorSpec" in caught.value.fix


def test_a_saved_model_that_takes_texts_is_refused_with_data(served: Callable[..., ModelSummary], data: Dataset) -> None:
    summary = served([None, 4], "string")
    with pytest.raises(InputError) as caught:
        prepare(data, summary)
    assert caught.value.received == "string"


def test_a_saved_model_of_whole_numbers_keeps_them(served: Callable[..., ModelSummary], data: Dataset) -> None:
    assert prepare(data, served([None, 4], "int64")).input_dtype == "int64"


@pytest.mark.parametrize("name", list(registry()))
def test_every_technique_is_honest_about_files_that_cannot_be_trained(
    summary_of: Summarize, served: Callable[..., ModelSummary], name: str
) -> None:
    step = registry()[name]()
    for summary in (summary_of(dense, (1, 4)), served([None, 4])):
        findings = step.check(summary)
        assert findings
        if step.refusal_of(summary) is None:
            assert {finding.layer for finding in findings} <= {layer.name for layer in summary.layers}
            continue
        assert step.consumes is Stage.KERAS
        (finding,) = findings
        assert (finding.layer, finding.verdict) == (WHOLE_MODEL, Verdict.IMPOSSIBLE)
        assert "cannot be trained further" in finding.reason
        assert "Keras model" in finding.fix
        with pytest.raises(InputError) as caught:
            check_takes(Recipe(steps=(step,)), summary)
        assert caught.value.code == "NEEDS_KERAS_MODEL"
