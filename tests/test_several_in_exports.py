"""Several inputs and outputs in files without Keras: measured, and quantized, whatever order the file holds them in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_other_formats import zipped

from optimizer.errors import InputError
from optimizer.job import DataSource, Job
from optimizer.litert_file import LiteRTFile
from optimizer.pipeline import perform
from optimizer.recipe import recipe_from_json
from optimizer.sources.preflight import read_model_summary
from optimizer.sources.scaling import expected_range_in_words
from optimizer.sources.summary import Verdict
from optimizer.techniques.quantization.post_training_quantization import PostTrainingQuantization

RANDOM = np.random.default_rng(0)
NUMBER = 120
TABLE = RANDOM.normal(size=(NUMBER, 6)).astype(np.float32)
WORDS = RANDOM.integers(0, 9, (NUMBER, 5))
KERNEL = RANDOM.normal(size=(16, 3)).astype(np.float32)
ROWS = RANDOM.normal(size=(9, 2)).astype(np.float32)
FULL = np.concatenate([TABLE, ROWS[WORDS].reshape(NUMBER, 10)], axis=1) @ KERNEL
KIND, AREA = FULL.argmax(1), (TABLE @ KERNEL[:6])[:, :1]


def module() -> Any:
    """A served function of "zeta" (6 numbers) and "alpha" (5 word numbers), giving "kind" (softmax of 3) and "area" (1 number)."""
    import tensorflow as tf

    made = tf.Module()
    made.kernel, made.rows = tf.Variable(KERNEL), tf.Variable(ROWS)

    @tf.function(
        input_signature=[tf.TensorSpec([None, 6], tf.float32, name="zeta"), tf.TensorSpec([None, 5], tf.int32, name="alpha")]
    )
    def serve(zeta: Any, alpha: Any) -> dict[str, Any]:
        looked_up = tf.reshape(tf.gather(made.rows, alpha), [-1, 10])
        full = tf.matmul(tf.concat([zeta, looked_up], 1), made.kernel)
        return {"kind": tf.nn.softmax(full), "area": tf.matmul(zeta, made.kernel[:6])[:, :1]}

    made.serve = serve
    return made


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The model as a SavedModel, as .tflite with a signature, and as one without."""
    import tensorflow as tf
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    folder, made = tmp_path_factory.mktemp("several"), module()
    tf.saved_model.save(made, str(folder / "served"), signatures=made.serve)
    content = tf.lite.TFLiteConverter.from_saved_model(str(folder / "served")).convert()
    (folder / "signed.tflite").write_bytes(content)
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    model.signatureDefs = None
    (folder / "bare.tflite").write_bytes(bytes(flatbuffer_utils.convert_object_to_bytearray(model)))
    return {"served": zipped(folder / "served"), "signed": folder / "signed.tflite", "bare": folder / "bare.tflite"}


def run(folder: Path, model: Path, arrays: dict[str, Any], **settings: Any) -> dict[str, Any]:
    np.savez(folder / "data.npz", **arrays)
    steps = [{"technique": "post_training_quantization", **settings}] if settings else []
    job = Job(
        model=model,
        model_name=model.name,
        data=DataSource(name="data.npz", path=folder / "data.npz"),
        recipe=recipe_from_json({"steps": steps}),
        out=folder / "out",
        work=folder / "work",
    )
    return perform(job, lambda event: None, lambda: False)


def names_in(path: Path) -> dict[str, str]:
    """What the file calls "zeta", "alpha", "kind" and "area"; a file without a signature has numbers only."""
    summary = read_model_summary(path, name=path.name)
    inputs = {
        "zeta" if shape[-1] == 6 else "alpha": name for shape, name in zip(summary.input_shapes, summary.input_names, strict=True)
    }
    outputs = {
        "kind" if shape is not None and shape[-1] == 3 else "area": name
        for shape, name in zip(summary.output_shapes, summary.output_names, strict=True)
    }
    return {**inputs, **outputs}


@pytest.mark.parametrize("name", ["served", "signed", "bare"])
def test_each_array_reaches_its_input_and_labels_their_output(tmp_path: Path, files: dict[str, Path], name: str) -> None:
    names = names_in(files[name])
    arrays = {f"x_{names['zeta']}": TABLE, f"x_{names['alpha']}": WORDS}
    kinds = run(tmp_path, files[name], {**arrays, f"y_{names['kind']}": KIND})
    assert kinds["data"]["task"] == "classification"
    assert kinds["result"]["accuracy"]["value"] == 1.0
    areas = run(tmp_path, files[name], {**arrays, f"y_{names['area']}": AREA})
    assert areas["result"]["mae"]["value"] < 1e-5
    assert any("is measured" in note for note in areas["data"]["notes"])


@pytest.mark.parametrize(
    ("settings", "stored"),
    [
        ({"activations": "int8"}, "INT8"),
        ({"activations": "int16"}, "INT8"),
        ({"input_output": "int8"}, "INT8"),
        ({"activations": "float32"}, "INT8"),
        ({"weights": "float16", "activations": "float32"}, "FLOAT16"),
        ({"weights": "int4"}, "INT4"),
    ],
    ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("name", ["served", "signed", "bare"])
def test_it_is_quantized_and_stays_right(
    tmp_path: Path, files: dict[str, Path], name: str, settings: dict[str, str], stored: str
) -> None:
    names = names_in(files[name])
    arrays = {f"x_{names['zeta']}": TABLE, f"x_{names['alpha']}": WORDS, f"y_{names['kind']}": KIND}
    report = run(tmp_path, files[name], arrays, **settings)
    assert report["result"]["accuracy"]["value"] > 0.6
    file = LiteRTFile((tmp_path / "out" / "model.tflite").read_bytes())
    kinds = {
        kernel.dtype for operator in file.operators if operator.name == "FULLY_CONNECTED" for kernel in file.kernels(operator)
    }
    # Beside a table, TensorFlow's converter makes the weights int8, and leaves kernels as small as this one.
    assert stored in kinds or (name, settings.get("activations")) == ("served", "float32")


def test_the_values_of_each_input_are_told(files: dict[str, Path]) -> None:
    words = expected_range_in_words(read_model_summary(files["signed"], name="signed.tflite"))
    assert "alpha: whole numbers 0 to 8" in words
    assert "zeta: the file does not say; values are taken as stored" in words


def test_word_numbers_beyond_the_table_are_refused(tmp_path: Path, files: dict[str, Path]) -> None:
    with pytest.raises(InputError) as caught:
        run(tmp_path, files["signed"], {"x_zeta": TABLE, "x_alpha": WORDS + 3, "y_kind": KIND})
    assert caught.value.expected == "whole numbers 0 to 8"


def test_several_inputs_of_any_size_are_refused_with_what_to_do(tmp_path: Path) -> None:
    import tensorflow as tf

    specs = [tf.TensorSpec([1, None, 6], tf.float32, name="left"), tf.TensorSpec([1, 6], tf.float32, name="right")]

    @tf.function(input_signature=specs)
    def serve(left: Any, right: Any) -> Any:
        return tf.nn.softmax(tf.matmul(tf.reduce_sum(left, 1) + right, KERNEL[:6]))

    concrete = serve.get_concrete_function()
    content = tf.lite.TFLiteConverter.from_concrete_functions([concrete], tf.Module()).convert()
    (tmp_path / "open.tflite").write_bytes(content)
    summary = read_model_summary(tmp_path / "open.tflite", name="open.tflite")
    assert "convert it again with fixed shapes" in summary.notes[0]
    (finding,) = PostTrainingQuantization().check(summary)
    assert finding.verdict is Verdict.IMPOSSIBLE
    with pytest.raises(InputError) as caught:
        run(tmp_path, tmp_path / "open.tflite", {"x_left": TABLE[:, None], "x_right": TABLE, "y": KIND})
    assert caught.value.code == "UNSUPPORTED_MODEL"
    assert "input left" in caught.value.place


def test_an_output_that_is_given_twice_or_is_an_input_keeps_its_name(tmp_path: Path) -> None:
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([1, 6], tf.float32, name="zeta")])
    def serve(zeta: Any) -> dict[str, Any]:
        kind = tf.nn.softmax(tf.matmul(zeta, KERNEL[:6]))
        return {"kind": kind, "again": kind, "zeta_too": zeta}

    module = tf.Module()
    tf.saved_model.save(module, str(tmp_path / "m"), signatures=serve)
    (tmp_path / "m.tflite").write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "m")).convert())
    labels = (TABLE @ KERNEL[:6]).argmax(1)
    report = run(tmp_path, tmp_path / "m.tflite", {"x": TABLE, "y_kind": labels}, activations="int8")
    assert report["result"]["accuracy"]["value"] > 0.9
    assert set(LiteRTFile((tmp_path / "out" / "model.tflite").read_bytes()).output_names) == {"kind", "again", "zeta_too"}
