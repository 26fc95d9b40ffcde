"""Working memory of a .tflite: how large an arena its activations need."""

from __future__ import annotations

import math
from typing import Any

from optimizer.litert_file import LiteRTFile

ALIGNMENT = 16
_ELEMENT_BYTES = {"FLOAT32": 4, "INT32": 4, "UINT32": 4, "FLOAT16": 2, "INT16": 2, "INT64": 8, "FLOAT64": 8}


def arena_bytes(file: LiteRTFile) -> int | None:
    """Bytes that the activations of the main graph need, planned greedily by size; None where the file leaves axes open.

    This is the plan that TensorFlow Lite Micro's GreedyMemoryPlanner makes (Pisarchyk & Lee 2020, arXiv 2001.03288), without the runtime's own
    bookkeeping and the kernels' scratch buffers: an estimate from below.
    """
    if any(file.has_open_axes(0, tensor) for tensor in file.inputs):
        return None
    blocks = _lifetimes(file)
    placed: list[tuple[int, int, int, int]] = []
    for size, first, last in sorted(blocks, reverse=True):
        offset = 0
        for other_offset, other_size, other_first, other_last in sorted(placed):
            overlaps = other_first <= last and first <= other_last
            if overlaps and offset < other_offset + other_size and other_offset < offset + size:
                offset = other_offset + other_size
        placed.append((offset, size, first, last))
    return max((offset + size for offset, size, _, _ in placed), default=0)


def _lifetimes(file: LiteRTFile) -> list[tuple[int, int, int]]:
    """(bytes, first operator, last operator) of each activation of the main graph."""
    graph = file.model.subgraphs[0]
    operators = [operator for operator in file.operators if operator.subgraph == 0]
    first: dict[int, int] = {int(tensor): 0 for tensor in graph.inputs}
    last: dict[int, int] = dict.fromkeys(first, 0)
    for step, operator in enumerate(operators):
        for tensor in operator.outputs:
            first.setdefault(tensor, step)
            last[tensor] = step
        for tensor in operator.inputs:
            if tensor in first:
                last[tensor] = step
    for tensor in graph.outputs:
        last[int(tensor)] = len(operators)
    return [(_aligned_bytes(file, graph.tensors[tensor]), first[tensor], last.get(tensor, first[tensor])) for tensor in first]


def _aligned_bytes(file: LiteRTFile, tensor: Any) -> int:
    shape = [abs(int(n)) for n in tensor.shape] if tensor.shape is not None else []
    element = _ELEMENT_BYTES.get(file.type_name(tensor.type), 1)
    return -(-math.prod(shape) * element // ALIGNMENT) * ALIGNMENT
