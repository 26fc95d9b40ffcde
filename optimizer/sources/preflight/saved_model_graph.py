"""The graphs of a SavedModel, read from saved_model.pb: nodes, functions, and which node or function leads to which."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from optimizer.errors import InputError
from optimizer.sources.limits import MAX_ACTIVATION, MAX_FILL_BYTES, MAX_GRAPH_NODES, MAX_PARAMETERS, MAX_ZIP_RATIO
from optimizer.sources.preflight import wire

META_GRAPHS = 2
GRAPH, SAVER, COLLECTIONS, SIGNATURES, ASSETS, OBJECTS = 2, 3, 4, 5, 6, 7
"""Fields of tensorflow.MetaGraphDef."""
ATTRIBUTE_TENSOR, ATTRIBUTE_SHAPE, ATTRIBUTE_LIST, ATTRIBUTE_FUNCTION = 8, 7, 1, 10
"""Fields of tensorflow.AttrValue."""
ASSET_COLLECTION = "saved_model_assets"


@dataclass(frozen=True, kw_only=True)
class GraphNode:
    """One node: its op (a function's name where it calls one directly), what feeds it, the functions that its attributes name."""

    name: str
    op: str
    inputs: tuple[str, ...]
    calls: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class MetaGraph:
    """One graph with its library.

    `saving` and `restoring` are the nodes that do so, `entries` those that may run on their own; `objects` are functions that
    loading can call; `assets` are file names.
    """

    nodes: tuple[GraphNode, ...]
    functions: dict[str, tuple[GraphNode, ...]]
    gradients: tuple[str, ...]
    saving: frozenset[str]
    restoring: frozenset[str]
    entries: frozenset[str]
    objects: frozenset[str]
    assets: tuple[str, ...]


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
        for entry in wire.messages(data, 5):
            key = wire.text(entry, 1)
            for value in wire.messages(entry, 2):
                calls += _called(value)
                self._check_sizes(op, key, value, f"{self._place}, {where}, node {name}")
        return GraphNode(name=name, op=op, inputs=tuple(wire.texts(data, 3)), calls=tuple(calls))

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
    for graph in wire.messages(data, GRAPH):
        nodes += reader.nodes(graph, 1, "main graph")
        for library in wire.messages(graph, 2):
            for function in wire.messages(library, 1):
                name = next((wire.text(signature, 1) for signature in wire.messages(function, 1)), "")
                if not name or name in functions:
                    raise wire.WireError(f"the function {name!r} is there twice or has no name")
                functions[name] = reader.nodes(function, 3, f"function {name}")
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
    )


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
