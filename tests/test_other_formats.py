"""Models that came without Keras: a .tflite and a zipped SavedModel, from file to file."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimizer.conversion import convert
from optimizer.errors import InputError
from optimizer.job import DataSource, Job
from optimizer.litert_file import LiteRTFile
from optimizer.pipeline import perform
from optimizer.recipe import recipe_from_json
from optimizer.sources.preflight import read_model_summary

PTQ = {"technique": "post_training_quantization"}
PRUNE = {"technique": "magnitude_pruning", "epochs": 1}
INT8_FILE = {"weights": "int8", "activations": "int8", "input_output": "int8"}


def job_for(folder: Path, model: Path, *steps: dict[str, Any], **changes: Any) -> Job:
    job = Job(
        model=model,
        model_name=model.name,
        data=DataSource(name="digits"),
        recipe=recipe_from_json({"steps": list(steps)}),
        out=folder / "run",
        work=folder / "run-work",
    )
    return dataclasses.replace(job, **changes)


def run(folder: Path, model: Path, *steps: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return perform(job_for(folder, model, *steps, **changes), lambda event: None, lambda: False)


def zipped(folder: Path, *, top: bool = True) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for item in sorted(folder.rglob("*")):
            archive.write(item, item.relative_to(folder.parent if top else folder))
    return path


@pytest.fixture(scope="module")
def files(digits_model: Any, digits: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The digits model in every form: float and int8 .tflite, SavedModels of tf-keras and of a tf.Module."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("formats")
    (folder / "float.tflite").write_bytes(convert(digits_model))

    def integers(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([digits.dataset.calibration.x[i : i + 1]] for i in range(50))
        converter.inference_input_type = converter.inference_output_type = tf.int8

    (folder / "int8.tflite").write_bytes(convert(digits_model, integers))
    digits_model.export(folder / "exported")
    module = tf.Module()
    module.model, module.gain = digits_model, tf.Variable(2 * np.eye(10, dtype=np.float32))
    spec = [tf.TensorSpec([None, 8, 8, 1], tf.float32, name="image")]
    serve = tf.function(
        lambda image: {"logits": tf.matmul(module.model(image, training=False), module.gain)}, input_signature=spec
    )
    tf.saved_model.save(module, str(folder / "module"), signatures=serve)
    exported, own = zipped(folder / "exported"), zipped(folder / "module", top=False)
    return {"float": folder / "float.tflite", "int8": folder / "int8.tflite", "exported": exported, "module": own}


@pytest.mark.parametrize("name", ["float", "int8"])
def test_a_tflite_is_its_own_baseline(tmp_path: Path, files: dict[str, Path], name: str) -> None:
    report = run(tmp_path, files[name])
    assert (tmp_path / "run" / "model.tflite").read_bytes() == files[name].read_bytes()
    assert report["baseline"] == report["result"]
    assert report["result"]["accuracy"]["value"] > 0.9
    assert report["model"]["format"] == "tflite"
    assert report["model"]["macs"] == report["result"]["macs"]
    assert not (tmp_path / "run" / "model.keras").exists()


@pytest.mark.parametrize(
    ("settings", "stored"),
    [
        ({"weights": "float16", "activations": "float32"}, "FLOAT16"),
        ({"weights": "int8", "activations": "float32"}, "INT8"),
        ({"weights": "int8", "activations": "int8"}, "INT8"),
        (INT8_FILE, "INT8"),
        ({"weights": "int8", "activations": "int16", "granularity": "per_tensor"}, "INT8"),
        ({"weights": "int4", "activations": "float32"}, "INT4"),
        ({"weights": "int4", "activations": "int8"}, "INT4"),
    ],
    ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("name", ["float", "exported"])
def test_every_kind_of_quantization_keeps_the_accuracy(
    tmp_path: Path, files: dict[str, Path], name: str, settings: dict[str, str], stored: str
) -> None:
    report = run(tmp_path, files[name], {**PTQ, **settings})
    assert report["result"]["accuracy"]["value"] > report["baseline"]["accuracy"]["value"] - 0.04
    assert report["comparison"]["size_ratio"] > 1.3
    (stage,) = report["stages"]
    assert [promise["holds"] for promise in stage["promises"]] == [True]
    file = LiteRTFile((tmp_path / "run" / "model.tflite").read_bytes())
    assert stored in {kernel.dtype for operator in file.operators for kernel in file.kernels(operator)}
    assert file.type_name(file.model.subgraphs[0].tensors[file.inputs[0]].type) == (
        "INT8" if settings is INT8_FILE else "FLOAT32"
    )


def test_the_saved_model_gives_the_file_that_its_keras_model_gives(tmp_path: Path, files: dict[str, Path]) -> None:
    run(tmp_path, files["exported"])
    assert len((tmp_path / "run" / "model.tflite").read_bytes()) == len(files["float"].read_bytes())


def test_a_module_of_tensorflow_is_served_and_quantized(tmp_path: Path, files: dict[str, Path]) -> None:
    report = run(tmp_path, files["module"], PTQ)
    assert report["result"]["accuracy"]["value"] > 0.9
    assert report["data"]["from_logits"] is True
    assert report["model"]["macs"] == report["baseline"]["macs"]


@pytest.mark.parametrize("name", ["float", "exported"])
def test_a_step_that_trains_is_refused_before_anything_starts(tmp_path: Path, files: dict[str, Path], name: str) -> None:
    seen: list[Any] = []
    with pytest.raises(InputError) as caught:
        perform(job_for(tmp_path, files[name], PRUNE, PTQ), seen.append, lambda: False)
    assert caught.value.code == "NEEDS_KERAS_MODEL"
    assert "Step 1 (magnitude_pruning)" in caught.value.what
    assert seen == []


def test_what_is_quantized_already_is_not_quantized_again(tmp_path: Path, files: dict[str, Path]) -> None:
    with pytest.raises(InputError) as caught:
        run(tmp_path, files["int8"], PTQ)
    assert caught.value.code == "ALREADY_QUANTIZED"
    assert "INT8" in caught.value.what


@pytest.mark.parametrize("name", ["float", "exported"])
def test_a_teacher_must_be_a_keras_model(tmp_path: Path, files: dict[str, Path], digits_model: Any, name: str) -> None:
    digits_model.save(tmp_path / "student.h5", save_format="h5")
    distil = {"technique": "knowledge_distillation", "teacher": "second_model"}
    with pytest.raises(InputError) as caught:
        run(tmp_path, tmp_path / "student.h5", distil, second_model=files[name])
    assert caught.value.code == "NEEDS_KERAS_MODEL"


def test_a_later_run_takes_the_measured_file_as_its_baseline(tmp_path: Path, files: dict[str, Path]) -> None:
    first = run(tmp_path / "first", files["float"])
    second = run(tmp_path / "second", files["float"], PTQ, baseline=tmp_path / "first" / "run")
    assert second["baseline"] == first["result"]


def test_a_saved_model_whose_variables_are_damaged_is_refused(tmp_path: Path, files: dict[str, Path]) -> None:
    damaged = tmp_path / "damaged.zip"
    with zipfile.ZipFile(files["exported"]) as old, zipfile.ZipFile(damaged, "w") as new:
        for item in old.infolist():
            data = old.read(item)
            new.writestr(item.filename, data[: len(data) // 2] if "variables.data" in item.filename else data)
    with pytest.raises(InputError) as caught:
        run(tmp_path, damaged)
    assert caught.value.code == "LOAD_FAILED"
    assert json.dumps(caught.value.to_json())


KERNEL = np.random.default_rng(0).normal(size=(64, 10)).astype(np.float32)


def served(folder: Path, shape: list[int | None], dtype: str = "float32") -> Path:
    """A SavedModel of one dense layer with softmax; a lone axis is one sample."""
    import tensorflow as tf

    module = tf.Module()
    module.kernel = tf.Variable(KERNEL)

    def serve(x: Any) -> dict[str, Any]:
        classes = tf.nn.softmax(tf.matmul(tf.reshape(tf.cast(x, tf.float32), [-1, 64]), module.kernel))
        return {"classes": classes if len(shape) > 1 else classes[0]}

    function = tf.function(serve, input_signature=[tf.TensorSpec(shape, dtype, name="x")])
    tf.saved_model.save(module, str(folder / "m"), signatures=function)
    return zipped(folder / "m")


def direct(folder: Path, shape: list[int | None]) -> Path:
    """The same as a .tflite without a signature."""
    import tensorflow as tf
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    def serve(x: Any) -> Any:
        classes = tf.nn.softmax(tf.matmul(tf.reshape(x, [-1, 64]), KERNEL))
        return classes if len(shape) > 1 else classes[0]

    concrete = tf.function(serve, input_signature=[tf.TensorSpec(shape, tf.float32)]).get_concrete_function()
    content = tf.lite.TFLiteConverter.from_concrete_functions([concrete], tf.Module()).convert()
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    model.signatureDefs = None
    (folder / "a.tflite").write_bytes(bytes(flatbuffer_utils.convert_object_to_bytearray(model)))
    return folder / "a.tflite"


@pytest.mark.parametrize("make", [served, direct])
@pytest.mark.parametrize("shape", [[4, 64], [64], [None, 8, 8], [1, None, None, 1]], ids=str)
def test_other_batches_and_open_axes_give_the_answers_of_single_samples(
    tmp_path: Path, make: Any, shape: list[int | None]
) -> None:
    from sklearn.datasets import load_digits

    raw = load_digits()
    sample = (8, 8, 1) if len(shape) == 4 else (8, 8) if len(shape) == 3 else (64,)
    x = (raw.data[:203] / 16).astype(np.float32)
    expected = (x @ KERNEL).argmax(1)
    parts = {"x_train": x[:100].reshape(100, *sample), "y_train": expected[:100]}
    np.savez(tmp_path / "d.npz", **parts, x_test=x[100:].reshape(-1, *sample), y_test=expected[100:])
    data = DataSource(name="d.npz", path=tmp_path / "d.npz", scaling="as stored")
    report = run(tmp_path, make(tmp_path, shape), {**PTQ, "granularity": "per_channel"}, data=data)
    assert report["baseline"]["accuracy"]["value"] == 1.0
    assert report["result"]["accuracy"]["value"] > 0.85
    open_axes = make is direct and None in shape[1:]
    assert (report["result"]["arena_bytes"] is None) == open_axes


def test_a_saved_model_of_whole_numbers_is_given_them(tmp_path: Path) -> None:
    report = run(tmp_path, served(tmp_path, [None, 64], "uint8"), PTQ)
    assert report["data"]["input_scaling"]["name"] == "as stored"
    assert report["stages"][0]["promises"][0]["holds"] is True


def exported(folder: Path, serve: Any, dtype: Any, **variables: Any) -> Path:
    """A SavedModel of `serve(variables, x)` that takes 64 values of `dtype`."""
    import tensorflow as tf

    module = tf.Module()
    for name, value in variables.items():
        setattr(module, name, tf.Variable(value))
    function = tf.function(lambda x: {"y": serve(module, x)}, input_signature=[tf.TensorSpec([None, 64], dtype, name="x")])
    tf.saved_model.save(module, str(folder / "m"), signatures=function)
    return zipped(folder / "m")


def numbers(folder: Path) -> DataSource:
    x = np.random.default_rng(0).integers(0, 16, (120, 64)).astype(np.float32)
    np.savez(folder / "d.npz", x=x, y=(x @ KERNEL).argmax(1))
    return DataSource(name="d.npz", path=folder / "d.npz", scaling="as stored")


@pytest.mark.parametrize("dtype", ["float16", "float64"])
@pytest.mark.parametrize("settings", [{}, {"weights": "int4"}, {"weights": "float16", "activations": "float32"}], ids=str)
def test_an_input_of_half_or_double_precision_becomes_float32(tmp_path: Path, dtype: str, settings: dict[str, str]) -> None:
    import tensorflow as tf

    model = exported(tmp_path, lambda own, x: tf.matmul(tf.cast(x, tf.float32), own.kernel), dtype, kernel=KERNEL)
    report = run(tmp_path, model, {**PTQ, **settings}, data=numbers(tmp_path))
    assert report["baseline"]["accuracy"]["value"] == 1.0
    assert report["result"]["accuracy"]["value"] > 0.7
    file = LiteRTFile((tmp_path / "run" / "model.tflite").read_bytes())
    assert file.type_name(file.model.subgraphs[0].tensors[file.inputs[0]].type) == "FLOAT32"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_what_litert_cannot_compute_is_refused_at_inspection(tmp_path: Path, dtype: str) -> None:
    import tensorflow as tf

    def serve(own: Any, x: Any) -> Any:
        return tf.cast(tf.matmul(tf.cast(x, dtype), tf.cast(own.kernel, dtype)), tf.float32)

    with pytest.raises(InputError) as caught:
        read_model_summary(exported(tmp_path, serve, tf.float32, kernel=KERNEL), name="m.zip")
    assert caught.value.code == "UNSUPPORTED_MODEL"
    assert f"computes in {dtype}" in caught.value.what
    assert "(MatMul)" in caught.value.place
    assert "set_global_policy('float32')" in caught.value.fix


def test_products_of_integers_are_refused_at_inspection(tmp_path: Path) -> None:
    import tensorflow as tf

    def serve(own: Any, x: Any) -> Any:
        return tf.cast(tf.matmul(tf.cast(x, tf.int8), own.kernel, output_type=tf.int32), tf.float32)

    with pytest.raises(InputError) as caught:
        read_model_summary(exported(tmp_path, serve, tf.float32, kernel=np.ones((64, 10), np.int8)), name="m.zip")
    assert "computes in int8" in caught.value.what


def test_weights_that_are_int8_already_are_widened_and_quantized_again(tmp_path: Path) -> None:
    import tensorflow as tf

    scale = float(np.abs(KERNEL).max() / 127)
    whole = np.round(KERNEL / scale).astype(np.int8)
    model = exported(tmp_path, lambda own, x: tf.matmul(x, tf.cast(own.kernel, tf.float32) * scale), tf.float32, kernel=whole)
    assert "stores weights as int8 and computes in float32" in read_model_summary(model, name="m.zip").notes[0]
    report = run(tmp_path, model, PTQ, data=numbers(tmp_path))
    assert report["result"]["accuracy"]["value"] > 0.9


def test_a_saved_model_trained_for_int8_takes_int8_alone(tmp_path: Path) -> None:
    import tensorflow as tf

    def serve(own: Any, x: Any) -> Any:
        rounded = tf.quantization.fake_quant_with_min_max_vars(own.kernel, -4.0, 4.0, narrow_range=True)
        return tf.matmul(tf.quantization.fake_quant_with_min_max_vars(x, 0.0, 16.0), rounded)

    model = exported(tmp_path, serve, tf.float32, kernel=KERNEL)
    assert "trained to be quantized" in read_model_summary(model, name="m.zip").notes[0]
    for settings in ({"weights": "float16", "activations": "float32"}, {"activations": "float32"}, {"weights": "int4"}):
        with pytest.raises(InputError) as caught:
            run(tmp_path, model, {**PTQ, **settings}, data=numbers(tmp_path))
        assert caught.value.code == "ALREADY_QUANTIZED"
        assert "Set weights and activations to int8" in caught.value.fix
    assert run(tmp_path, model, PTQ, data=numbers(tmp_path))["result"]["accuracy"]["value"] > 0.9
