"""Whole models: nested, shared, with several inputs and outputs, of half precision, and architectures of keras.applications."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from optimizer.errors import InputError
from optimizer.sources.keras_3.agreement import Agreement, compare_with_original, require_agreement
from optimizer.sources.keras_model import load_keras_model
from optimizer.sources.preflight import read_model_summary

EXTENSIONS = ("keras", "h5")


def nested(keras: Any) -> Any:
    layers = keras.layers
    inner_input = keras.Input((6, 6, 2))
    inner = keras.Model(inner_input, layers.BatchNormalization()(layers.Conv2D(2, 3, padding="same")(inner_input)))
    row = keras.Sequential([layers.DepthwiseConv2D(3, name="depthwise"), layers.BatchNormalization(), layers.ReLU()], name="row")
    inputs = keras.Input((6, 6, 2))
    outer = keras.Sequential([keras.Input((6, 6, 2)), inner, row, layers.Flatten(), layers.Dense(3)])
    return keras.Model(inputs, outer(inputs))


def shared(keras: Any) -> Any:
    layers = keras.layers
    dense, block = layers.Dense(4, activation="hard_silu"), keras.Sequential([layers.Dense(4), layers.LayerNormalization()])
    norm = layers.RMSNormalization()
    inputs = keras.Input((4,))
    x = norm(dense(dense(inputs)))
    return keras.Model(inputs, block(block(x)) + norm(dense(inputs)))


def several(keras: Any) -> Any:
    layers = keras.layers
    inputs = {"second": keras.Input((4,), name="second"), "first": keras.Input((5,), name="first")}
    pair = keras.Model(
        {"y": (y := keras.Input((3,), name="y")), "x": (x := keras.Input((3,), name="x"))},
        {"sum": x + 2 * y, "difference": layers.Dense(2)(x - y)},
    )
    found = pair({"x": layers.Dense(3)(inputs["first"]), "y": layers.Dense(3)(inputs["second"])})
    return keras.Model(inputs, {"z": found["sum"], "m": [found["difference"], layers.Dense(1)(found["sum"])]})


def called_by_name(keras: Any) -> Any:
    """A model of a list of inputs, not in the order of the alphabet, that gets them by their names, and one more."""
    layers = keras.layers
    first, second = keras.Input((3,), name="zeta"), keras.Input((3,), name="alpha")
    inner = keras.Model([first, second], first - layers.Dense(3)(second))
    row = keras.Sequential([keras.Input((3,), name="row"), layers.Dense(3)])
    p, q = keras.Input((3,)), keras.Input((3,))
    return keras.Model([p, q], inner({"zeta": p, "beta": q, "alpha": q}) + row({"alpha": p, "row": q}))


def of_brain_floats(keras: Any) -> Any:
    """Eight bits of a number: its rounding is far from what a translation may differ by."""
    layers, policy = keras.layers, "mixed_bfloat16"
    inputs = keras.Input((5, 4))
    x = layers.Dense(6, activation="relu", dtype=policy)(layers.LSTM(5, return_sequences=True, dtype=policy)(inputs))
    return keras.Model(inputs, layers.Dense(3, dtype="float32")(layers.Flatten(dtype=policy)(x)))


def with_masks_dropped(keras: Any) -> Any:
    """An operation of Keras 3 drops the mask; the layer that stands for it in tf-keras would hand it on."""
    layers = keras.layers
    inputs = keras.Input((6,), dtype="int32")
    x = layers.Embedding(10, 4, mask_zero=True)(inputs)
    joined = layers.Concatenate()([x, layers.Dense(4)(x)])
    return keras.Model(
        inputs, layers.LSTM(3)(x + x) + layers.GlobalAveragePooling1D()(keras.ops.relu(x))[:, :3] + layers.LSTM(3)(joined)
    )


def named_in_any_script(keras: Any) -> Any:
    """TensorFlow takes ASCII letters only, and no spaces."""
    layers = keras.layers
    inner = keras.Sequential([keras.Input((5, 5, 1)), layers.Conv2D(2, 3, name="Faltung ß"), layers.ReLU()], name="innen 1")
    inputs = keras.Input((5, 5, 1), name="entrée")
    x = layers.Dense(2, name="_")(layers.Flatten(name="Faltung ü")(inner(inputs)))
    return keras.Model(inputs, layers.Dense(3, name="Faltung ö")(x), name="U-Net v1.0 (классы)")


def unfinished(keras: Any) -> Any:
    """A Sequential without an Input layer, built by hand."""
    model = keras.Sequential([keras.layers.Conv2D(3, 3), keras.layers.GlobalMaxPooling2D(), keras.layers.Dense(2)])
    model.build((None, 7, 7, 2))
    return model


def open_axes(keras: Any) -> Any:
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, activation=keras.layers.LeakyReLU())(inputs)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))


def adapted(keras: Any) -> Any:
    """A Normalization with statistics of its own data."""
    normalization = keras.layers.Normalization()
    normalization.adapt(np.random.default_rng(0).normal(3, 2, (50, 4)))
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Dense(2)(normalization(inputs)))


def frozen(keras: Any) -> Any:
    base = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Conv2D(2, 3), keras.layers.BatchNormalization()])
    base.trainable = False
    inputs = keras.Input((6, 6, 1))
    return keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(base(inputs, training=False))))


def of_half_precision(keras: Any) -> Any:
    inputs = keras.Input((6, 6, 1))
    x = keras.layers.Conv2D(4, 3, dtype="mixed_float16")(inputs)
    x = keras.ops.relu(x) * 2
    return keras.Model(inputs, keras.layers.Dense(2, dtype="float32")(keras.layers.Flatten(dtype="mixed_float16")(x)))


MODELS = [
    nested,
    shared,
    several,
    called_by_name,
    unfinished,
    open_axes,
    adapted,
    frozen,
    of_half_precision,
    of_brain_floats,
    with_masks_dropped,
    named_in_any_script,
]


@pytest.mark.filterwarnings("ignore:The structure of `inputs` doesn't match")
@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("build", MODELS, ids=lambda build: build.__name__)
def test_a_model_computes_the_same(build: Any, extension: str, keras: Any, agreement: Callable[..., Agreement]) -> None:
    found = agreement(build(keras), extension)
    if extension == "keras":
        assert found.relative is not None, found.reason
    assert (found.relative or 0.0) < 1e-5


def test_a_fault_of_keras_3_with_single_samples_is_no_mismatch(keras: Any, agreement: Callable[..., Agreement]) -> None:
    """It adds (1, 5, 1) as if it were (5,): along the last axis instead of the middle one."""
    layers = keras.layers
    inputs = keras.Input((5, 4))
    found = agreement(keras.Model(inputs, layers.Dense(5)(inputs) + layers.Dense(1)(inputs)), "keras")
    assert found.relative is not None
    assert found.relative < 1e-5
    assert found.rounding > 1e-2
    assert found.together
    assert "given at once" in found.in_words("3")


ARCHITECTURES = {
    "MobileNetV3Small": 32, "EfficientNetB0": 32, "ConvNeXtTiny": 32,
}  # fmt: skip


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_architecture_computes_the_same(name: str, keras: Any, tmp_path: Path) -> None:
    size = ARCHITECTURES[name]
    model = getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), classes=10, classifier_activation=None)
    model.save(tmp_path / "model.keras")
    del model
    keras.backend.clear_session()
    summary = read_model_summary(tmp_path / "model.keras", name="model.keras")
    found = compare_with_original(tmp_path / "model.keras", summary, load_keras_model(tmp_path / "model.keras", summary))
    assert found.relative is not None, found.reason
    assert found.relative < 1e-4


def test_the_summary_is_the_one_of_the_translation(keras: Any, saved: Callable[..., Path]) -> None:
    path = saved(nested(keras))
    summary = read_model_summary(path, name="model.keras")
    assert summary.keras_version == keras.__version__
    assert summary.format == "keras"
    names = {layer.class_name: layer.name for layer in summary.layers if layer.parameters}
    assert set(names) == {"Conv2D", "BatchNormalization", "DepthwiseConv2D", "Dense"}
    assert names["DepthwiseConv2D"].endswith("row/depthwise")
    assert summary.macs is not None
    assert summary.parameters == keras.saving.load_model(path).count_params()


def test_folders_named_by_layers_are_found_too(keras: Any, saved: Callable[..., Path]) -> None:
    layers = keras.layers
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="front"), layers.Dense(3, name="back")])
    path = saved(model)
    _change_weights(
        path, lambda file: [file.move(f"layers/{a}", f"layers/{b}") for a, b in (("dense", "front"), ("dense_1", "back"))]
    )
    summary = read_model_summary(path, name="model.keras")
    translated = load_keras_model(path, summary)
    for one, other in zip(model.get_weights(), translated.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_layer_of_two_models_has_its_weights_in_both(keras: Any, saved: Callable[..., Path]) -> None:
    dense, inner_input, inputs = keras.layers.Dense(3, name="both"), keras.Input((3,)), keras.Input((3,))
    inner = keras.Model(inner_input, dense(inner_input))
    model = keras.Model(inputs, inner(dense(inputs)))
    path = saved(model)
    translated = load_keras_model(path, read_model_summary(path, name="model.keras"))
    x = np.ones((2, 3), np.float32)
    np.testing.assert_allclose(translated(x), model(x), rtol=1e-6)


def test_states_of_random_numbers_are_no_weights(keras: Any, saved: Callable[..., Path]) -> None:
    path = saved(keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(2)]))
    _change_weights(path, lambda file: file.create_dataset("layers/dropout/seed_generator/vars/0", data=np.zeros(2, np.uint32)))
    assert read_model_summary(path, name="model.keras").parameters == 10


def test_weights_of_another_shape_name_their_layer(keras: Any, saved: Callable[..., Path]) -> None:
    path = saved(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="narrow")]))

    def widen(file: h5py.File) -> None:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = np.zeros((4, 3), np.float32)

    _change_weights(path, widen)
    with pytest.raises(InputError) as caught:
        read_model_summary(path, name="model.keras")
    assert caught.value.code == "WEIGHTS_MISMATCH"
    assert "narrow" in caught.value.place


def test_a_stranger_with_the_name_of_a_layer_of_keras_is_refused(keras: Any, saved: Callable[..., Path]) -> None:
    path = saved(keras.applications.ConvNeXtTiny(weights=None, input_shape=(32, 32, 3), include_top=False))
    _change_config(path, lambda text: text.replace("keras.src.applications.convnext", "keras.src.layers"))
    with pytest.raises(InputError) as caught:
        read_model_summary(path, name="model.keras")
    assert caught.value.code == "NOT_TRANSLATABLE"
    assert "LayerScale" in caught.value.what


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have a `quantize` method")
def test_a_quantized_model_is_refused_by_its_policy(keras: Any, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="small")])
    model.quantize("int8")
    model.save(tmp_path / "model.keras")
    with pytest.raises(InputError) as caught:
        read_model_summary(tmp_path / "model.keras", name="model.keras")
    assert caught.value.code == "NOT_TRANSLATABLE"
    assert "quantized" in caught.value.what
    assert "small" in caught.value.place


def test_a_translation_that_computes_something_else_is_an_error(keras: Any, saved: Callable[..., Path]) -> None:
    path = saved(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]))
    summary = read_model_summary(path, name="model.keras")
    translated = load_keras_model(path, summary)
    translated.layers[-1].kernel.assign(translated.layers[-1].kernel * 1.01)
    found = compare_with_original(path, summary, translated)
    assert found.relative is not None
    assert 1e-3 < found.relative < 1e-1
    with pytest.raises(InputError) as caught:
        require_agreement(found, summary)
    assert caught.value.code == "TRANSLATION_MISMATCH"
    assert f"{found.relative:.1e}" in caught.value.received


def test_a_translation_that_raises_an_error_is_one_too(keras: Any, saved: Callable[..., Path]) -> None:
    import tf_keras

    path = saved(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]))
    summary = read_model_summary(path, name=path.name)
    other = tf_keras.Sequential([tf_keras.Input((5,)), tf_keras.layers.Dense(2)])
    with pytest.raises(InputError) as caught:
        compare_with_original(path, summary, other)
    assert caught.value.code == "TRANSLATION_MISMATCH"
    assert caught.value.place == path.name
    assert "ValueError" in caught.value.received
    assert caught.value.fix


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace('"keras_history"', '"history"'),
        lambda text: text.replace('["conv2d', '["nowhere'),
        lambda text: text.replace('"args"', '"arguments"'),
        lambda text: text.replace(', 0, 0]}}', ', 7, 0]}}'),
        lambda text: text.replace('"input_layers"', '"inputs"'),
        lambda text: text.replace('"batch_shape"', '"shape"'),
    ],
)  # fmt: skip
def test_a_config_that_keras_3_does_not_write_is_refused(change: Any, keras: Any, saved: Callable[..., Path]) -> None:
    path = saved(nested(keras))
    _change_config(path, change)
    with pytest.raises(InputError) as caught:
        read_model_summary(path, name="model.keras")
    assert caught.value.code in ("BAD_CONFIG", "UNSUPPORTED_MODEL"), caught.value.line


def _change_weights(path: Path, change: Callable[[h5py.File], Any]) -> None:
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    store = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(store, "r+") as file:
        change(file)
    _write(path, {**parts, "model.weights.h5": store.getvalue()})


def _change_config(path: Path, change: Callable[[str], str]) -> None:
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    changed = change(parts["config.json"].decode())
    json.loads(changed)
    _write(path, {**parts, "config.json": changed.encode()})


def _write(path: Path, parts: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def test_outputs_of_a_dictionary_keep_their_names(keras: Any, saved: Callable[..., Path]) -> None:
    inputs = keras.Input((6,))
    heads = {"price": keras.layers.Dense(1)(inputs), "kind": keras.layers.Dense(3, activation="softmax")(inputs)}
    model = keras.Model(inputs, heads)
    model.compile(loss={"price": "mse", "kind": "sparse_categorical_crossentropy"})
    path = saved(model)
    summary = read_model_summary(path, name=path.name)
    assert summary.names_of_outputs == ("kind", "price")
    assert [shape[-1] for shape in summary.output_shapes if shape] == [3, 1]


def test_a_layer_that_always_trains_is_refused(keras: Any, refused: Callable[..., InputError]) -> None:
    inputs = keras.Input((6,))
    error = refused(keras.Model(inputs, keras.layers.Dropout(0.5, name="drop")(inputs, training=True)), "UNSUPPORTED_MODEL")
    assert "layer drop" in error.place
    assert "training=True" in error.what
