"""What TensorFlow's converter gets wrong in files of integers, without a word."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from optimizer.litert_file import LiteRTFile

READ_FROM = {
    **dict.fromkeys(
        [
            "BATCH_TO_SPACE_ND",
            "BROADCAST_TO",
            "DEPTH_TO_SPACE",
            "EXPAND_DIMS",
            "GATHER",
            "GATHER_ND",
            "MIRROR_PAD",
            "RESHAPE",
            "REVERSE_SEQUENCE",
            "REVERSE_V2",
            "SLICE",
            "SPACE_TO_BATCH_ND",
            "SPACE_TO_DEPTH",
            "SPLIT_V",
            "SQUEEZE",
            "STRIDED_SLICE",
            "TILE",
            "TRANSPOSE",
            "UNPACK",
        ],
        0,
    ),
    "SPLIT": 1,
}
"""Operators that hand on integers as they are, and which input these come from: they must keep the scale that they came with."""
ON_AND_OFF = (2, 3)
"""Which inputs of a ONE_HOT hold the numbers that it gives."""
OUTPUT_STATE = 18
"""Which input of an LSTM holds what it gave at the step before."""
CELL_STATE = 19
"""Which input of an LSTM holds the state of its cells."""
LEAST_CELL_SCALE = 2.0**-15


def mended(content: bytes) -> bytes:
    """The same file with what TensorFlow's converter gets wrong put right; unchanged where nothing is.

    Moving operators: the converter gives all that a Concatenate joins one scale. Where a part comes from a REVERSE_V2 (the backward half of
    a Bidirectional layer), its integers were copied under a scale that is not theirs; a QUANTIZE behind it brings them to that scale.

    Values of a ONE_HOT: "off" gets a scale of its own, which the kernel does not look at; it came out as a half.

    States of an LSTM: one that stays below a half gets a scale so small that LiteRT's kernel has no tanh for it, and leaves it out. The state of its
    outputs gets another scale than the kernel writes it in where a Concatenate has changed that one, and was read wrongly at each step.
    """
    file = LiteRTFile(content)
    moved = [
        (number, output)
        for number, operator in enumerate(file.operators)
        if (source := _source(file, number)) is not None
        for output in operator.outputs
        if _differ(_scale(file, operator.subgraph, source), _scale(file, operator.subgraph, output))
    ]
    states = [
        (operator.subgraph, operator.inputs[CELL_STATE])
        for operator in file.operators
        if operator.name == "UNIDIRECTIONAL_SEQUENCE_LSTM"
        and 0.0 < (_scale(file, operator.subgraph, operator.inputs[CELL_STATE]) or (0.0, 0))[0] < LEAST_CELL_SCALE
    ]
    encoded = [
        (number, place)
        for number, operator in enumerate(file.operators)
        if operator.name == "ONE_HOT"
        for place in ON_AND_OFF
        if _differ(_scale(file, operator.subgraph, operator.inputs[place]), _scale(file, operator.subgraph, operator.outputs[0]))
        and file.is_constant(operator.subgraph, operator.inputs[place])
    ]
    hidden = [
        (number, operator.outputs[0])
        for number, operator in enumerate(file.operators)
        if operator.name == "UNIDIRECTIONAL_SEQUENCE_LSTM"
        and _differ(
            _scale(file, operator.subgraph, _hidden(file, number)), _scale(file, operator.subgraph, operator.inputs[OUTPUT_STATE])
        )
    ]
    if not moved and not states and not encoded and not hidden:
        return content
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    for subgraph, tensor in states:
        model.subgraphs[subgraph].tensors[tensor].quantization.scale = [LEAST_CELL_SCALE]
    for number, _ in hidden:
        graph = model.subgraphs[file.operators[number].subgraph]
        state = graph.tensors[file.operators[number].inputs[OUTPUT_STATE]]
        state.quantization = graph.tensors[_hidden(file, number)].quantization
    for number, place in encoded:
        _round_again(model, file, number, place)
    if moved:
        _requantize(model, file, moved)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _source(file: LiteRTFile, number: int) -> int | None:
    """The tensor whose scale an operator's outputs must have; None where they have one of their own."""
    operator = file.operators[number]
    if operator.name == "UNIDIRECTIONAL_SEQUENCE_LSTM":
        return _hidden(file, number)
    place = READ_FROM.get(operator.name)
    return None if place is None or place >= len(operator.inputs) else operator.inputs[place]


def _hidden(file: LiteRTFile, number: int) -> int:
    """The tensor whose scale an LSTM writes its outputs in."""
    found = file.operators[number]
    between = file.model.subgraphs[found.subgraph].operators[_place(file, number)].intermediates
    return found.inputs[OUTPUT_STATE] if between is None or len(between) < 5 else int(between[4])


def _differ(before: tuple[float, int] | None, after: tuple[float, int] | None) -> bool:
    return before is not None and after is not None and before != after


def _scale(file: LiteRTFile, subgraph: int, tensor: int) -> tuple[float, int] | None:
    quantization = file.model.subgraphs[subgraph].tensors[tensor].quantization
    if quantization is None or quantization.scale is None or len(quantization.scale) != 1:
        return None
    return float(quantization.scale[0]), int(quantization.zeroPoint[0])


def _round_again(model: Any, file: LiteRTFile, number: int, place: int) -> None:
    """Give an operator a constant of its own that says the same number under the scale of its output."""
    found = file.operators[number]
    graph = model.subgraphs[found.subgraph]
    output = graph.tensors[found.outputs[0]]
    old: Any = graph.tensors[found.inputs[place]]
    scale, zero_point = _scale(file, found.subgraph, found.outputs[0]) or (1.0, 0)
    stored, offset = _scale(file, found.subgraph, found.inputs[place]) or (1.0, 0)
    dtype = np.int16 if file.type_name(output.type) == "INT16" else np.int8
    value = (np.frombuffer(bytes(model.buffers[old.buffer].data), dtype).astype(np.float64) - offset) * stored
    limits = np.iinfo(dtype)
    buffer: Any = copy.copy(model.buffers[old.buffer])
    buffer.data = np.clip(np.round(value / scale) + zero_point, limits.min, limits.max).astype(dtype).view(np.uint8)
    model.buffers.append(buffer)
    new: Any = copy.copy(old)
    new.buffer, new.quantization, new.name = len(model.buffers) - 1, output.quantization, _with_suffix(old.name)
    graph.tensors.append(new)
    operator = graph.operators[_place(file, number)]
    operator.inputs = [len(graph.tensors) - 1 if n == place else int(tensor) for n, tensor in enumerate(operator.inputs)]


def _place(file: LiteRTFile, number: int) -> int:
    """The place of an operator within its own subgraph."""
    return number - sum(operator.subgraph < file.operators[number].subgraph for operator in file.operators)


def _requantize(model: Any, file: LiteRTFile, moved: list[tuple[int, int]]) -> None:
    from ai_edge_litert import schema_py_generated as schema

    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.QUANTIZE
    code.version = 2  # From integers to integers.
    model.operatorCodes = [*model.operatorCodes, code]
    # From the last operator on, so that the places of those before stay what they are.
    for number, output in reversed(moved):
        found = file.operators[number]
        graph = model.subgraphs[found.subgraph]
        place = _place(file, number)
        moving = graph.operators[place]
        copied: Any = copy.copy(graph.tensors[output])
        copied.name = _with_suffix(copied.name)
        copied.quantization = graph.tensors[_source(file, number) or 0].quantization
        graph.tensors.append(copied)
        moving.outputs = [len(graph.tensors) - 1 if int(n) == output else int(n) for n in moving.outputs]
        rounding = schema.OperatorT()
        rounding.opcodeIndex = len(model.operatorCodes) - 1
        rounding.inputs, rounding.outputs = [len(graph.tensors) - 1], [output]
        graph.operators.insert(place + 1, rounding)


def _with_suffix(name: Any) -> bytes:
    return (name if isinstance(name, bytes) else str(name or "").encode()) + b"/again"
