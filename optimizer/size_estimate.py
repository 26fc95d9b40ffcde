"""How large a recipe's file will be, guessed from the model's layers before anything runs; always shown as an estimate.

A .tflite is more than its weights: quantized kernels bring a scale (4 bytes) and a zero point (8) for each channel, their biases keep 32 bits
and bring scales of their own, and every operator has its entry in the graph. In a net of narrow layers that is half of the file. The
constants were fitted to 60 files: dense, convolutional, residual, depthwise and recurrent nets in float32, float16, int8, int4 and int16,
pruned, clustered and trained for int8.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optimizer.sources.summary import WHOLE_MODEL, LayerSummary, ModelSummary, Verdict
from optimizer.stored_types import INT4_LAYERS, QUANTIZED_LAYERS

if TYPE_CHECKING:
    from optimizer.recipe import Recipe

FLOAT_BITS = 32.0
USUAL_ERROR, USUAL_PACKED_ERROR = 0.05, 0.10
"""Nine of ten estimates of those files lie within this share of the truth."""
CHANNEL_BYTES = 12.0
"""A scale in float32 and a zero point in int64, for each channel of a quantized kernel; of a convolution's bias once more."""
FLOAT16_LAYER_BYTES = 330.0
"""Two DEQUANTIZE operators with their tensors, one for the kernel and one for the bias."""
INTEGER_LAYER_BYTES = 150.0
GRAPH_BYTES, GRAPH_LAYER_BYTES = 1_000.0, 100.0
"""The rest of a float32 file, where the baseline has not been measured yet."""
BY_CHANNEL = QUANTIZED_LAYERS - {"Embedding"}
DENSE = frozenset({"Dense"})
DEPTHWISE = frozenset({"DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D"})

# What gzip makes of weights (measured on the same files): 0.92 of their bits, a little more than the logarithm of the number of
# shared values, and 1.6 times the entropy of where the zeros are.
_GZIP, _GZIP_SHARED, _GZIP_ZEROS = 0.92, 1.16, 1.6


@dataclass(frozen=True, kw_only=True)
class SizeEstimate:
    """What the steps so far would make of the weights.

    Args:
        parameters: Number of weights.
        stored_bits: Bits that the .tflite stores a weight in.
        activation_bits: Bits of what flows between the layers.
        nonzero: Fraction of weights that are not zero, in [0, 1].
        distinct_values: Distinct values a kernel holds, None where nothing limits them.
    """

    parameters: float
    stored_bits: float = FLOAT_BITS
    activation_bits: float = FLOAT_BITS
    nonzero: float = 1.0
    distinct_values: int | None = None

    def packed_bits(self, stored_bits: float | None = None) -> float:
        """Bits a weight needs after gzip where it is stored in `stored_bits` (None: those of the estimate)."""
        stored = self.stored_bits if stored_bits is None else stored_bits
        value_bits = stored * _GZIP
        if self.distinct_values is not None:
            value_bits = min(value_bits, math.log2(self.distinct_values) * _GZIP_SHARED)
        p = min(max(self.nonzero, 1e-6), 1.0)
        zeros = 0.0 if p >= 1.0 else -p * math.log2(p) - (1 - p) * math.log2(1 - p)
        return min(stored, _GZIP_ZEROS * zeros + p * value_bits)


@dataclass(frozen=True, kw_only=True)
class FileEstimate:
    """Bytes of the original as float32 .tflite, of the result, and of the result after gzip."""

    now: float
    size: float
    packed: float


def estimate_file(recipe: Recipe, model: ModelSummary, baseline: Mapping[str, Any] | None) -> FileEstimate:
    """Guess the result's size.

    Args:
        recipe: The steps.
        model: What the preflight said of the model.
        baseline: METRICS of the measured baseline; None where there is none yet.
    """
    if not recipe.steps and not model.is_keras:
        now = float((baseline or {}).get("size_bytes") or model.size_bytes)
        return FileEstimate(now=now, size=now, packed=float((baseline or {}).get("gzip_bytes") or now))
    layers = [layer for layer in model.layers if layer.has_kernel]
    plain = {layer.name: SizeEstimate(parameters=layer.parameters) for layer in layers}
    after = _after_steps(recipe, model, plain)
    floats = sum(_Stored.of(layer, plain[layer.name]).size_bytes for layer in layers)
    guessed = model.size_bytes if model.format == "tflite" else floats + GRAPH_BYTES + GRAPH_LAYER_BYTES * len(model.layers)
    now = float((baseline or {}).get("size_bytes") or guessed)
    rest = max(0.0, now - floats)
    stored = [_Stored.of(layer, after[layer.name]) for layer in layers]
    size = sum(layer.size_bytes for layer in stored) + rest
    packed = sum(layer.packed_bytes for layer in stored) + rest / 2
    return FileEstimate(now=now, size=size, packed=min(packed, size))


def _after_steps(recipe: Recipe, model: ModelSummary, plain: Mapping[str, SizeEstimate]) -> dict[str, SizeEstimate]:
    """What all steps make of each layer; a step changes only those that it says it can treat."""
    sizes = dict(plain)
    for step in recipe.steps:
        verdicts = {finding.layer: finding.verdict for finding in step.check(model)}
        for name, size in sizes.items():
            if (verdicts.get(WHOLE_MODEL) or verdicts.get(name)) is Verdict.WORKS:
                sizes[name] = step.estimate(size)
    return sizes


@dataclass(frozen=True, kw_only=True)
class _Stored:
    """What a .tflite stores of one layer: its kernels' weights, and a bias a channel (BatchNormalization becomes one)."""

    kind: str
    weights: float
    channels: float
    size: SizeEstimate

    @classmethod
    def of(cls, layer: LayerSummary, size: SizeEstimate) -> _Stored:
        kernels = [
            shape
            for name, shape in layer.weight_shapes.items()
            if len(shape) > 1 and not name.removesuffix(":0").endswith("bias")
        ]
        channels = layer.output_shape[-1] if layer.output_shape and layer.kind in BY_CHANNEL else kernels[-1][-1]
        narrower = size.parameters / max(1, layer.parameters)
        return cls(
            kind=layer.kind,
            weights=sum(map(math.prod, kernels)) * narrower,
            channels=(channels or 0) * math.sqrt(narrower),
            size=size,
        )

    @property
    def bits(self) -> float:
        """Bits a weight: only some kernels can be stored in fewer than 8."""
        return 8.0 if self.size.stored_bits < 8 and self.kind not in INT4_LAYERS else self.size.stored_bits

    @property
    def size_bytes(self) -> float:
        """Bytes in the file."""
        return self.weights * self.bits / 8 + self._beside_the_weights()

    @property
    def packed_bytes(self) -> float:
        """Bytes of that after gzip: zero points are zeros, scales and biases hardly shrink."""
        return self.weights * self.size.packed_bits(self.bits) / 8 + self._beside_the_weights() * 0.5

    def _beside_the_weights(self) -> float:
        """Biases, scales and zero points, and what the graph needs for them."""
        if self.bits >= FLOAT_BITS:
            return self.channels * 4
        if self.bits > 8:
            return self.channels * 2 + FLOAT16_LAYER_BYTES
        integers = self.size.activation_bits < FLOAT_BITS
        bias_bytes = 8 if self.size.activation_bits == 16 else 4
        # Shared values stay shared with one scale a kernel only; layers that run over time have no scale a channel.
        scales = 0.0
        if self.size.distinct_values is None and self.kind in BY_CHANNEL:
            scales = CHANNEL_BYTES * (2 if self.kind in DEPTHWISE or (integers and self.kind not in DENSE) else 1)
        return self.channels * (bias_bytes + scales) + INTEGER_LAYER_BYTES * (1 if integers else 0)
