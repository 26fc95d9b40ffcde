"""Small good files of every format, made by hand, with room to put something bad in."""

from __future__ import annotations

import copy
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

TF_FLOAT = 1


def layer(class_name: str, name: str, inbound: str, module: Any = "keras.layers", **settings: Any) -> dict[str, Any]:
    """A layer's record in a functional config of Keras 2."""
    config = {"name": name, "trainable": True, "dtype": "float32", **settings}
    return {
        "module": module,
        "class_name": class_name,
        "config": config,
        "registered_name": None,
        "name": name,
        "inbound_nodes": [[[inbound, 0, 0, {}]]],
    }


def dense_config(extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """4 -> Dense(3, relu) -> extra -> Dense(2, softmax)."""
    shape = {"batch_input_shape": [None, 4], "dtype": "float32", "sparse": False, "ragged": False, "name": "image"}
    records: list[dict[str, Any]] = [
        {"module": "keras.layers", "class_name": "InputLayer", "config": shape, "name": "image", "inbound_nodes": []},
        layer("Dense", "hidden", "image", units=3, activation="relu", use_bias=True),
    ]
    if extra is not None:
        records.append(copy.deepcopy(dict(extra)))
    records.append(layer("Dense", "out", records[-1]["name"], units=2, activation="softmax", use_bias=True))
    config = {"name": "model", "layers": records, "input_layers": [["image", 0, 0]], "output_layers": [["out", 0, 0]]}
    return {"module": "keras", "class_name": "Functional", "config": config, "registered_name": "Functional"}


def keras_3_config() -> dict[str, Any]:
    """4 -> Dense(3, relu) -> twice as much -> Dense(2, softmax), as Keras 3 writes it."""

    def tensor(name: str, width: int) -> dict[str, Any]:
        settings = {"shape": [None, width], "dtype": "float32", "keras_history": [name, 0, 0]}
        return {"class_name": "__keras_tensor__", "config": settings}

    def record(class_name: str, name: str, arguments: list[Any], module: str = "keras.layers", **settings: Any) -> dict[str, Any]:
        return {
            "module": module,
            "class_name": class_name,
            "config": {"name": name, **settings},
            "registered_name": None,
            "name": name,
            "inbound_nodes": [{"args": arguments, "kwargs": {}}] if arguments else [],
        }

    policy = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None}
    dense = {"trainable": True, "dtype": policy, "use_bias": True, "quantization_config": None}
    layers = [
        record("InputLayer", "image", [], batch_shape=[None, 4], dtype="float32", sparse=False, ragged=False),
        record("Dense", "hidden", [tensor("image", 4)], **dense, units=3, activation="relu"),
        record("Multiply", "double", [tensor("hidden", 3), 2], "keras.src.ops.numpy"),
        record("Dense", "out", [tensor("double", 3)], **dense, units=2, activation="softmax"),
    ]
    config = {"name": "model", "layers": layers, "input_layers": ["image", 0, 0], "output_layers": ["out", 0, 0]}
    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": config,
        "registered_name": "Functional",
    }


DENSE_WEIGHTS = {"hidden": {"kernel": (4, 3), "bias": (3,)}, "out": {"kernel": (3, 2), "bias": (2,)}}
DENSE_PATHS = {
    "layers/dense/vars/0": (4, 3),
    "layers/dense/vars/1": (3,),
    "layers/dense_1/vars/0": (3, 2),
    "layers/dense_1/vars/1": (2,),
}


def h5(path: Path, config: Any = None, weights: Mapping[str, Mapping[str, Any]] = DENSE_WEIGHTS, version: str = "2.21.0") -> Path:
    """A whole-model .h5 with weights of zeros."""
    config = dense_config() if config is None else config
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = version, "tensorflow"
        file.attrs["model_config"] = config if isinstance(config, str) else json.dumps(config)
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [key.encode() for key in weights]
        for key, shapes in weights.items():
            part = group.create_group(key)
            part.attrs["weight_names"] = [f"{key}/{weight}:0".encode() for weight in shapes]
            for weight, shape in shapes.items():
                part.create_dataset(f"{key}/{weight}:0", data=np.zeros(shape, np.float32))
    return path


def keras_parts(config: Any = None, paths: Mapping[str, Any] = DENSE_PATHS, version: str = "2.21.0") -> dict[str, Any]:
    """Members of a .keras archive with weights of zeros."""
    store = io.BytesIO()
    with h5py.File(store, "w") as file:
        for key, shape in paths.items():
            file.create_dataset(key, data=np.zeros(shape, np.float32))
    config = dense_config() if config is None else config
    return {
        "metadata.json": json.dumps({"keras_version": version, "date_saved": "2026-01-01@00:00:00"}),
        "config.json": config if isinstance(config, str) else json.dumps(config),
        "model.weights.h5": store.getvalue(),
    }


def zipped(path: Path, parts: Mapping[str, Any] | Sequence[tuple[Any, Any]], compression: int = zipfile.ZIP_STORED) -> Path:
    """A zip of these members; names may repeat where they come as pairs."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in parts.items() if isinstance(parts, Mapping) else parts:
            archive.writestr(name, content)
    return path


def with_nameless_member(path: Path, parts: Mapping[str, Any]) -> Path:
    """A zip with one more member, whose name is NUL: zipfile reads it as empty, and would not write it."""
    zipped(path, [*parts.items(), ("~", b"x")])
    path.write_bytes(path.read_bytes().replace(b"~", b"\0"))
    return path


def keras(path: Path, **options: Any) -> Path:
    """A whole .keras archive."""
    return zipped(path, keras_parts(**options))


# Protocol buffers, written by hand.


def varint(number: int) -> bytes:
    number &= 2**64 - 1
    found = b""
    while number >= 0x80:
        found += bytes([number & 0x7F | 0x80])
        number >>= 7
    return found + bytes([number])


def field(number: int, value: Any) -> bytes:
    """One field: whole numbers as varints, texts and bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def shape_proto(*sizes: int) -> bytes:
    return b"".join(field(2, field(1, size)) for size in sizes)


def node(name: str, op: str, inputs: Sequence[str] = (), **attributes: bytes) -> bytes:
    """A tensorflow.NodeDef; the attributes are AttrValues."""
    data = field(1, name) + field(2, op) + b"".join(field(3, item) for item in inputs)
    return data + b"".join(field(5, field(1, key) + field(2, value)) for key, value in attributes.items())


def calling(function: str) -> bytes:
    return field(10, field(1, function))


def function(name: str, *nodes: bytes) -> bytes:
    return field(1, field(1, name)) + b"".join(field(3, item) for item in nodes)


def signature(key: str, tensor: str) -> bytes:
    """A signature_def entry from (batch, 4) to this tensor of (batch, 2)."""
    taken = field(1, "serving_x:0") + field(2, 1) + field(3, shape_proto(-1, 4))
    given = field(1, tensor) + field(2, 1) + field(3, shape_proto(-1, 2))
    ends = field(1, field(1, "x") + field(2, taken)) + field(2, field(1, "out") + field(2, given))
    return field(5, field(1, key) + field(2, ends))


SERVING = "__inference_serving_1"
SAVING, RESTORING = "__inference__traced_save_2", "__inference__traced_restore_3"


def saved_model_pb(
    *extra: bytes,
    serving: Sequence[bytes] = (),
    functions: Sequence[bytes] = (),
    nodes: Sequence[bytes] = (),
    saving: Sequence[bytes] = (),
    restoring: Sequence[bytes] = (),
) -> bytes:
    """A SavedModel of one function, with its variable saved and restored as tf.saved_model.save writes it."""
    main = [
        node("kernel", "VarHandleOp", shape=field(7, shape_proto(4, 2)), dtype=field(6, TF_FLOAT)),
        node("serving_x", "Placeholder", shape=field(7, shape_proto(-1, 4))),
        node("StatefulPartitionedCall", "StatefulPartitionedCall", ["serving_x", "kernel"], f=calling(SERVING)),
        node("saver_filename", "Placeholder"),
        node("StatefulPartitionedCall_1", "StatefulPartitionedCall", ["saver_filename", "kernel"], f=calling(SAVING)),
        node("StatefulPartitionedCall_2", "StatefulPartitionedCall", ["saver_filename", "kernel"], f=calling(RESTORING)),
        *nodes,
    ]
    library = [
        function(SERVING, node("product", "MatMul", ["x", "kernel"]), *serving),
        function(SAVING, node("SaveV2", "SaveV2", ["file_prefix"]), *saving),
        function(RESTORING, node("RestoreV2", "RestoreV2", ["file_prefix"]), *restoring),
        *functions,
    ]
    graph = b"".join(field(1, item) for item in main) + field(2, b"".join(field(1, item) for item in library))
    saver = field(1, "saver_filename:0") + field(2, "StatefulPartitionedCall_1:0") + field(3, "StatefulPartitionedCall_2")
    meta = field(2, graph) + field(3, saver) + signature("serving_default", "StatefulPartitionedCall:0") + b"".join(extra)
    return field(1, 1) + field(2, meta)


def saved_model(path: Path, graph: bytes | None = None, **members: Any) -> Path:
    """A zipped SavedModel."""
    parts = {
        "model/saved_model.pb": saved_model_pb() if graph is None else graph,
        "model/variables/variables.index": b"index",
        "model/variables/variables.data-00000-of-00001": np.ones((4, 2), np.float32).tobytes(),
    }
    return zipped(path, {**parts, **{f"model/{name}": content for name, content in members.items()}})


def tflite_model() -> Any:
    """input (1, 4) -> FULLY_CONNECTED -> (1, 2), as a tree that can be changed before it is packed."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT()
    model.version = 3
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 1
    model.operatorCodes = [code]
    kernel = schema.BufferT()
    kernel.data = np.frombuffer(np.ones((2, 4), np.float32).tobytes(), np.uint8)
    model.buffers = [schema.BufferT(), kernel]
    tensors = []
    for name, shape, buffer in (("x", [1, 4], 0), ("kernel", [2, 4], 1), ("y", [1, 2], 0)):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer, tensor.type = name, shape, buffer, schema.TensorType.FLOAT32
        tensors.append(tensor)
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1, -1], [2]
    operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    operator.builtinOptions = schema.FullyConnectedOptionsT()
    subgraph = schema.SubGraphT()
    subgraph.tensors, subgraph.inputs, subgraph.outputs, subgraph.operators = tensors, [0], [2], [operator]
    subgraph.name = "main"
    model.subgraphs = [subgraph]
    return model


def packed(model: Any) -> bytes:
    """The bytes of a .tflite."""
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def tflite(path: Path) -> Path:
    path.write_bytes(packed(tflite_model()))
    return path


def npz(path: Path) -> Path:
    np.savez_compressed(path, x=np.random.default_rng(0).random((40, 3)), y=np.arange(40) % 2)
    return path


def table(path: Path) -> Path:
    path.write_text("a,b,label\n" + "".join(f'{n},{n / 7:.3f},"{"no" if n % 2 else "yes"}"\n' for n in range(40)))
    return path


def picture(value: int = 0, size: tuple[int, int] = (9, 9), kind: str = "PNG", mode: str = "RGB", **options: Any) -> bytes:
    target = io.BytesIO()
    Image.new(mode, size, value if mode == "L" else (value,) * len(mode)).save(target, kind, **options)
    return target.getvalue()


def picture_parts() -> dict[str, Any]:
    kinds = ("PNG", "JPEG", "BMP", "WEBP")
    return {f"{'ab'[n // 8]}/{n}.{kinds[n % 4].lower()}": picture(n, kind=kinds[n % 4]) for n in range(16)}


def pictures(path: Path) -> Path:
    return zipped(path, picture_parts())


GOOD = {
    "h5": ("model", "good.h5", h5),
    "keras": ("model", "good.keras", keras),
    "keras_3": ("model", "good.keras", lambda path: keras(path, config=keras_3_config(), version="3.15.1")),
    "keras_3_h5": ("model", "good.h5", lambda path: h5(path, keras_3_config(), version="3.15.1")),
    "saved_model": ("model", "good.zip", saved_model),
    "tflite": ("model", "good.tflite", tflite),
    "npz": ("data", "good.npz", npz),
    "csv": ("data", "good.csv", table),
    "images": ("data", "good.zip", pictures),
}
"""Format -> (kind of reader, file name, maker)."""
