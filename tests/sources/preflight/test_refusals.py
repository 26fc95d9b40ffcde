"""Model files that must be refused, each with its code; nothing in them may run."""

import copy
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from optimizer.errors import InputError


def _layer(class_name: str, name: str = "extra", inbound: str = "hidden", module: Any = "keras.layers", **settings: Any) -> Any:
    return {
        "module": module,
        "class_name": class_name,
        "config": {"name": name, "trainable": True, "dtype": "float32", **settings},
        "registered_name": None,
        "name": name,
        "inbound_nodes": [[[inbound, 0, 0, {}]]],
    }


@pytest.mark.parametrize("name", ["a.h5", "a.keras", "a.hdf5"])
def test_an_empty_file(tmp_path: Path, refused_model: Callable[..., InputError], name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    refused_model(tmp_path / name, "EMPTY")


@pytest.mark.parametrize("name", ["a.h5", "a.keras", "a.txt"])
def test_plain_text(tmp_path: Path, refused_model: Callable[..., InputError], name: str) -> None:
    (tmp_path / name).write_text("not a model at all")
    refused_model(tmp_path / name, "NOT_A_MODEL")


def test_no_file(tmp_path: Path, refused_model: Callable[..., InputError]) -> None:
    refused_model(tmp_path / "a.h5", "NOT_FOUND")


def test_a_name_from_a_stranger_stays_on_one_line(tmp_path: Path, refused_model: Callable[..., InputError]) -> None:
    (tmp_path / "a").write_bytes(b"")
    error = refused_model(tmp_path / "a", "EMPTY", name="../../<img src=x>\n\u202e\0" + "x" * 300 + ".h5")
    assert "\u202e" not in error.line


def test_the_content_decides_and_the_extension_must_agree(
    good_h5: Path, good_keras: Path, refused_model: Callable[..., InputError]
) -> None:
    refused_model(good_h5, "TYPE_MISMATCH", name="model.keras")
    refused_model(good_keras, "TYPE_MISMATCH", name="model.h5")
    refused_model(good_h5, "TYPE_MISMATCH", name="model.bin")


def test_a_file_cut_in_half(good_h5: Path, good_keras: Path, refused_model: Callable[..., InputError]) -> None:
    for path in (good_h5, good_keras):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        assert "cut off" in refused_model(path, "TRUNCATED").what


def test_weights_only(tmp_path: Path, refused_model: Callable[..., InputError]) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["layer_names"] = [b"dense"]
        file.create_group("dense").create_dataset("kernel:0", data=np.zeros((2, 2)))
    assert "model.save(" in refused_model(tmp_path / "w.h5", "NO_ARCHITECTURE").fix
    with h5py.File(tmp_path / "w.weights.h5", "w") as file:
        file.create_dataset("layers/dense/vars/0", data=np.zeros((2, 2)))
    refused_model(tmp_path / "w.weights.h5", "NO_ARCHITECTURE")


def test_hdf5_that_is_no_model(tmp_path: Path, refused_model: Callable[..., InputError]) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("temperatures", data=np.zeros(3))
    refused_model(tmp_path / "a.h5", "NOT_A_MODEL")


def test_architecture_without_weights_in_an_h5(good_h5: Path, refused_model: Callable[..., InputError]) -> None:
    with h5py.File(good_h5, "a") as file:
        del file["model_weights"]
    refused_model(good_h5, "MISSING_PART")


@pytest.mark.parametrize("member", ["config.json", "metadata.json", "model.weights.h5"])
def test_a_keras_archive_that_lacks_a_part(
    write_keras: Callable[..., Path], dense_config: Any, dense_paths: Any, refused_model: Callable[..., InputError], member: str
) -> None:
    error = refused_model(write_keras(dense_config, dense_paths, members={member: None}), "MISSING_PART")
    assert member in error.what


@pytest.mark.parametrize(
    "text", ['{"class_name": "Functional"', "[" * 100_000, "[]", "7", '{"a":' * 5_000 + "1" + "}" * 5_000, ""]
)
def test_a_config_that_is_no_config(
    write_keras: Callable[..., Path],
    write_h5: Callable[..., Path],
    dense_weights: Any,
    refused_model: Callable[..., InputError],
    text: str,
) -> None:
    refused_model(write_keras(text, {}), "BAD_CONFIG")
    refused_model(write_h5(text or "x", dense_weights), "BAD_CONFIG")


def test_a_config_nested_too_deeply(
    write_keras: Callable[..., Path], with_layer: Callable[..., Any], refused_model: Callable[..., InputError]
) -> None:
    deep = {}
    for _ in range(200):
        deep = {"a": deep}
    refused_model(write_keras(with_layer(_layer("ReLU", max_value=deep)), {}), "BAD_CONFIG")


def test_a_lambda_layer(
    write_h5: Callable[..., Path],
    write_keras: Callable[..., Path],
    with_layer: Callable[..., Any],
    refused_model: Callable[..., InputError],
) -> None:
    config = with_layer(_layer("Lambda", function=["4wEAAAAA", None, None], function_type="lambda"))
    for path in (write_h5(config, {}), write_keras(config, {})):
        error = refused_model(path, "UNSAFE_LAYER")
        assert "Lambda" in error.what
        assert "extra" in error.place


@pytest.mark.parametrize("place", ["wrapper", "nested", "activation", "argument", "list layer"])
def test_a_lambda_hidden_inside_something(
    write_h5: Callable[..., Path],
    with_layer: Callable[..., Any],
    dense_config: Any,
    refused_model: Callable[..., InputError],
    place: str,
) -> None:
    hidden = {"module": "keras.layers", "class_name": "Lambda", "config": {"name": "evil", "function": ["x", None, None]}}
    if place == "wrapper":
        config = with_layer(_layer("TimeDistributed", layer=hidden))
    elif place == "nested":
        inner = copy.deepcopy(dense_config)
        inner["config"]["layers"].insert(1, {**hidden, "name": "evil", "inbound_nodes": [[["image", 0, 0, {}]]]})
        config = with_layer({**inner, "name": "inner", "inbound_nodes": [[["hidden", 0, 0, {}]]]})
    elif place == "activation":
        config = with_layer(_layer("Activation", activation=hidden))
    elif place == "argument":
        config = with_layer(_layer("ReLU"))
        config["config"]["layers"][2]["inbound_nodes"][0][0][3] = {"x": {"class_name": "__lambda__", "config": {"value": "x"}}}
    else:
        config = with_layer(_layer("RNN", cell={"class_name": "StackedRNNCells", "config": {"cells": [hidden]}}))
    refused_model(write_h5(config, {}), "UNSAFE_LAYER")


@pytest.mark.parametrize(
    "module",
    ["os", "keras_evil.layers", "tensorflow.python.framework", "tensorflow.python.ops.init_ops_v2", "builtins_", "", 7, [], {}],
)
def test_a_foreign_module(
    write_keras: Callable[..., Path], with_layer: Callable[..., Any], refused_model: Callable[..., InputError], module: Any
) -> None:
    refused_model(write_keras(with_layer(_layer("Dense", module=module, units=3)), {}), "UNSAFE_MODULE")


def test_a_foreign_module_without_a_class(
    write_keras: Callable[..., Path], with_layer: Callable[..., Any], refused_model: Callable[..., InputError]
) -> None:
    odd = {"module": "os", "config": "system"}
    refused_model(write_keras(with_layer(_layer("ReLU", max_value=odd)), {}), "UNSAFE_MODULE")


def test_a_class_registered_under_another_name(
    write_keras: Callable[..., Path], with_layer: Callable[..., Any], refused_model: Callable[..., InputError]
) -> None:
    record = {**_layer("Dense", units=3), "registered_name": "Vision>QuantizeEverything"}
    refused_model(write_keras(with_layer(record), {}), "UNSAFE_MODULE")


@pytest.mark.parametrize(
    "function", ["io.write_file", "io.gfile.remove", "py_function", "numpy_function", "raw_ops.WriteFile", None, 3]
)
def test_an_op_that_could_do_harm(
    write_h5: Callable[..., Path], with_layer: Callable[..., Any], refused_model: Callable[..., InputError], function: Any
) -> None:
    assert "Op" in refused_model(write_h5(with_layer(_layer("TFOpLambda", function=function)), {}), "UNSAFE_OP").what


@pytest.mark.parametrize("class_name", ["TensorFlowOpLayer", "ClassMethod", "InstanceProperty"])
def test_layers_that_stand_for_any_op(
    write_h5: Callable[..., Path], with_layer: Callable[..., Any], refused_model: Callable[..., InputError], class_name: str
) -> None:
    refused_model(write_h5(with_layer(_layer(class_name)), {}), "UNSAFE_OP")


@pytest.mark.parametrize("class_name", ["StringLookup", "TextVectorization", "IntegerLookup"])
def test_layers_that_read_files(
    write_h5: Callable[..., Path], with_layer: Callable[..., Any], refused_model: Callable[..., InputError], class_name: str
) -> None:
    refused_model(write_h5(with_layer(_layer(class_name, vocabulary="/etc/passwd")), {}), "UNSAFE_LAYER")


def test_a_custom_layer_is_named(
    write_h5: Callable[..., Path], with_layer: Callable[..., Any], refused_model: Callable[..., InputError]
) -> None:
    assert "'MyAttention'" in refused_model(write_h5(with_layer(_layer("MyAttention", module=None)), {}), "UNKNOWN_LAYER").what


@pytest.mark.parametrize(
    "activation", ["my_activation", {"module": "builtins", "class_name": "function", "config": "my_activation"}]
)
def test_a_custom_activation_is_named(
    write_keras: Callable[..., Path], with_layer: Callable[..., Any], refused_model: Callable[..., InputError], activation: Any
) -> None:
    assert (
        "my_activation"
        in refused_model(write_keras(with_layer(_layer("Activation", activation=activation)), {}), "UNKNOWN_LAYER").what
    )


def test_pruning_wrappers_left_in_the_model_tell_how_to_strip_them(
    write_h5: Callable[..., Path], with_layer: Callable[..., Any], refused_model: Callable[..., InputError]
) -> None:
    assert "strip_pruning" in refused_model(write_h5(with_layer(_layer("PruneLowMagnitude")), {}), "UNKNOWN_LAYER").fix


def test_a_custom_loss_is_no_reason_to_refuse(write_keras: Callable[..., Path], dense_config: Any, dense_paths: Any) -> None:
    from optimizer.sources.preflight import read_model_summary

    dense_config["compile_config"] = {"loss": {"module": "my.losses", "class_name": "function", "config": "focal"}}
    assert read_model_summary(write_keras(dense_config, dense_paths), name="a.keras").parameters == 23


def test_a_subclassed_model(write_keras: Callable[..., Path], refused_model: Callable[..., InputError]) -> None:
    refused_model(
        write_keras({"module": None, "class_name": "MyModel", "config": {}, "registered_name": "MyModel"}, {}), "SUBCLASSED"
    )


def test_external_storage_in_the_weights(good_h5: Path, tmp_path: Path, refused_model: Callable[..., InputError]) -> None:
    (tmp_path / "secret").write_bytes(b"\0" * 64)
    with h5py.File(good_h5, "a") as file:
        group = file["model_weights/hidden/hidden"]
        del group["bias:0"]
        group.create_dataset("bias:0", (3,), "f4", external=[(str(tmp_path / "secret"), 0, 12)])
    assert "points outside itself" in refused_model(good_h5, "EXTERNAL_DATA").what


@pytest.mark.parametrize("kind", ["external", "soft", "virtual"])
def test_links_and_virtual_data(good_h5: Path, refused_model: Callable[..., InputError], kind: str) -> None:
    with h5py.File(good_h5, "a") as file:
        group = file["model_weights/hidden/hidden"]
        del group["bias:0"]
        if kind == "external":
            group["bias:0"] = h5py.ExternalLink("/etc/passwd", "/x")
        elif kind == "soft":
            group["bias:0"] = h5py.SoftLink("/model_weights/out/out/bias:0")
        else:
            layout = h5py.VirtualLayout((3,), "f4")
            layout[:] = h5py.VirtualSource("/tmp/other.h5", "x", (3,))  # noqa: S108
            group.create_virtual_dataset("bias:0", layout)
    refused_model(good_h5, "EXTERNAL_DATA")


def test_external_data_in_a_keras_archive(
    write_keras: Callable[..., Path], dense_config: Any, tmp_path: Path, refused_model: Callable[..., InputError]
) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["layers"] = h5py.ExternalLink("/etc/passwd", "/x")
    path = write_keras(dense_config, {}, members={"model.weights.h5": (tmp_path / "w.h5").read_bytes()})
    refused_model(path, "EXTERNAL_DATA")


def test_a_weight_that_claims_more_than_the_file_stores(good_h5: Path, refused_model: Callable[..., InputError]) -> None:
    with h5py.File(good_h5, "a") as file:
        file["model_weights"].create_dataset("huge", (200_000_000,), "f4", fillvalue=1.0)
    refused_model(good_h5, "TOO_LARGE")


@pytest.mark.parametrize(
    ("units", "code"), [(-4, "BAD_CONFIG"), ("x", "BAD_CONFIG"), (2.5, "BAD_CONFIG"), (None, "BAD_CONFIG"), (2e9, "TOO_LARGE")]
)
def test_impossible_settings(
    write_h5: Callable[..., Path],
    dense_config: Any,
    dense_weights: Any,
    refused_model: Callable[..., InputError],
    units: Any,
    code: str,
) -> None:
    dense_config["config"]["layers"][1]["config"]["units"] = units
    assert "hidden" in refused_model(write_h5(dense_config, dense_weights), code).place


def test_a_layer_that_gives_out_too_much(
    write_h5: Callable[..., Path], with_layer: Callable[..., Any], refused_model: Callable[..., InputError]
) -> None:
    refused_model(write_h5(with_layer(_layer("RepeatVector", n=2_000_000_000)), {}), "TOO_LARGE")


def test_weights_that_do_not_fit_name_the_layer(
    write_h5: Callable[..., Path],
    write_keras: Callable[..., Path],
    dense_config: Any,
    dense_weights: Any,
    dense_paths: Any,
    refused_model: Callable[..., InputError],
) -> None:
    dense_config["config"]["layers"][1]["config"]["units"] = 7
    for path in (write_h5(dense_config, dense_weights), write_keras(dense_config, dense_paths)):
        error = refused_model(path, "WEIGHTS_MISMATCH")
        assert "hidden" in error.place
        assert "(4, 7)" in error.expected
        assert "(4, 3)" in error.received


def test_weights_of_a_layer_that_is_not_there(
    write_h5: Callable[..., Path],
    write_keras: Callable[..., Path],
    dense_config: Any,
    dense_weights: Any,
    dense_paths: Any,
    refused_model: Callable[..., InputError],
) -> None:
    refused_model(write_h5(dense_config, {**dense_weights, "ghost": {"kernel": (2, 2)}}), "WEIGHTS_MISMATCH")
    refused_model(write_keras(dense_config, {**dense_paths, "layers/conv2d/vars/0": (2, 2)}), "WEIGHTS_MISMATCH")


@pytest.mark.parametrize("fault", ["circle", "unfed", "unknown source", "two names", "no outputs", "no layers"])
def test_graphs_that_cannot_be(
    write_h5: Callable[..., Path], dense_config: Any, dense_weights: Any, refused_model: Callable[..., InputError], fault: str
) -> None:
    config = dense_config["config"]
    if fault == "circle":
        config["layers"][1]["inbound_nodes"] = [[["out", 0, 0, {}]]]
    elif fault == "unfed":
        config["layers"][1]["inbound_nodes"] = []
    elif fault == "unknown source":
        config["layers"][1]["inbound_nodes"] = [[["nobody", 0, 0, {}]]]
    elif fault == "two names":
        config["layers"].append(copy.deepcopy(config["layers"][1]))
    elif fault == "no outputs":
        config["output_layers"] = []
    else:
        config["layers"] = []
    refused_model(write_h5(dense_config, dense_weights), "BAD_CONFIG")


def test_an_input_of_unknown_shape(write_h5: Callable[..., Path], refused_model: Callable[..., InputError]) -> None:
    config = {"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense", "config": {"name": "a", "units": 2}}]}}
    refused_model(write_h5(config, {}), "UNSUPPORTED_MODEL")


def test_a_pytorch_model_is_named(tmp_path: Path, refused_model: Callable[..., InputError]) -> None:
    with zipfile.ZipFile(tmp_path / "torch.zip", "w") as archive:
        archive.writestr("archive/data.pkl", b"x")
    assert "PyTorch" in refused_model(tmp_path / "torch.zip", "UNSUPPORTED_FORMAT").what


def test_a_zip_that_is_no_model(tmp_path: Path, refused_model: Callable[..., InputError]) -> None:
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.writestr("readme.txt", b"x")
    refused_model(tmp_path / "a.keras", "NOT_A_MODEL")


def test_archives_that_lie(
    write_keras: Callable[..., Path], dense_config: Any, dense_paths: Any, refused_model: Callable[..., InputError]
) -> None:
    refused_model(write_keras(dense_config, dense_paths, members={"../../evil.py": "x"}), "NOT_A_MODEL")
    refused_model(write_keras(dense_config, dense_paths, members={f"a{n}": "x" for n in range(50)}), "TOO_LARGE")
    path = write_keras(dense_config, dense_paths)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("config.json", "{}")
    refused_model(path, "DUPLICATE")


def test_a_bomb_and_an_encrypted_archive(
    tmp_path: Path,
    write_keras: Callable[..., Path],
    dense_config: Any,
    dense_paths: Any,
    refused_model: Callable[..., InputError],
) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        for member in ("metadata.json", "config.json"):
            archive.writestr(member, "{}")
        archive.writestr("model.weights.h5", b"\0" * 40_000_000)
    refused_model(tmp_path / "bomb.keras", "ZIP_BOMB")
    path = write_keras(dense_config, dense_paths)
    data = bytearray(path.read_bytes())
    start = 0
    while (start := data.find(b"PK\x01\x02", start)) >= 0:
        struct.pack_into("<H", data, start + 8, 1)
        start += 4
    path.write_bytes(data)
    refused_model(path, "ENCRYPTED")


def test_a_flipped_bit_in_the_weights_is_found(good_keras: Path, refused_model: Callable[..., InputError]) -> None:
    data = bytearray(good_keras.read_bytes())
    data[len(data) // 2] ^= 1
    good_keras.write_bytes(data)
    refused_model(good_keras, "TRUNCATED")


def test_a_build_shape_that_would_fill_the_memory(
    write_keras: Callable[..., Path], dense_config: Any, refused_model: Callable[..., InputError]
) -> None:
    hidden = dense_config["config"]["layers"][1]
    hidden["build_config"] = {"input_shape": [None, 200_000_000]}
    refused_model(write_keras(dense_config, {}), "TOO_LARGE")
    hidden["build_config"] = {"input_shape": [None, 2_000_000_000]}
    refused_model(write_keras(dense_config, {}), "TOO_LARGE")
