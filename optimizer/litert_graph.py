"""Who gives and who reads each tensor of a .tflite's main graph."""

from __future__ import annotations

import collections
from collections.abc import Container, Iterable
from typing import Any

from optimizer.litert_file import LiteRTFile, StoredOperator

LEVELS = {"INT8": 255, "INT16": 65535}


class LiteRTGraph:
    """The main graph of a file: `operators` in execution order, `givers` and `readers` by the number of a tensor."""

    def __init__(self, file: LiteRTFile) -> None:
        self.file = file
        self.operators = [operator for operator in file.operators if operator.subgraph == 0]
        self.givers = {tensor: operator for operator in self.operators for tensor in operator.outputs}
        self.readers: dict[int, list[StoredOperator]] = collections.defaultdict(list)
        for operator in self.operators:
            for tensor in set(operator.inputs):
                self.readers[tensor].append(operator)

    def computed(self, operator: StoredOperator) -> list[int]:
        """Tensors of numbers that an operator reads and another one gives, and the model's inputs where the file takes integers.

        Neither constants nor conditions are among them.
        """
        inputs = self.file.model.subgraphs[0].inputs
        given = [tensor for tensor in operator.inputs if tensor in self.givers and self.type(tensor) in ("FLOAT32", *LEVELS)]
        return given + [tensor for tensor in operator.inputs if tensor in inputs and self.scale(tensor) > 0]

    def before(self, tensors: Iterable[int], names: Container[str]) -> list[int]:
        """The tensors, and all that they are computed from by operators of these names alone."""
        found, waiting = dict[int, None](), list(tensors)
        while waiting:
            tensor = waiting.pop()
            if tensor not in found:
                found[tensor] = None
                giver = self.givers.get(tensor)
                if giver is not None and giver.name in names:
                    waiting += self.computed(giver)
        return list(found)

    def type(self, tensor: int) -> str:
        """The schema's name of a tensor's type."""
        return self.file.type_name(self._tensor(tensor).type)

    def scale(self, tensor: int) -> float:
        """Step of a tensor of integers; 0 for any other."""
        quantization = self._tensor(tensor).quantization
        scales = None if quantization is None or self.type(tensor) not in LEVELS else quantization.scale
        return 0.0 if scales is None or len(scales) != 1 else float(scales[0])

    def span(self, tensor: int) -> float:
        """From the least to the largest value that a tensor of integers can hold; 0 for any other."""
        return self.scale(tensor) * LEVELS.get(self.type(tensor), 0)

    def largest(self, tensor: int) -> float:
        """The largest value that a tensor of integers can hold; 0 for any other."""
        scale = self.scale(tensor)
        return scale * (LEVELS[self.type(tensor)] // 2 - int(self._tensor(tensor).quantization.zeroPoint[0])) if scale else 0.0

    def _tensor(self, tensor: int) -> Any:
        return self.file.model.subgraphs[0].tensors[tensor]
