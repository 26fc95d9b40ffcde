"""Faults of TensorFlow's converter in int8 files that are mended where they stand, without another conversion."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from optimizer.litert_file import LiteRTFile

STATE = 18
"""Place of the output state among an LSTM's inputs."""


def mended_in_int8(content: bytes) -> bytes:
    """The file with what is wrong in it mended; the same bytes where nothing is.

    ONE_HOT copies its two numbers without a look at their scales, which are not those of its output. UNIDIRECTIONAL_SEQUENCE_LSTM gives
    its state, in the state's scale, whatever scale its output got from an operator behind it (the Concatenate of a Bidirectional).
    """
    file = LiteRTFile(content)
    if not any(operator.name in ("ONE_HOT", "UNIDIRECTIONAL_SEQUENCE_LSTM") for operator in file.operators):
        return content
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    mended = False
    for graph in model.subgraphs:
        for operator in list(graph.operators):
            code = codes[operator.opcodeIndex]
            if graph.tensors[operator.outputs[0]].type != schema.TensorType.INT8:
                continue
            if code == schema.BuiltinOperator.ONE_HOT:
                mended |= _with_numbers_in_its_own_scale(model, graph, operator)
            elif code == schema.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM:
                mended |= _with_output_in_the_scale_of_its_state(model, graph, operator)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model)) if mended else content


def _with_numbers_in_its_own_scale(model: Any, graph: Any, operator: Any) -> bool:
    """New constants for the numbers that a ONE_HOT gives, where theirs have another scale."""
    given = graph.tensors[operator.outputs[0]].quantization
    mended = False
    for place in (2, 3):
        tensor = graph.tensors[operator.inputs[place]]
        if _same_scale(tensor.quantization, given):
            continue
        data = np.asarray(model.buffers[tensor.buffer].data, np.uint8).view(np.int8).astype(np.float64)
        values = (data - tensor.quantization.zeroPoint[0]) * tensor.quantization.scale[0]
        steps = np.clip(np.round(values / given.scale[0]) + given.zeroPoint[0], -128, 127).astype(np.int8)
        buffer = copy.deepcopy(model.buffers[tensor.buffer])
        buffer.data = steps.view(np.uint8)
        model.buffers.append(buffer)
        fresh = copy.deepcopy(tensor)
        fresh.buffer, fresh.quantization = len(model.buffers) - 1, copy.deepcopy(given)
        operator.inputs[place] = _added(graph, fresh)
        mended = True
    return mended


def _with_output_in_the_scale_of_its_state(model: Any, graph: Any, operator: Any) -> bool:
    """The LSTM gives a tensor of its state's scale, and a QUANTIZE brings that to the scale that its readers are told."""
    from ai_edge_litert import schema_py_generated as schema

    before = operator.outputs[0]
    state = graph.tensors[operator.inputs[STATE]].quantization
    if _same_scale(graph.tensors[before].quantization, state):
        return False
    fresh = copy.deepcopy(graph.tensors[before])
    fresh.name, fresh.quantization = bytes(fresh.name) + b"/state", copy.deepcopy(state)
    operator.outputs[0] = _added(graph, fresh)
    rescaling = schema.OperatorT()
    rescaling.opcodeIndex = _code(model, schema.BuiltinOperator.QUANTIZE)
    rescaling.inputs, rescaling.outputs = [operator.outputs[0]], [before]
    graph.operators.insert(next(n for n, other in enumerate(graph.operators) if other is operator) + 1, rescaling)
    return True


def _same_scale(one: Any, other: Any) -> bool:
    return bool(one.scale[0] == other.scale[0] and one.zeroPoint[0] == other.zeroPoint[0])


def _added(graph: Any, tensor: Any) -> int:
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _code(model: Any, builtin: int) -> int:
    """Number of an operator's code in the file, which gets one where it has none."""
    from ai_edge_litert import schema_py_generated as schema

    for number, code in enumerate(model.operatorCodes):
        if max(code.builtinCode, code.deprecatedBuiltinCode) == builtin:
            return number
    fresh = schema.OperatorCodeT()
    fresh.builtinCode = fresh.deprecatedBuiltinCode = builtin
    fresh.version = 2
    model.operatorCodes.append(fresh)
    return len(model.operatorCodes) - 1
