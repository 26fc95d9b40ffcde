"""The graphs of a SavedModel, read from saved_model.pb: nodes, functions, and which node or function leads to which."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from optimizer.errors import InputError
from optimizer.sources.limits import MAX_ACTIVATION, MAX_FILL_BYTES, MAX_GRAPH_NODES, MAX_PARAMETERS, MAX_ZIP_RATIO
from optimizer.sources.preflight import wire

META_GRAPHS = 2
META_INFO, GRAPH, SAVER, COLLECTIONS, SIGNATURES, ASSETS, OBJECTS = 1, 2, 3, 4, 5, 6, 7
"""Fields of tensorflow.MetaGraphDef."""
ATTRIBUTE_TENSOR, ATTRIBUTE_SHAPE, ATTRIBUTE_LIST, ATTRIBUTE_FUNCTION, ATTRIBUTE_TYPE = 8, 7, 1, 10, 6
"""Fields of tensorflow.AttrValue."""
STORED_ATTRIBUTES = {("VarHandleOp", "shape"), ("VarHandleOp", "dtype"), ("Const", "value")}
COMPUTED_TYPES = ("T", "Ta")
"""Attributes that say in which type an op computes."""
ASSET_COLLECTION = "saved_model_assets"


@dataclass(frozen=True, kw_only=True)
class GraphNode:
    """One node: its op (a function's name where it calls one directly), what feeds it, the functions that its attributes name.

    `shape` is that of a variable or constant, `dtype` (a number of tensorflow.DataType) its type, or the one that an op computes in.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    calls: tuple[str, ...]
    shape: tuple[int, ...] | None = None
    dtype: int = 0


@dataclass(frozen=True, kw_only=True)
class TensorInfo:
    """An input or output of a signature: the tensor of the main graph, its tensorflow.DataType, its shape (None: unknown rank)."""

    tensor: str
    dtype: int
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True, kw_only=True)
class Signature:
    """What a graph takes and gives, by the names that callers use."""

    inputs: dict[str, TensorInfo]
    outputs: dict[str, TensorInfo]


@dataclass(frozen=True, kw_only=True)
class MetaGraph:
    """One graph with its library.

    `saving` and `restoring` are the nodes that do so, `entries` those that may run on their own; `objects` are functions that
    loading can call; `assets` are file names. `interfaces` has the names of each function's arguments, and the tensors that it returns.
    """

    nodes: tuple[GraphNode, ...]
    functions: dict[str, tuple[GraphNode, ...]]
    gradients: tuple[str, ...]
    saving: frozenset[str]
    restoring: frozenset[str]
    entries: frozenset[str]
    objects: frozenset[str]
    assets: tuple[str, ...]
    interfaces: dict[str, tuple[tuple[str, ...], tuple[str, ...]]]
    tags: frozenset[str]
    signatures: dict[str, Signature]


class _Reader:
    """Counts nodes and variables over all graphs of a file while it reads."""

    def __init__(self, place: str) -> None:
        self._place, self._nodes, self._parameters = place, 0, 0

    def nodes(self, data: memoryview, number: int, where: str) -> tuple[GraphNode, ...]:
        return tuple(self._node(item, where) for item in wire.messages(data, number))

    def _node(self, data: memoryview, where: str) -> GraphNode:
        self._nodes += 1
        if self._nodes > MAX_GRAPH_NODES:
            raise InputError("The graph has too many nodes", code="TOO_LARGE", place=self._place, limit=f"{MAX_GRAPH_NODES:,}")
        name, ops = wire.text(data, 1), set(wire.texts(data, 2))
        if len(ops) != 1:
            raise wire.WireError(f"the node {name!r} has {len(ops)} ops")
        op = ops.pop()
        calls: list[str] = []
        shape, dtype = None, 0
        for entry in wire.messages(data, 5):
            key = wire.text(entry, 1)
            for value in wire.messages(entry, 2):
                calls += _called(value)
                self._check_sizes(op, key, value, f"{self._place}, {where}, node {name}")
                if (op, key) in STORED_ATTRIBUTES or key in COMPUTED_TYPES:
                    shape, dtype = _stored(value, shape, dtype)
        return GraphNode(name=name, op=op, inputs=tuple(wire.texts(data, 3)), calls=tuple(calls), shape=shape, dtype=dtype)

    def _check_sizes(self, op: str, key: str, value: memoryview, place: str) -> None:
        for tensor in wire.messages(value, ATTRIBUTE_TENSOR):
            elements = max((_elements(shape) for shape in wire.messages(tensor, 2)), default=1)
            # A constant may be stored as one value that stands for all.
            if elements > MAX_ACTIVATION or elements > MAX_FILL_BYTES + MAX_ZIP_RATIO * len(tensor):
                raise _claims_too_much("A constant", elements, place)
        for shape in wire.messages(value, ATTRIBUTE_SHAPE):
            elements = _elements(shape)
            if elements > MAX_ACTIVATION:
                raise _claims_too_much(f"The {key} of {op}", elements, place)
            if op in ("VarHandleOp", "VariableV2", "Variable") and key == "shape":
                self._parameters += elements
        if self._parameters > MAX_PARAMETERS:
            raise InputError("The model has too many parameters", code="TOO_LARGE", place=place, limit=f"{MAX_PARAMETERS:,}")


def _stored(value: memoryview, shape: tuple[int, ...] | None, dtype: int) -> tuple[tuple[int, ...] | None, int]:
    """Shape and type of a variable or constant, as far as this attribute tells them."""
    for kind in wire.numbers(value, ATTRIBUTE_TYPE):
        dtype = kind
    for proto in wire.messages(value, ATTRIBUTE_SHAPE):
        shape = tuple(n or 0 for n in _axes(proto) or ())
    for tensor in wire.messages(value, ATTRIBUTE_TENSOR):
        dtype = max(wire.numbers(tensor, 1), default=0)
        shape = next((tuple(n or 0 for n in _axes(proto) or ()) for proto in wire.messages(tensor, 2)), ())
    return shape, dtype


def _axes(shape: memoryview) -> tuple[int | None, ...] | None:
    """Lengths of a tensorflow.TensorShapeProto, None for open axes; None where even their number is unknown."""
    if any(wire.numbers(shape, 3)):
        return None
    sizes = [max(wire.numbers(axis, 1), default=0) for axis in wire.messages(shape, 2)]
    return tuple(None if size < 0 else size for size in sizes)


def _claims_too_much(what: str, elements: int, place: str) -> InputError:
    return InputError(
        f"{what} claims too many values", code="TOO_LARGE", place=place, received=f"{elements:,}", limit=f"{MAX_ACTIVATION:,}"
    )


def _elements(shape: memoryview) -> int:
    """Values in a tensorflow.TensorShapeProto; open axes count as 1."""
    sizes = [max(wire.numbers(axis, 1), default=0) for axis in wire.messages(shape, 2)]
    return math.prod(size for size in sizes if size >= 0)


def _called(value: memoryview) -> Iterator[str]:
    """Names of the functions in a tensorflow.AttrValue, those in the attributes of the functions too."""
    pending = [value]
    while pending:
        item = pending.pop()
        called = [*wire.messages(item, ATTRIBUTE_FUNCTION)]
        for several in wire.messages(item, ATTRIBUTE_LIST):
            called += wire.messages(several, 9)
        for function in called:
            yield from wire.texts(function, 1)
            for entry in wire.messages(function, 2):
                pending += wire.messages(entry, 2)


def read_meta_graphs(data: memoryview, place: str) -> list[MetaGraph]:
    """All graphs of a saved_model.pb.

    Raises:
        WireError: The bytes are not a SavedModel.
        InputError: TOO_LARGE.
    """
    reader = _Reader(place)
    return [_meta_graph(item, reader) for item in wire.messages(data, META_GRAPHS)]


def _meta_graph(data: memoryview, reader: _Reader) -> MetaGraph:
    nodes: list[GraphNode] = []
    functions: dict[str, tuple[GraphNode, ...]] = {}
    gradients: list[str] = []
    interfaces: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
    for graph in wire.messages(data, GRAPH):
        nodes += reader.nodes(graph, 1, "main graph")
        for library in wire.messages(graph, 2):
            for function in wire.messages(library, 1):
                name = next((wire.text(signature, 1) for signature in wire.messages(function, 1)), "")
                if not name or name in functions:
                    raise wire.WireError(f"the function {name!r} is there twice or has no name")
                functions[name] = reader.nodes(function, 3, f"function {name}")
                interfaces[name] = _interface(function)
            gradients += [wire.text(item, 2) for item in wire.messages(library, 2)]
            gradients += [wire.text(item, 1) for item in wire.messages(library, 3)]
    saver = {
        n: frozenset(_node_name(name) for item in wire.messages(data, SAVER) for name in wire.texts(item, n)) for n in (2, 3)
    }
    return MetaGraph(
        nodes=tuple(nodes),
        functions=functions,
        gradients=tuple(gradients),
        saving=saver[2],
        restoring=saver[3],
        entries=frozenset(_entries(data)),
        objects=frozenset(wire.text(entry, 1) for item in wire.messages(data, OBJECTS) for entry in wire.messages(item, 2)),
        assets=tuple(_assets(data)),
        interfaces=interfaces,
        tags=frozenset(tag for info in wire.messages(data, META_INFO) for tag in wire.texts(info, 4)),
        signatures=dict(_signatures(data)),
    )


def _interface(function: memoryview) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of a tensorflow.FunctionDef's arguments, and the tensors of its body that it returns, both in order."""
    arguments: list[str] = []
    results: list[str] = []
    for signature in wire.messages(function, 1):
        arguments += [wire.text(item, 1) for item in wire.messages(signature, 2)]
        results += [wire.text(item, 1) for item in wire.messages(signature, 3)]
    returned = {wire.text(item, 1): wire.text(item, 2) for item in wire.messages(function, 4)}
    return tuple(arguments), tuple(returned.get(name, "") for name in results)


def _signatures(data: memoryview) -> Iterator[tuple[str, Signature]]:
    for entry in wire.messages(data, SIGNATURES):
        for signature in wire.messages(entry, 2):
            yield (
                wire.text(entry, 1),
                Signature(inputs=dict(_tensor_infos(signature, 1)), outputs=dict(_tensor_infos(signature, 2))),
            )


def _tensor_infos(signature: memoryview, number: int) -> Iterator[tuple[str, TensorInfo]]:
    for pair in wire.messages(signature, number):
        for info in wire.messages(pair, 2):
            shapes = [_axes(shape) for shape in wire.messages(info, 3)]
            dtype = max(wire.numbers(info, 2), default=0)
            yield wire.text(pair, 1), TensorInfo(tensor=wire.text(info, 1), dtype=dtype, shape=shapes[-1] if shapes else None)


def _node_name(tensor: str) -> str:
    return tensor.removeprefix("^").split(":")[0]


def _entries(data: memoryview) -> Iterator[str]:
    """Nodes that signatures and collections (of initializers, too) name."""
    for entry in wire.messages(data, SIGNATURES):
        for signature in wire.messages(entry, 2):
            for number in (1, 2, 4):
                for pair in wire.messages(signature, number):
                    for tensor in wire.messages(pair, 2):
                        yield from _tensor_nodes(tensor)
    for entry in wire.messages(data, COLLECTIONS):
        for collection in wire.messages(entry, 2):
            for names in wire.messages(collection, 1):
                yield from (_node_name(name) for name in wire.texts(names, 1))


def _tensor_nodes(info: memoryview) -> Iterator[str]:
    """Nodes that a tensorflow.TensorInfo names, sparse tensors of three too."""
    yield from (_node_name(name) for name in wire.texts(info, 1))
    for sparse in wire.messages(info, 4):
        for number in (1, 2, 3):
            yield from (_node_name(name) for name in wire.texts(sparse, number))
    for composite in wire.messages(info, 5):
        for part in wire.messages(composite, 2):
            yield from (_node_name(name) for name in wire.texts(part, 1))


def _assets(data: memoryview) -> Iterator[str]:
    """File names of the assets; old files keep them in a collection."""
    for asset in wire.messages(data, ASSETS):
        yield from wire.texts(asset, 2)
    for entry in wire.messages(data, COLLECTIONS):
        if wire.text(entry, 1) == ASSET_COLLECTION:
            for collection in wire.messages(entry, 2):
                for packed in wire.messages(collection, 5):
                    for item in wire.messages(packed, 1):
                        for asset in wire.messages(item, 2):
                            yield from wire.texts(asset, 2)
