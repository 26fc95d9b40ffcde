"""How large a file may become, guessed from the steps of a recipe before anything runs."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SizeEstimate:
    """What the steps so far would make of the weights, guessed before anything runs; always shown as an estimate.

    Args:
        parameters: Number of weights.
        stored_bits: Bits that the .tflite stores a weight in.
        nonzero: Fraction of weights that are not zero, in [0, 1].
        distinct_values: Distinct values a kernel holds, None where nothing limits them.
    """

    parameters: float
    stored_bits: float = 32.0
    nonzero: float = 1.0
    distinct_values: int | None = None

    def packed_bits(self) -> float:
        """Bits a weight needs after a good entropy coder: the position of zeros plus the value where there is one."""
        value_bits = self.stored_bits if self.distinct_values is None else min(self.stored_bits, math.log2(self.distinct_values))
        # Trained float32 weights hold about 29.5 bits of entropy each, int8 ones about 6.5 (measured on ResNet-8 and LeNet-5).
        value_bits *= 0.92 if self.stored_bits >= 16 else 0.82 if self.distinct_values is None else 1.0
        p = min(max(self.nonzero, 1e-6), 1.0)
        position_bits = 0.0 if p >= 1.0 else -p * math.log2(p) - (1 - p) * math.log2(1 - p)
        return min(self.stored_bits, position_bits + p * value_bits)
