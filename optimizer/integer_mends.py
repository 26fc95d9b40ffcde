"""Faults of TensorFlow's converter in files of integers that are mended where they stand, without another conversion."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from optimizer.litert_file import LiteRTFile
from optimizer.litert_packing import packed

NUMBERS = (2, 3)
"""Places of the two numbers that a ONE_HOT gives among its inputs."""
STATE, CELL_STATE, HIDDEN = 18, 19, 4
"""Places of an LSTM's two states among its inputs, and of what it computes before its output is stored among its intermediates."""
LEAST_CELL_SCALE = 2.0**-15
"""LiteRT's LSTM has no tanh for a cell state of a smaller scale, as one below a half gets it, and leaves the tanh out."""
LSTM = "UNIDIRECTIONAL_SEQUENCE_LSTM"
COPIED_FROM = {
    **dict.fromkeys([
        "BATCH_TO_SPACE_ND", "BROADCAST_TO", "DEPTH_TO_SPACE", "EXPAND_DIMS", "GATHER", "GATHER_ND", "MAX_POOL_2D", "MIRROR_PAD",
        "REDUCE_MAX", "REDUCE_MIN", "RESHAPE", "RESIZE_NEAREST_NEIGHBOR", "REVERSE_SEQUENCE", "REVERSE_V2", "SLICE", "SPACE_TO_BATCH_ND",
        "SPACE_TO_DEPTH", "SPLIT_V", "SQUEEZE", "STRIDED_SLICE", "TILE", "TRANSPOSE", "UNPACK",
    ], 0),
    "SPLIT": 1,
}  # fmt: skip
"""Kernels that give integers of an input as they are, whatever the scales say; and which input that is."""
FLOAT_KERNELS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})
"""Operators that cannot read integers where their kernel is float."""
INTEGERS = {9: np.int8, 7: np.int16}
"""The types of a TensorFlow Lite schema that are mended here."""


def mended(content: bytes) -> bytes:
    """The file with what is wrong in it mended; the same bytes where nothing is.

    ONE_HOT copies its two numbers, and REVERSE_V2 and its like their input, without a look at their scales, which are not always those
    of the output. UNIDIRECTIONAL_SEQUENCE_LSTM computes in the scale of its hidden value, whatever scale its state got from the last step
    alone, or its output from an operator behind it (the Concatenate of a Bidirectional). And a layer that stays float after a training
    with rounding is at times handed the integers of the one before, which LiteRT refuses.
    """
    file = LiteRTFile(content)
    if not any(True for _ in _wrong(file.model)):
        return content
    from ai_edge_litert.tools import flatbuffer_utils

    # Larger files keep their buffers behind the tables, which packing anew would cut off: this brings them in.
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    for graph, operator, name in list(_wrong(model)):
        if name == "ONE_HOT":
            _give_numbers_in_its_own_scale(model, graph, operator)
            continue
        if name in FLOAT_KERNELS:
            _unpack_what_it_reads(model, graph, operator)
            continue
        if name == LSTM:
            _mend_states(graph, operator)
        _give_what_it_computes(model, graph, operator, _computes_in(name, graph, operator))
    return packed(model)


def _wrong(model: Any) -> Iterator[tuple[Any, Any, str]]:
    """Graph, operator and the operator's name of each that gives other numbers than its scales say."""
    from ai_edge_litert import schema_py_generated as schema

    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    codes = [names.get(max(code.builtinCode, code.deprecatedBuiltinCode), "") for code in model.operatorCodes]
    for graph in model.subgraphs:
        for operator in graph.operators or ():
            name = codes[operator.opcodeIndex]
            if name in FLOAT_KERNELS and _reads_integers_for_a_float_kernel(graph, operator):
                yield graph, operator, name
            if name not in COPIED_FROM and name not in ("ONE_HOT", LSTM):
                continue
            given = [graph.tensors[tensor] for tensor in operator.outputs]
            if any(_is_wrong(name, graph, operator, tensor) for tensor in given if _has_one_scale(tensor)):
                yield graph, operator, name


def _reads_integers_for_a_float_kernel(graph: Any, operator: Any) -> bool:
    from ai_edge_litert import schema_py_generated as schema

    read, kernel = (graph.tensors[tensor] for tensor in operator.inputs[:2])
    return _has_one_scale(read) and bool(kernel.type == schema.TensorType.FLOAT32)


def _is_wrong(name: str, graph: Any, operator: Any, given: Any) -> bool:
    if name == LSTM:
        cell = graph.tensors[operator.inputs[CELL_STATE]]
        if _has_one_scale(cell) and 0.0 < float(cell.quantization.scale[0]) < LEAST_CELL_SCALE:
            return True
    return any(_has_one_scale(tensor) and not _same_scale(tensor, given) for tensor in _of_its_own_scale(name, graph, operator))


def _of_its_own_scale(name: str, graph: Any, operator: Any) -> list[Any]:
    """Tensors that must have the scale of what the operator gives."""
    if name == "ONE_HOT":
        return [graph.tensors[operator.inputs[place]] for place in NUMBERS]
    state = [graph.tensors[operator.inputs[STATE]]] if name == LSTM else []
    return [_computes_in(name, graph, operator), *state]


def _computes_in(name: str, graph: Any, operator: Any) -> Any:
    """The tensor in whose scale an operator really gives its numbers."""
    if name != LSTM:
        return graph.tensors[operator.inputs[COPIED_FROM[name]]]
    between = operator.intermediates
    return graph.tensors[operator.inputs[STATE] if between is None or len(between) <= HIDDEN else between[HIDDEN]]


def _give_numbers_in_its_own_scale(model: Any, graph: Any, operator: Any) -> None:
    """The two numbers of a ONE_HOT in the scale of what it gives: a constant is rounded anew, a computed one goes through a QUANTIZE."""
    from ai_edge_litert import schema_py_generated as schema

    given = graph.tensors[operator.outputs[0]]
    for place in NUMBERS:
        read = operator.inputs[place]
        tensor = graph.tensors[read]
        if not _has_one_scale(tensor) or _same_scale(tensor, given):
            continue
        fresh = copy.deepcopy(tensor)
        fresh.name, fresh.quantization, fresh.buffer = (
            bytes(fresh.name or b"") + b"/rescaled",
            copy.deepcopy(given.quantization),
            0,
        )
        operator.inputs[place] = _added(graph, fresh)
        if model.buffers[tensor.buffer].data is None:
            _insert(model, graph, _place(graph, operator), schema.BuiltinOperator.QUANTIZE, read, operator.inputs[place])
        else:
            fresh.buffer = _rescaled(model, tensor, given.quantization)


def _rescaled(model: Any, tensor: Any, quantization: Any) -> int:
    """Number of a new buffer that holds a constant tensor's values in another scale."""
    dtype: Any = INTEGERS[tensor.type]
    steps = np.asarray(model.buffers[tensor.buffer].data, np.uint8).view(dtype).astype(np.float64)
    values = (steps - _zero_point(tensor.quantization)) * tensor.quantization.scale[0]
    rounded = np.round(values / quantization.scale[0]) + _zero_point(quantization)
    buffer = copy.deepcopy(model.buffers[tensor.buffer])
    buffer.data = np.clip(rounded, np.iinfo(dtype).min, np.iinfo(dtype).max).astype(dtype).view(np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def _mend_states(graph: Any, operator: Any) -> None:
    """The output state in the scale that the LSTM computes in, and the cell state in one that its tanh knows."""
    computed = _computes_in(LSTM, graph, operator)
    if _has_one_scale(computed):
        graph.tensors[operator.inputs[STATE]].quantization = copy.deepcopy(computed.quantization)
    cell = graph.tensors[operator.inputs[CELL_STATE]]
    if _has_one_scale(cell):
        cell.quantization.scale = [max(float(cell.quantization.scale[0]), LEAST_CELL_SCALE)]


def _unpack_what_it_reads(model: Any, graph: Any, operator: Any) -> None:
    from ai_edge_litert import schema_py_generated as schema

    read = operator.inputs[0]
    fresh = copy.deepcopy(graph.tensors[read])
    fresh.name, fresh.quantization, fresh.type = bytes(fresh.name or b"") + b"/unpacked", None, schema.TensorType.FLOAT32
    operator.inputs[0] = _added(graph, fresh)
    _insert(model, graph, _place(graph, operator), schema.BuiltinOperator.DEQUANTIZE, read, operator.inputs[0])


def _give_what_it_computes(model: Any, graph: Any, operator: Any, computed: Any) -> None:
    """The operator gives tensors of the scale that it computes in, and a QUANTIZE brings each to the scale that its readers are told."""
    from ai_edge_litert import schema_py_generated as schema

    for number, told in enumerate(list(operator.outputs)):
        if not _has_one_scale(computed) or _same_scale(graph.tensors[told], computed):
            continue
        fresh = copy.deepcopy(graph.tensors[told])
        fresh.name, fresh.quantization = bytes(fresh.name or b"") + b"/computed", copy.deepcopy(computed.quantization)
        operator.outputs[number] = _added(graph, fresh)
        _insert(model, graph, _place(graph, operator) + 1, schema.BuiltinOperator.QUANTIZE, operator.outputs[number], told)


def _has_one_scale(tensor: Any) -> bool:
    quantization = tensor.quantization
    one = quantization is not None and quantization.scale is not None and len(quantization.scale) == 1
    return one and tensor.type in INTEGERS


def _same_scale(one: Any, other: Any) -> bool:
    a, b = one.quantization, other.quantization
    return bool(a.scale[0] == b.scale[0] and _zero_point(a) == _zero_point(b))


def _zero_point(quantization: Any) -> int:
    return 0 if quantization.zeroPoint is None or not len(quantization.zeroPoint) else int(quantization.zeroPoint[0])


def _added(graph: Any, tensor: Any) -> int:
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _insert(model: Any, graph: Any, place: int, builtin: int, read: int, given: int) -> None:
    """A new operator of one input and one output at a place among the graph's operators."""
    from ai_edge_litert import schema_py_generated as schema

    fresh = schema.OperatorT()
    fresh.opcodeIndex, fresh.inputs, fresh.outputs = _code(model, builtin), [read], [given]
    graph.operators.insert(place, fresh)


def _place(graph: Any, operator: Any) -> int:
    return next(place for place, other in enumerate(graph.operators) if other is operator)


def _code(model: Any, builtin: int) -> int:
    """Number of an operator among the file's operator codes, which gets it where it has none."""
    from ai_edge_litert import schema_py_generated as schema

    for number, code in enumerate(model.operatorCodes):
        if max(code.builtinCode, code.deprecatedBuiltinCode) == builtin:
            # From integers to integers is version 2; a later one takes what an earlier one did.
            code.version = max(int(code.version or 1), 2)
            return number
    fresh = schema.OperatorCodeT()
    fresh.builtinCode = fresh.deprecatedBuiltinCode = builtin
    fresh.version = 2
    model.operatorCodes.append(fresh)
    return len(model.operatorCodes) - 1
