"""Bad inputs 1 to 16: Keras files that run code, reach outside themselves, or lie about what they hold."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import good_files as good
import h5py
import numpy as np
from corpus_case import MEGABYTE, case

CODE = ["4wEAAAAAAAAAAAAAAAQAAABDAAAA", None, None]


def _lambda() -> dict[str, Any]:
    return good.layer("Lambda", "evil", "hidden", function=CODE, function_type="lambda")


@case("1", "UNSAFE_LAYER", "model", place="evil")
def lambda_in_h5(folder: Path) -> Path:
    return good.h5(folder / "lambda.h5", good.dense_config(_lambda()))


@case("2", "TYPE_MISMATCH", "model", received="an HDF5 file")
def lambda_h5_renamed_keras(folder: Path) -> Path:
    return good.h5(folder / "lambda.keras", good.dense_config(_lambda()))


@case("2", "TYPE_MISMATCH", "model")
def lambda_h5_renamed_bin(folder: Path) -> Path:
    return good.h5(folder / "lambda.bin", good.dense_config(_lambda()))


@case("3", "UNSAFE_LAYER", "model", place="evil")
def lambda_in_keras(folder: Path) -> Path:
    return good.keras(folder / "lambda.keras", config=good.dense_config(_lambda()))


@case("3", "UNSAFE_LAYER", "model", place="evil")
def lambda_of_keras_3(folder: Path) -> Path:
    record = good.layer("Lambda", "evil", "hidden", function={"class_name": "__lambda__", "config": {"code": CODE[0]}})
    return good.keras(folder / "lambda3.keras", config=good.dense_config(record), version="3.15.1")


@case("+", "UNSAFE_LAYER", "model", place="evil")
def lambda_of_keras_3_in_h5(folder: Path) -> Path:
    return good.h5(folder / "lambda3.h5", good.dense_config(_lambda()), version="3.15.1")


@case("4", "UNSAFE_MODULE", "model", place="evil")
def foreign_module(folder: Path) -> Path:
    return good.keras(
        folder / "module.keras", config=good.dense_config(good.layer("Dense", "evil", "hidden", module="os", units=3))
    )


@case("4", "UNSAFE_MODULE", "model", place="evil")
def foreign_module_of_keras_3(folder: Path) -> Path:
    record = good.layer("Dense", "evil", "hidden", module="os.path", units=3)
    return good.keras(folder / "module3.keras", config=good.dense_config(record), version="3.15.1")


@case("+", "UNKNOWN_LAYER", "model", place="evil")
def keras_3_function_that_downloads(folder: Path) -> Path:
    """keras.utils.get_file as if it were a layer (CVE-2025-8747)."""
    record = good.layer("get_file", "evil", "hidden", module="keras.utils", origin="http://127.0.0.1/x")
    return good.keras(folder / "download.keras", config=good.dense_config(record), version="3.15.1")


@case("+", "UNSAFE_LAYER", "model", place="evil")
def keras_3_layer_of_pickled_torch(folder: Path) -> Path:
    record = good.layer("TorchModuleWrapper", "evil", "hidden", module="keras.src.utils.torch_utils", module_="x")
    return good.keras(folder / "torch.keras", config=good.dense_config(record), version="3.15.1")


@case("+", "UNSAFE_OP", "model", place="evil")
def keras_3_operation_that_calls_a_function(folder: Path) -> Path:
    record = good.layer("Map", "evil", "hidden", module="keras.src.ops.core")
    return good.keras(folder / "map.keras", config=good.dense_config(record), version="3.15.1")


@case("5", "UNSAFE_OP", "model", place="evil")
def op_that_writes_a_file(folder: Path) -> Path:
    record = good.layer("TFOpLambda", "evil", "hidden", function="io.write_file")
    record["inbound_nodes"][0][0][3] = {"contents": "x", "filename": str(folder / "canary")}
    return good.keras(folder / "write.keras", config=good.dense_config(record))


@case("5", "UNSAFE_OP", "model", place="evil")
def op_that_copies_a_file(folder: Path) -> Path:
    return good.h5(folder / "copy.h5", good.dense_config(good.layer("TFOpLambda", "evil", "hidden", function="io.gfile.copy")))


def _bias_replaced(path: Path, make: Any) -> Path:
    good.h5(path)
    with h5py.File(path, "a") as file:
        group = file["model_weights/hidden/hidden"]
        del group["bias:0"]
        make(group)
    return path


@case("6", "EXTERNAL_DATA", "model", place="bias:0")
def external_storage(folder: Path) -> Path:
    (folder / "secret").write_bytes(b"\1" * 12)
    return _bias_replaced(
        folder / "external.h5", lambda g: g.create_dataset("bias:0", (3,), "f4", external=[(str(folder / "secret"), 0, 12)])
    )


@case("6", "EXTERNAL_DATA", "model", place="vars/0")
def external_storage_in_keras_3(folder: Path) -> Path:
    store = io.BytesIO()
    with h5py.File(store, "w") as file:
        file.create_group("layers/dense/vars").create_dataset("0", (3,), "f4", external=[("/etc/passwd", 0, 12)])
    parts = good.keras_parts(version="3.15.1")
    return good.zipped(folder / "external3.keras", {**parts, "model.weights.h5": store.getvalue()})


@case("7", "EXTERNAL_DATA", "model", place="bias:0")
def external_link(folder: Path) -> Path:
    return _bias_replaced(folder / "link.h5", lambda g: g.__setitem__("bias:0", h5py.ExternalLink("/etc/passwd", "/x")))


@case("7", "EXTERNAL_DATA", "model", place="bias:0")
def soft_link(folder: Path) -> Path:
    return _bias_replaced(folder / "soft.h5", lambda g: g.__setitem__("bias:0", h5py.SoftLink("/model_weights/out/out/bias:0")))


@case("7", "EXTERNAL_DATA", "model", place="bias:0")
def virtual_dataset(folder: Path) -> Path:
    layout = h5py.VirtualLayout((3,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (3,))
    return _bias_replaced(folder / "virtual.h5", lambda g: g.create_virtual_dataset("bias:0", layout))


@case("8", "NO_ARCHITECTURE", "model")
def weights_only(folder: Path) -> Path:
    good.h5(folder / "weights.h5")
    with h5py.File(folder / "weights.h5", "a") as file:
        del file.attrs["model_config"]
    return folder / "weights.h5"


@case("9", "TRUNCATED", "model")
def h5_cut_in_half(folder: Path) -> Path:
    path = good.h5(folder / "cut.h5")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


@case("9", "TRUNCATED", "model")
def keras_cut_in_half(folder: Path) -> Path:
    path = good.keras(folder / "cut.keras")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


@case("10", "MISSING_PART", "model")
def keras_without_config(folder: Path) -> Path:
    parts = good.keras_parts()
    del parts["config.json"]
    return good.zipped(folder / "a.keras", parts)


@case("10", "MISSING_PART", "model")
def keras_without_weights(folder: Path) -> Path:
    parts = good.keras_parts()
    del parts["model.weights.h5"]
    return good.zipped(folder / "a.keras", parts)


@case("11", "BAD_CONFIG", "model", place="config.json")
def config_cut(folder: Path) -> Path:
    return good.keras(folder / "a.keras", config=json.dumps(good.dense_config())[:200])


@case("11", "BAD_CONFIG", "model", place="config.json")
def config_of_brackets(folder: Path) -> Path:
    return good.keras(folder / "a.keras", config="[" * 100_000)


@case("11", "BAD_CONFIG", "model")
def config_of_objects_in_objects(folder: Path) -> Path:
    return good.keras(folder / "a.keras", config='{"a":' * 900 + "1" + "}" * 900)


@case("11", "BAD_CONFIG", "model", place="config.json")
def config_that_is_a_list(folder: Path) -> Path:
    return good.keras(folder / "a.keras", config="[]")


@case("+", "BAD_CONFIG", "model", place="config.json")
def config_with_a_huge_number(folder: Path) -> Path:
    return good.keras(folder / "a.keras", config='{"class_name": ' + "9" * 100_000 + "}")


@case("12", "WEIGHTS_MISMATCH", "model", place="hidden")
def units_changed(folder: Path) -> Path:
    config = good.dense_config()
    config["config"]["layers"][1]["config"]["units"] = 7
    return good.keras(folder / "a.keras", config=config)


@case("+", "WEIGHTS_MISMATCH", "model", place="dense_2")
def more_weights_than_layers(folder: Path) -> Path:
    return good.keras(folder / "a.keras", paths={**good.DENSE_PATHS, "layers/dense_2/vars/0": (2, 2)})


def _units(folder: Path, units: Any) -> Path:
    config = good.dense_config()
    config["config"]["layers"][1]["config"]["units"] = units
    return good.h5(folder / "a.h5", config)


@case("13", "BAD_CONFIG", "model", place="hidden")
def units_below_zero(folder: Path) -> Path:
    return _units(folder, -4)


@case("13", "BAD_CONFIG", "model", place="hidden")
def units_of_text(folder: Path) -> Path:
    return _units(folder, "x")


@case("13", "TOO_LARGE", "model", place="hidden", limit=True, bomb=True)
def two_billion_units(folder: Path) -> Path:
    return _units(folder, 2_000_000_000)


@case("14", "UNKNOWN_LAYER", "model", received="", place="mine")
def custom_layer(folder: Path) -> Path:
    return good.h5(folder / "a.h5", good.dense_config(good.layer("MyAttention", "mine", "hidden", module=None)))


def _keras_3(folder: Path, change: Any) -> Path:
    config = good.keras_3_config()
    change(config["config"]["layers"])
    return good.keras(folder / "three.keras", config=config, version="3.15.1")


@case("+", "BAD_CONFIG", "model", place="out", received="nowhere")
def keras_3_layer_fed_from_nowhere(folder: Path) -> Path:
    return _keras_3(
        folder, lambda layers: layers[-1]["inbound_nodes"][0]["args"][0]["config"].update(keras_history=["nowhere", 0, 0])
    )


@case("+", "BAD_CONFIG", "model", place="double")
def keras_3_operation_without_its_arguments(folder: Path) -> Path:
    return _keras_3(folder, lambda layers: layers[2]["inbound_nodes"][0].update(args=[]))


@case("+", "NOT_TRANSLATABLE", "model", place="double")
def keras_3_stranger_with_the_name_of_a_layer(folder: Path) -> Path:
    stranger = {"module": "keras.layers", "class_name": "LayerScale", "registered_name": "mine>LayerScale"}
    return _keras_3(folder, lambda layers: layers[2].update(stranger))


@case("+", "UNSAFE_OP", "model", place="double")
def keras_3_function_of_tensorflow(folder: Path) -> Path:
    """A layer of Keras 2 for TensorFlow functions, smuggled into a config of Keras 3."""
    config = {"name": "double", "function": "io.write_file"}
    return _keras_3(folder, lambda layers: layers[2].update(module="keras", class_name="TFOpLambda", config=config))


@case("+", "TOO_LARGE", "model", place="hidden", limit=True, bomb=True)
def keras_3_two_billion_units(folder: Path) -> Path:
    return _keras_3(folder, lambda layers: layers[1]["config"].update(units=2_000_000_000))


def _empty(folder: Path, name: str) -> Path:
    (folder / name).write_bytes(b"")
    return folder / name


def _text(folder: Path, name: str) -> Path:
    (folder / name).write_text("This is a note, not a model. " * 10)
    return folder / name


for _extension in ("h5", "hdf5", "keras", "zip", "tflite", "bin"):
    for _code, _make in (("EMPTY", _empty), ("NOT_A_MODEL", _text)):

        def _made(folder: Path, make: Any = _make, extension: str = _extension) -> Path:
            path: Path = make(folder, f"note.{extension}")
            return path

        _made.__name__ = f"{'empty' if _code == 'EMPTY' else 'text'}_{_extension}"
        case("16", _code, "model", place=f"note.{_extension}")(_made)


# Found since.


@case("+", "DUPLICATE", "model", received="config.json")
def two_configs(folder: Path) -> Path:
    parts = good.keras_parts()
    return good.zipped(folder / "a.keras", [*parts.items(), ("config.json", json.dumps(good.dense_config(_lambda())))])


@case("+", "NOT_A_MODEL", "model", place="Config.json")
def configs_that_differ_in_case(folder: Path) -> Path:
    return good.zipped(folder / "a.keras", {**good.keras_parts(), "Config.json": "{}"})


@case("+", "UNSAFE_PATH", "model", place="config.json")
def config_that_is_a_symlink(folder: Path) -> Path:
    parts = good.keras_parts()
    path = good.zipped(folder / "a.keras", {key: value for key, value in parts.items() if key != "config.json"})
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("config.json")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    return path


@case("+", "TOO_LARGE", "model", place="bias:0", limit=True, bomb=True)
def compressed_zeros_in_h5(folder: Path) -> Path:
    """Chunks of zeros, squeezed by gzip: half a gigabyte in half a megabyte."""

    def make(group: Any) -> None:
        item = group.create_dataset("bias:0", (128 * MEGABYTE,), "f4", chunks=(4 * MEGABYTE,), compression="gzip")
        block = np.zeros(4 * MEGABYTE, np.float32)
        for start in range(0, 128 * MEGABYTE, 4 * MEGABYTE):
            item[start : start + len(block)] = block

    return _bias_replaced(folder / "a.h5", make)


@case("+", "TOO_LARGE", "model", place="bias:0", limit=True, bomb=True)
def fill_value_in_h5(folder: Path) -> Path:
    return _bias_replaced(folder / "a.h5", lambda g: g.create_dataset("bias:0", (200 * MEGABYTE,), "f4", fillvalue=1.0))


@case("+", "NOT_A_MODEL", "model", received="bias:0")
def compound_type_in_h5(folder: Path) -> Path:
    return _bias_replaced(folder / "a.h5", lambda g: g.create_dataset("bias:0", (3,), np.dtype([("a", "f4"), ("b", "i4")])))


@case("+", "NOT_A_MODEL", "model", received="bias:0")
def text_of_any_length_in_h5(folder: Path) -> Path:
    return _bias_replaced(folder / "a.h5", lambda g: g.create_dataset("bias:0", (3,), h5py.string_dtype()))


@case("+", "NOT_A_MODEL", "model", received="bias:0")
def references_in_h5(folder: Path) -> Path:
    return _bias_replaced(folder / "a.h5", lambda g: g.create_dataset("bias:0", (3,), h5py.ref_dtype))


@case("+", "NOT_A_MODEL", "model", received="bias:0")
def named_type_in_h5(folder: Path) -> Path:
    return _bias_replaced(folder / "a.h5", lambda g: g.__setitem__("bias:0", np.dtype("f8")))


@case("+", "TRUNCATED", "model")
def layer_names_of_any_type_in_h5(folder: Path) -> Path:
    good.h5(folder / "a.h5")
    with h5py.File(folder / "a.h5", "a") as file:
        file["model_weights"].attrs.create("layer_names", [3, 4])
    return folder / "a.h5"


@case("+", "TOO_LARGE", "model", limit=True, bomb=True)
def attribute_of_two_hundred_megabytes_in_h5(folder: Path) -> Path:
    good.h5(folder / "a.h5")
    with h5py.File(folder / "a.h5", "a", libver="latest") as file:
        del file["model_weights"]
        file.create_group("model_weights").attrs.create("layer_names", np.zeros(50, dtype=f"S{4 * MEGABYTE}"))
    return folder / "a.h5"


@case("+", "TOO_LARGE", "model", received="62,914,560 bytes", limit=True, bomb=True)
def config_of_sixty_megabytes_in_h5(folder: Path) -> Path:
    """A text of variable length: libhdf5 tells its size only after it has loaded it, several times over."""
    return good.h5(folder / "a.h5", config="x" * 60 * MEGABYTE)


@case("+", "TOO_LARGE", "model", received="4,194,304,000 bytes", limit=True, bomb=True)
def four_thousand_names_that_are_one_long_text(folder: Path) -> Path:
    """All references lead to the same megabyte: loading the attribute would take four gigabytes."""
    path, count, reference = good.h5(folder / "a.h5"), 4000, 16
    with h5py.File(path, "a") as file:
        file["model_weights"].attrs["layer_names"] = np.array(["y" * MEGABYTE, *(["n"] * (count - 1))], dtype=h5py.string_dtype())
    data = path.read_bytes()
    # A reference is length (4 bytes), address of the heap (8) and number within it (4); the second text has length 1.
    first, second = MEGABYTE.to_bytes(4, "little"), (1).to_bytes(4, "little")
    start = next(n for n in range(len(data)) if data.startswith(first, n) and data.startswith(second, n + reference))
    path.write_bytes(data[:start] + data[start : start + reference] * count + data[start + reference * count :])
    return path


@case("+", "TOO_LARGE", "model", limit=True, bomb=True)
def config_of_forty_megabytes(folder: Path) -> Path:
    config = json.dumps(good.dense_config())[:-1] + ', "padding": "' + "x" * 40_000_000 + '"}'
    return good.zipped(folder / "a.keras", good.keras_parts(config=config), zipfile.ZIP_DEFLATED)


@case("+", "TOO_LARGE", "model", limit=True)
def groups_without_end_in_h5(folder: Path) -> Path:
    good.h5(folder / "a.h5")
    with h5py.File(folder / "a.h5", "a", libver="latest") as file:
        for number in range(50_100):
            file["model_weights"].create_group(f"g{number}")
    return folder / "a.h5"


@case("+", "ZIP_BOMB", "model", place="model.weights.h5", limit=True, bomb=True)
def weights_of_zeros_in_keras(folder: Path) -> Path:
    parts = {**good.keras_parts(), "model.weights.h5": b"\0" * 200 * MEGABYTE}
    return good.zipped(folder / "a.keras", parts, zipfile.ZIP_DEFLATED)


@case("+", "UNSUPPORTED_FORMAT", "model")
def pytorch_archive(folder: Path) -> Path:
    class Bomb:
        def __reduce__(self) -> Any:
            return (open, (str(folder / "canary"), "w"))

    return good.zipped(folder / "a.zip", {"archive/data.pkl": pickle.dumps(Bomb()), "archive/version": "3"})


@case("34", "EMPTY", "model", name="../../<img src=x onerror=alert(1)>.h5")
def name_with_a_tag(folder: Path) -> Path:
    return _empty(folder, "a.h5")


@case("34", "EMPTY", "model", name="x" * 300 + "\0\n\u202e5h.exe.h5")
def name_that_forges_lines(folder: Path) -> Path:
    return _empty(folder, "a.h5")


@case("34", "UNSUPPORTED_FORMAT", "data", name="../../<img src=x onerror=alert(1)>\u202e\0\n.h5")
def name_of_data_with_a_tag(folder: Path) -> Path:
    return _empty(folder, "a.npz")


@case("+", "BAD_CONFIG", "model", place="config.json")
def half_a_character_in_a_name(folder: Path) -> Path:
    """JSON lets it through, and no database takes it: the runner that stores the summary would end."""
    config = json.dumps(good.dense_config()).replace('"hidden"', '"\\ud800"')
    return good.keras(folder / "a.keras", config=config)


@case("+", "TRUNCATED", "model")
def name_that_is_no_unicode_in_h5(folder: Path) -> Path:
    path = good.h5(folder / "a.h5")
    path.write_bytes(path.read_bytes().replace(b"hidden", b"hid\xd7en"))
    return path


@case("+", "TRUNCATED", "model")
def heap_without_end_in_h5(folder: Path) -> Path:
    """An entry of no size, where libhdf5 goes round for ever."""
    path = good.h5(folder / "a.h5")
    data = bytearray(path.read_bytes())
    free = data.index(b"out/kernel:0") + 16
    data[free + 8 : free + 16] = bytes(8)
    path.write_bytes(data)
    return path


@case("+", "TOO_LARGE", "model", limit=True, bomb=True)
def text_of_three_gigabytes_that_is_not_there(folder: Path) -> Path:
    """A length that the heap does not have; libhdf5 makes room for it first."""
    path = good.h5(folder / "a.h5")
    data = path.read_bytes()
    heap = data.index(b"GCOL")
    reference = (6).to_bytes(4, "little") + heap.to_bytes(8, "little")
    path.write_bytes(data.replace(reference, (3_439_329_286).to_bytes(4, "little") + heap.to_bytes(8, "little")))
    return path


@case("+", "NOT_A_MODEL", "model")
def member_without_a_name(folder: Path) -> Path:
    return good.with_nameless_member(folder / "a.keras", good.keras_parts())
