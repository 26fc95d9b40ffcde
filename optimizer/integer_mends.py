"""Faults of TensorFlow's converter in int8 files that are mended where they stand, without another conversion."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from optimizer.litert_file import LiteRTFile

NUMBERS = (2, 3)
"""Places of the two numbers that a ONE_HOT gives among its inputs."""
STATE, HIDDEN = 18, 4
"""Places of the output state among an LSTM's inputs, and of what it computes before that is stored there among its intermediates."""
COPYING = frozenset({
    "BATCH_TO_SPACE_ND", "BROADCAST_TO", "DEPTH_TO_SPACE", "EXPAND_DIMS", "GATHER", "GATHER_ND", "MAX_POOL_2D", "REDUCE_MAX", "REDUCE_MIN",
    "RESHAPE", "RESIZE_NEAREST_NEIGHBOR", "REVERSE_V2", "SLICE", "SPACE_TO_DEPTH", "SQUEEZE", "STRIDED_SLICE", "TILE", "TRANSPOSE",
})  # fmt: skip
"""Kernels that give the integers of their first input as they are, whatever the scales say."""


def mended_in_int8(content: bytes) -> bytes:
    """The file with what is wrong in it mended; the same bytes where nothing is.

    ONE_HOT copies its two numbers, and REVERSE_V2 and its like their input, without a look at their scales, which are not always those
    of the output. UNIDIRECTIONAL_SEQUENCE_LSTM computes in the scale of its hidden value, whatever scale its state got from the last step
    alone, or its output from an operator behind it (the Concatenate of a Bidirectional).
    """
    if not any(True for _ in _wrong(LiteRTFile(content).model)):
        return content
    from ai_edge_litert.tools import flatbuffer_utils

    # Larger files keep their buffers behind the tables, which packing anew would cut off: this brings them in.
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    for graph, operator, name in list(_wrong(model)):
        if name == "ONE_HOT":
            _give_numbers_in_its_own_scale(model, graph, operator)
        else:
            _give_what_it_computes(model, graph, operator, _computes_in(name, graph, operator))
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _wrong(model: Any) -> Iterator[tuple[Any, Any, str]]:
    """Graph, operator and the operator's name of each that gives other numbers than its scales say."""
    from ai_edge_litert import schema_py_generated as schema

    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    codes = [names.get(max(code.builtinCode, code.deprecatedBuiltinCode), "") for code in model.operatorCodes]
    for graph in model.subgraphs:
        for operator in graph.operators:
            name = codes[operator.opcodeIndex]
            if name not in COPYING and name not in ("ONE_HOT", "UNIDIRECTIONAL_SEQUENCE_LSTM"):
                continue
            given = graph.tensors[operator.outputs[0]]
            if given.type != schema.TensorType.INT8 or not _has_one_scale(given):
                continue
            in_truth = _of_its_own_scale(name, graph, operator)
            if any(_has_one_scale(tensor) and not _same_scale(tensor, given) for tensor in in_truth):
                yield graph, operator, name


def _of_its_own_scale(name: str, graph: Any, operator: Any) -> list[Any]:
    """Tensors that must have the scale of what the operator gives."""
    if name == "ONE_HOT":
        return [graph.tensors[operator.inputs[place]] for place in NUMBERS]
    state = [graph.tensors[operator.inputs[STATE]]] if name == "UNIDIRECTIONAL_SEQUENCE_LSTM" else []
    return [_computes_in(name, graph, operator), *state]


def _computes_in(name: str, graph: Any, operator: Any) -> Any:
    """The tensor in whose scale an operator really gives its numbers."""
    lstm = name == "UNIDIRECTIONAL_SEQUENCE_LSTM"
    return graph.tensors[operator.intermediates[HIDDEN] if lstm else operator.inputs[0]]


def _give_numbers_in_its_own_scale(model: Any, graph: Any, operator: Any) -> None:
    """New constants for the numbers that a ONE_HOT gives, in the scale of its output."""
    given = graph.tensors[operator.outputs[0]].quantization
    for place in NUMBERS:
        tensor = graph.tensors[operator.inputs[place]]
        data = np.asarray(model.buffers[tensor.buffer].data, np.uint8).view(np.int8).astype(np.float64)
        values = (data - tensor.quantization.zeroPoint[0]) * tensor.quantization.scale[0]
        steps = np.clip(np.round(values / given.scale[0]) + given.zeroPoint[0], -128, 127).astype(np.int8)
        buffer = copy.deepcopy(model.buffers[tensor.buffer])
        buffer.data = steps.view(np.uint8)
        model.buffers.append(buffer)
        fresh = copy.deepcopy(tensor)
        fresh.buffer, fresh.quantization = len(model.buffers) - 1, copy.deepcopy(given)
        operator.inputs[place] = _added(graph, fresh)


def _give_what_it_computes(model: Any, graph: Any, operator: Any, computed: Any) -> None:
    """The operator gives a tensor of the scale that it computes in, and a QUANTIZE brings that to the scale that its readers are told."""
    from ai_edge_litert import schema_py_generated as schema

    if len(operator.inputs) > STATE:
        graph.tensors[operator.inputs[STATE]].quantization = copy.deepcopy(computed.quantization)
    told = operator.outputs[0]
    if _same_scale(graph.tensors[told], computed):
        return
    fresh = copy.deepcopy(graph.tensors[told])
    fresh.name, fresh.quantization = bytes(fresh.name) + b"/computed", copy.deepcopy(computed.quantization)
    operator.outputs[0] = _added(graph, fresh)
    rescaling = schema.OperatorT()
    rescaling.opcodeIndex = _quantize_code(model)
    rescaling.inputs, rescaling.outputs = [operator.outputs[0]], [told]
    place = next(number for number, other in enumerate(graph.operators) if other is operator)
    graph.operators.insert(place + 1, rescaling)


def _has_one_scale(tensor: Any) -> bool:
    quantization = tensor.quantization
    return quantization is not None and quantization.scale is not None and len(quantization.scale) == 1


def _same_scale(one: Any, other: Any) -> bool:
    a, b = one.quantization, other.quantization
    return bool(a.scale[0] == b.scale[0] and a.zeroPoint[0] == b.zeroPoint[0])


def _added(graph: Any, tensor: Any) -> int:
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _quantize_code(model: Any) -> int:
    """Number of QUANTIZE among the file's operator codes, which gets one where it has none."""
    from ai_edge_litert import schema_py_generated as schema

    builtin = schema.BuiltinOperator.QUANTIZE
    for number, code in enumerate(model.operatorCodes):
        if max(code.builtinCode, code.deprecatedBuiltinCode) == builtin:
            return number
    fresh = schema.OperatorCodeT()
    fresh.builtinCode = fresh.deprecatedBuiltinCode = builtin
    fresh.version = 2
    model.operatorCodes.append(fresh)
    return len(model.operatorCodes) - 1
