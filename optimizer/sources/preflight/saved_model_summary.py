"""A SavedModel as pages and techniques read it: what it serves, and the ops that use its variables. Nothing is loaded."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from optimizer.errors import InputError
from optimizer.sources.preflight.saved_model_graph import GraphNode, MetaGraph, Signature, TensorInfo
from optimizer.sources.summary import ROUNDED, LayerSummary, ModelSummary, batched, common_folder

SIGNATURE = "serving_default"
SERVING_TAG = "serve"
TYPES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    7: "string",
    8: "complex64",
    9: "int64",
    10: "bool",
    14: "bfloat16",
    17: "uint16",
    18: "complex128",
    19: "float16",
    20: "resource",
    21: "variant",
    22: "uint32",
    23: "uint64",
}
"""Names of tensorflow.DataType."""
FLOAT_TYPES = frozenset({"float32", "float64", "float16", "bfloat16"})
SAME_VALUES = frozenset({"Identity", "ReadVariableOp", "Cast", "StopGradient", "EnsureShape"})
PASSING_ON = SAME_VALUES | {"Reshape", "Squeeze", "ExpandDims", "Transpose"}
ENDINGS = {
    "Softmax": "softmax",
    "Sigmoid": "sigmoid",
    "LogSoftmax": "log_softmax",
    "Tanh": "tanh",
    "Relu": "relu",
    "Relu6": "relu6",
}
MULTIPLYING = frozenset(
    {
        "MatMul",
        "BatchMatMul",
        "BatchMatMulV2",
        "BatchMatMulV3",
        "Conv2D",
        "Conv3D",
        "DepthwiseConv2dNative",
        "Conv2DBackpropInput",
    }
)
FLOAT_KERNELS = MULTIPLYING | {"BiasAdd", "Softmax", "Relu", "Relu6", "Sigmoid", "Tanh", "MaxPool", "AvgPool", "FusedBatchNormV3"}
"""Ops that LiteRT computes in float32 only; in another floating-point type the converter refuses the model."""
NO_COMPUTATION = frozenset({"NoOp", "Assert", "AssignVariableOp", "VarHandleOp", "Const", "Placeholder"})
OLD_VARIABLES = frozenset({"Variable", "VariableV2"})
DIGITS = re.compile(r"([0-9]+)")
NARROW = frozenset({"float16", "bfloat16", "int8", "uint8"})
"""Types of variables that are widened before they are used."""
MAX_VISITS = 200_000
MAX_DEPTH = 60
"""Nodes and nested calls that are followed; functions that call each other twice could multiply them without end."""


@dataclass(frozen=True, kw_only=True)
class _Value:
    """What is known of a tensor: the variable or constant that it is, or the activation function that made it."""

    stored: str = ""
    shape: tuple[int, ...] = ()
    ending: str = ""


class _TooLargeError(Exception):
    """The graph leads to more nodes than are followed."""


def summarize_saved_model(graphs: Sequence[MetaGraph], *, name: str, sha256: str, size_bytes: int) -> ModelSummary:
    """The summary of a SavedModel that `check_saved_model` has passed.

    Layers are the inputs, each op of the served graph that uses a variable or a constant kernel, and the outputs. MACs are not known before
    the conversion.

    Raises:
        InputError: NO_SIGNATURE where there is nothing named serving_default, UNSUPPORTED_MODEL for inputs of unknown rank
            for variables of TensorFlow 1, and for multiplications in another type than float32.
    """
    graph, signature = _serving(graphs, name)
    # The file keeps them in no order: numbers in names put output_2 before output_10.
    signature = Signature(inputs=_in_order(signature.inputs), outputs=_in_order(signature.outputs))
    if any(node.op in OLD_VARIABLES for node in graph.nodes):
        raise InputError(
            "The SavedModel holds variables of TensorFlow 1, which its converter does not take any more",
            code="UNSUPPORTED_MODEL",
            place=name,
            fix="Build the model in TensorFlow 2, load the variables into it, and save that.",
        )
    for key, info in signature.inputs.items():
        if info.shape is None:
            raise InputError(
                "The input's number of axes is not in the file",
                code="UNSUPPORTED_MODEL",
                place=f"{name}, input {key}",
                fix="Save it with a tf.TensorSpec that has a shape, e.g. tf.TensorSpec([None, 32, 32, 3], tf.float32).",
            )
    others = sorted(set(graph.signatures) - {SIGNATURE, "__saved_model_init_op"})
    notes = [f"It has other signatures too ({', '.join(others[:3])}); {SIGNATURE} is the one that is used."] if others else []
    trace = _Trace(graph, name)
    try:
        layers, endings = trace.served(signature)
        notes += trace.notes()
    except _TooLargeError:
        layers, endings = _variables(graph), {}
        notes.append("The graph is too deeply nested to tell which op uses which variable; its variables stand for the layers.")
    folder = common_folder(layer.name for layer in layers)
    taken: set[str] = set()
    layers = [dataclasses.replace(layer, name=_unused(layer.name.removeprefix(folder), taken)) for layer in layers]
    outputs = {key: _unused(key, taken) for key in signature.outputs}
    return ModelSummary(
        name=name,
        sha256=sha256,
        format="saved_model",
        size_bytes=size_bytes,
        class_name="SavedModel",
        layers=(
            *(_end(_unused(key, taken), "InputLayer", info, {}) for key, info in signature.inputs.items()),
            *layers,
            *(_end(outputs[key], "Output", info, endings.get(key, {})) for key, info in signature.outputs.items()),
        ),
        input_shapes=tuple(batched(info.shape or ()) for info in signature.inputs.values()),
        output_shapes=tuple(None if info.shape is None else batched(info.shape) for info in signature.outputs.values()),
        output_layers=tuple(outputs.values()),
        input_dtypes=tuple(TYPES.get(info.dtype, "unknown") for info in signature.inputs.values()),
        input_names=tuple(signature.inputs),
        output_names=tuple(signature.outputs),
        notes=tuple(notes),
    )


def _in_order(infos: dict[str, TensorInfo]) -> dict[str, TensorInfo]:
    """By name, numbers by their size: by the count of their digits first, for a stranger's name may hold thousands."""

    def key(name: str) -> list[tuple[int, str]]:
        return [(len(part.lstrip("0")), part) if part.isdecimal() else (0, part) for part in DIGITS.split(name)]

    return {name: infos[name] for name in sorted(infos, key=key)}


def _serving(graphs: Sequence[MetaGraph], place: str) -> tuple[MetaGraph, Signature]:
    served = [graph for graph in graphs if SERVING_TAG in graph.tags] or list(graphs)
    for graph in served:
        signature = graph.signatures.get(SIGNATURE)
        if signature is not None and signature.inputs and signature.outputs:
            return graph, signature
    names = sorted({key for graph in served for key in graph.signatures} - {"__saved_model_init_op"})
    raise InputError(
        f"The SavedModel has no signature named {SIGNATURE}",
        code="NO_SIGNATURE",
        place=place,
        received=", ".join(names) or "no signature",
        fix="Save it with tf.saved_model.save(model, folder, signatures=model.function.get_concrete_function(...)), or model.export(folder).",
    )


def _unused(key: str, taken: set[str]) -> str:
    found, number = key, 2
    while found in taken:
        found, number = f"{key} ({number})", number + 1
    taken.add(found)
    return found


def _end(name: str, kind: str, info: TensorInfo, config: dict[str, str]) -> LayerSummary:
    shape = None if info.shape is None else batched(info.shape)
    dtype = TYPES.get(info.dtype, "unknown")
    return LayerSummary(name=name, class_name=kind, config={"dtype": dtype, **config}, output_shape=shape, macs=None)


def _variables(graph: MetaGraph) -> list[LayerSummary]:
    return [
        LayerSummary(
            name=node.name,
            class_name="Variable",
            weight_shapes={"value": node.shape},
            parameters=math.prod(node.shape),
            macs=None,
        )
        for node in {node.name: node for node in graph.nodes if node.op == "VarHandleOp"}.values()
        if node.shape is not None
    ]


class _Trace:
    """Follows the served graph through its functions, from the variables to the ops that use them."""

    def __init__(self, graph: MetaGraph, place: str) -> None:
        self._graph, self._place = graph, place
        self._narrow: set[str] = set()
        self._layers: dict[str, LayerSummary] = {}
        self._counted: set[str] = set()
        self._visits = 0

    def served(self, signature: Signature) -> tuple[list[LayerSummary], dict[str, dict[str, str]]]:
        """Layers in the order of the graph, and the activation of each output. Raises _TooLargeError."""
        known = self._follow(self._graph.nodes, {}, [info.tensor for info in signature.outputs.values()], 0)
        endings = {}
        for key, info in signature.outputs.items():
            ending = self._look_up(known, info.tensor).ending
            endings[key] = {"activation": ending} if ending else {}
        return list(self._layers.values()), endings

    def _follow(
        self, nodes: Sequence[GraphNode], known: dict[str, list[_Value]], results: Iterable[str], depth: int
    ) -> dict[str, list[_Value]]:
        """Work out the values of the tensors `results` and of all that feeds them; `known` holds the arguments."""
        if depth > MAX_DEPTH:
            raise _TooLargeError
        by_name = {node.name: node for node in nodes}
        begun: set[str] = set()
        pending = [by_name[name] for name in map(_node_of, results) if name in by_name]
        pending.reverse()
        while pending:
            node = pending[-1]
            # A node of a circle goes on without what waits for it.
            feeding = [by_name[name] for name in map(_node_of, node.inputs) if name in by_name and name not in known]
            feeding = [] if node.name in begun else [item for item in feeding if item.name not in begun]
            begun.add(node.name)
            if feeding:
                pending += reversed(feeding)
                continue
            pending.pop()
            if node.name not in known:
                known[node.name] = self._values(node, known, depth)
        return known

    def _values(self, node: GraphNode, known: dict[str, list[_Value]], depth: int) -> list[_Value]:
        self._visits += 1
        if self._visits > MAX_VISITS:
            raise _TooLargeError
        if node.op == "VarHandleOp" and TYPES.get(node.dtype) in NARROW:
            self._narrow.add(TYPES[node.dtype])
        if node.op == "VarHandleOp" or (node.op == "Const" and TYPES.get(node.dtype) in FLOAT_TYPES):
            return [_Value(stored=node.name, shape=node.shape or ())]
        inputs = [self._look_up(known, tensor) for tensor in node.inputs if not tensor.startswith("^")]
        called = [name for name in (node.op, *node.calls) if name in self._graph.functions]
        if called:
            # Of a loop's condition and body, the body gives as many values as there are.
            return max((self._call(name, inputs, depth) for name in called), key=len) or [_Value()]
        if inputs and (node.op in SAME_VALUES or (node.op in PASSING_ON and inputs[0].stored)):
            return [inputs[0]]
        if not all(value.stored for value in inputs):
            self._require_kernel(node)
        if node.op not in NO_COMPUTATION:
            self._use(node, inputs)
        ending = ENDINGS.get(node.op) or (inputs[0].ending if node.op in PASSING_ON and inputs else "")
        return [_Value(ending=ending)]

    def _require_kernel(self, node: GraphNode) -> None:
        """Raises InputError UNSUPPORTED_MODEL for an op that LiteRT does not compute in this type."""
        kind = TYPES.get(node.dtype, "float32")
        floats = kind in FLOAT_TYPES and node.op in FLOAT_KERNELS
        if kind != "float32" and (floats or node.op in MULTIPLYING):
            raise InputError(
                f"The SavedModel computes in {kind}, for which LiteRT has no kernel",
                code="UNSUPPORTED_MODEL",
                place=f"{self._place}, op {node.name} ({node.op})",
                expected="float32; weights may be stored in fewer bits and cast to it",
                fix="Build the model with the policy float32 (keras.mixed_precision.set_global_policy('float32')), give it the weights "
                "(set_weights), and export it again.",
            )

    def notes(self) -> list[str]:
        """What a person should know of the types, once the graph has been followed."""
        found = []
        if self._narrow:
            kinds = " and ".join(sorted(self._narrow))
            found.append(f"It stores weights as {kinds} and computes in float32: the baseline holds them as float32.")
        if any(layer.class_name.startswith(ROUNDED) for layer in self._layers.values()):
            found.append(
                "It was trained to be quantized: its weights are rounded where they are used. Int8 weights and activations fit it."
            )
        return found

    def _call(self, name: str, inputs: list[_Value], depth: int) -> list[_Value]:
        arguments, results = self._graph.interfaces[name]
        # A branch takes all inputs but the first, which chooses it.
        inputs = inputs[len(inputs) - len(arguments) :] if len(inputs) > len(arguments) else inputs
        known = {argument: [value] for argument, value in zip(arguments, inputs, strict=False)}
        self._follow(self._graph.functions[name], known, results, depth + 1)
        return [self._look_up(known, tensor) for tensor in results]

    def _look_up(self, known: dict[str, list[_Value]], tensor: str) -> _Value:
        """The value of "node", "node:2" or "node:output:2"."""
        values = known.get(_node_of(tensor), [])
        index = tensor.rpartition(":")[2]
        position = int(index) if ":" in tensor and index.isdigit() else 0
        return values[min(position, len(values) - 1)] if values else _Value()

    def _use(self, node: GraphNode, inputs: list[_Value]) -> None:
        """Make a layer of an op that uses stored numbers."""
        stored = [value for value in inputs if value.stored and math.prod(value.shape) > 1]
        if not stored:
            return
        weights: dict[str, tuple[int, ...]] = {}
        parameters = 0
        for value in stored:
            weights[_unused(value.stored.split("/")[-1], set(weights))] = value.shape
            if value.stored not in self._counted:
                self._counted.add(value.stored)
                parameters += math.prod(value.shape)
        name = _unused(node.name, set(self._layers))
        self._layers[name] = LayerSummary(name=name, class_name=node.op, weight_shapes=weights, parameters=parameters, macs=None)


def _node_of(tensor: str) -> str:
    return tensor.removeprefix("^").split(":")[0]
