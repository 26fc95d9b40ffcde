"""Operators of a float .tflite that integers cannot compute, whoever makes them: what matters falls on one level of too wide a range."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from optimizer.litert_file import LiteRTFile, StoredOperator, tensor_name
from optimizer.litert_graph import LiteRTGraph

MASKED = 1e4
"""A number as large beside a softmax's other inputs is a mask."""
STEPWISE = frozenset({
    "ABS", "ADD", "CAST", "EXP", "LOG", "MUL", "NEG", "RELU", "RESHAPE", "RSQRT", "SQRT", "SQUARE", "SUB", "TANH",
})  # fmt: skip
"""Operators of one computed operand that a region goes through."""
SUMMED = STEPWISE | {"MEAN", "SUM"}
"""Operators that lead to a reciprocal root, as STEPWISE does to others."""
ENDING = frozenset({"DIV", "MAXIMUM", "MINIMUM", "MUL", "SELECT", "SELECT_V2"})
"""Operators that a region ends with: they bring its numbers back to a usual range."""
MASKING = frozenset(
    {"ADD", "BROADCAST_TO", "CAST", "EXPAND_DIMS", "MUL", "RESHAPE", "SELECT", "SELECT_V2", "SUB", "TILE", "TRANSPOSE"}
)


def float_regions(content: bytes, *, roots: bool = False) -> list[tuple[str, str]]:
    """The operators that should stay float: each one's name and that of the tensor that it gives.

    They are a masked softmax with what masks it, an exponential with what is added to it and undoes it (softplus, mish, selu, a
    where of two branches), a logarithm with what is added before it, and a division by what is computed; with `roots`, 1 / sqrt(x) with what
    is summed up before it and what it multiplies.
    """
    graph = LiteRTGraph(LiteRTFile(content))
    names = {operator.outputs[0]: operator.name for region in _regions(graph, roots) for operator in region}
    tensors = graph.file.model.subgraphs[0].tensors
    return [(name, tensor_name(tensors[tensor])) for tensor, name in sorted(names.items())]


def _regions(graph: LiteRTGraph, roots: bool) -> Iterator[list[StoredOperator]]:
    for operator in graph.operators:
        if operator.name == "SOFTMAX":
            masking = _before(graph, operator, MASKING)
            if any(_masks(graph, other) for other in masking):
                yield [operator, *masking]
        elif operator.name == "EXP":
            after = _after(graph, operator)
            # An exponential that goes straight to a kernel or a sum is what the model is after.
            if any(other.name in ("ADD", "SUB") for other in after):
                yield [operator, *after]
        elif operator.name == "LOG":
            yield [operator, *_before(graph, operator, STEPWISE)]
        elif operator.name == "RSQRT" and roots:
            yield [operator, *_before(graph, operator, SUMMED), *_after(graph, operator)]
        elif operator.name == "DIV" and not graph.file.is_constant(0, operator.inputs[1]):
            # LiteRT refuses a sample whose divisor is rounded to 0.
            yield [operator]
        elif operator.name == "MAXIMUM" and any(np.size(values) > 1 for values in _constants(graph, operator)):
            # litert-quantizer gives these constants one scale a channel, and then refuses the model.
            yield [operator]


def _before(graph: LiteRTGraph, operator: StoredOperator, through: frozenset[str]) -> list[StoredOperator]:
    found: dict[int, StoredOperator] = {}
    waiting = graph.computed(operator)
    while waiting:
        tensor = waiting.pop()
        giver = graph.givers.get(tensor)
        if giver is None:
            continue
        alone = through is MASKING or len(graph.computed(giver)) == 1
        if giver.name in through and alone and tensor not in found:
            found[tensor] = giver
            waiting += graph.computed(giver)
    return list(found.values())


def _after(graph: LiteRTGraph, operator: StoredOperator) -> list[StoredOperator]:
    found: dict[int, StoredOperator] = {}
    waiting = list(graph.readers[operator.outputs[0]])
    while waiting:
        reader = waiting.pop()
        if reader.name not in STEPWISE | ENDING:
            continue
        goes_on = reader.name in STEPWISE and len(graph.computed(reader)) == 1
        if reader.outputs[0] not in found and (goes_on or reader.name in ENDING):
            found[reader.outputs[0]] = reader
            waiting += graph.readers[reader.outputs[0]] if goes_on else []
    return list(found.values())


def _masks(graph: LiteRTGraph, operator: StoredOperator) -> bool:
    return any(float(np.abs(values).max(initial=0.0)) >= MASKED for values in _constants(graph, operator))


def _constants(graph: LiteRTGraph, operator: StoredOperator) -> list[Any]:
    return [values for tensor in operator.inputs if (values := graph.file.numbers(0, tensor)) is not None]
