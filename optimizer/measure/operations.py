"""Parameters and multiply-accumulates of a .tflite, counted from its operators."""

from __future__ import annotations

import math
from collections.abc import Callable

from optimizer.litert_file import LiteRTFile, StoredOperator, tensor_name


def parameters(file: LiteRTFile) -> int:
    """Number of weights that operators multiply or add: constants of floating or quantized type, one-element ones left out."""
    weights = ("FLOAT32", "FLOAT16", "INT8", "UINT8", "INT4", "INT2")
    biases = sum(
        t.raw.size for t in file.constants if t.dtype in ("INT32", "INT64") and t.raw.ndim == 1 and _is_bias(file, t.name)
    )
    return biases + sum(t.raw.size for t in file.constants if t.dtype in weights and t.raw.size > 1)


def _is_bias(file: LiteRTFile, name: str) -> bool:
    return any(
        len(operator.inputs) > 2
        and operator.inputs[2] >= 0
        and operator.name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "CONV_3D")
        and tensor_name(file.model.subgraphs[operator.subgraph].tensors[operator.inputs[2]]) == name
        for operator in file.operators
    )


def macs(file: LiteRTFile) -> int | None:
    """Multiply-accumulates of one invocation; None where the graph loops or leaves axes open (how often, how long is not in the file)."""
    total = 0
    for operator in file.operators:
        count = operator_macs(file, operator)
        if count is None:
            return None
        total += count
    return total


def operator_macs(file: LiteRTFile, operator: StoredOperator) -> int | None:
    """Multiply-accumulates of one operator; None for a loop, for axes that are open, and for shapes that the operator cannot have."""
    if operator.name == "WHILE":
        return None
    count = _COUNTS.get(operator.name)
    if count is not None and any(file.has_open_axes(operator.subgraph, tensor) for tensor in operator.outputs):
        return None
    try:
        return 0 if count is None else count(file, operator)
    except IndexError:
        return None


def _shapes(file: LiteRTFile, operator: StoredOperator) -> tuple[list[tuple[int, ...]], tuple[int, ...]]:
    inputs = [file.shape(operator.subgraph, tensor) for tensor in operator.inputs]
    return inputs, file.shape(operator.subgraph, operator.outputs[0])


def _convolution(file: LiteRTFile, operator: StoredOperator) -> int:
    inputs, output = _shapes(file, operator)
    return math.prod(output) * math.prod(inputs[1][1:])


def _depthwise(file: LiteRTFile, operator: StoredOperator) -> int:
    inputs, output = _shapes(file, operator)
    return math.prod(output) * math.prod(inputs[1][1:3])


def _fully_connected(file: LiteRTFile, operator: StoredOperator) -> int:
    inputs, output = _shapes(file, operator)
    return math.prod(output) * inputs[1][-1]


def _transposed(file: LiteRTFile, operator: StoredOperator) -> int:
    # Inputs are (output shape, weights (out, h, w, in), activations): every activation meets every weight of its channel once.
    inputs, _ = _shapes(file, operator)
    return math.prod(inputs[2]) * math.prod(inputs[1][:3])


def _convolution_3d(file: LiteRTFile, operator: StoredOperator) -> int:
    inputs, output = _shapes(file, operator)
    return math.prod(output) * math.prod(inputs[1][:4])


def _batch_matmul(file: LiteRTFile, operator: StoredOperator) -> int:
    inputs, output = _shapes(file, operator)
    adjoint = bool(getattr(operator.options, "adjX", False))
    return math.prod(output) * inputs[0][-2 if adjoint else -1]


def _sequence_lstm(file: LiteRTFile, operator: StoredOperator) -> int:
    inputs, _ = _shapes(file, operator)
    steps = inputs[0][0 if getattr(operator.options, "timeMajor", False) else 1]
    return steps * sum(math.prod(shape) for shape in inputs[1:9])


_COUNTS: dict[str, Callable[[LiteRTFile, StoredOperator], int]] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _fully_connected,
    "TRANSPOSE_CONV": _transposed,
    "CONV_3D": _convolution_3d,
    "BATCH_MATMUL": _batch_matmul,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _sequence_lstm,
}
