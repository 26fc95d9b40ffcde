"""Which layers' kernels a conversion stores in fewer bits, judged from the summary alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optimizer.conversion import FEWEST_WEIGHTS
from optimizer.kernel_location import GATES
from optimizer.litert_quantization import FULLY_INTEGER_OPERATORS
from optimizer.sources.masks import RECURRENT_LAYERS, hands_masks_on, makes_a_mask
from optimizer.sources.summary import Finding, LayerSummary, ModelSummary, Verdict

INT4_LAYERS = frozenset({"Conv1D", "Conv2D", "Dense", "Embedding"})
QUANTIZED_LAYERS = INT4_LAYERS | {"DepthwiseConv2D", "Conv2DTranspose", "SeparableConv1D", "SeparableConv2D", "Conv1DTranspose"}
BY_THE_CONVERTER = QUANTIZED_LAYERS | {
    "Bidirectional",
    "DepthwiseConv1D",
    "EinsumDense",
    "GRU",
    "LSTM",
    "LocallyConnected1D",
    "LocallyConnected2D",
    "PReLU",
    "SimpleRNN",
}
"""TensorFlow's converter stores these in int8 where activations are int8 and nothing loops."""
FLOAT_ONLY = frozenset({"Conv3D", "Conv3DTranspose"})
LOOPING = RECURRENT_LAYERS - {"LSTM", "Bidirectional"}
WRAPPERS = frozenset({"Bidirectional", "TimeDistributed"})


@dataclass(frozen=True, kw_only=True)
class StoredTypes:
    """What the conversion to `weights` and `activations` does with each layer of a Keras model or SavedModel."""

    weights: str
    activations: str
    sequences: bool
    loops: bool

    @classmethod
    def of(cls, model: ModelSummary, *, weights: str, activations: str) -> StoredTypes:
        """The rules for one model: some depend on what else it holds."""
        sequences = any(layer.kind in RECURRENT_LAYERS | {"Embedding"} for layer in model.layers)
        return cls(weights=weights, activations=activations, sequences=sequences, loops=loops_over_time(model))

    def finding(self, layer: LayerSummary) -> Finding:
        """The verdict on one layer."""
        kind = _stored_like(layer)
        if kind == "BatchNormalization":
            return Finding(layer=layer.name, verdict=Verdict.WORKS, reason="folded into the layer before it where it follows one")
        if self.weights == "float16":
            return Finding(layer=layer.name, verdict=Verdict.WORKS)
        if kind == "BiasAdd":
            return _left(layer, "a bias keeps 32 bits")
        if self.activations == "float32" or self.loops:
            return self._with_float_activations(layer)
        if kind in FLOAT_ONLY:
            return _left(layer, "stays float: there is no integer operator for it")
        if self.weights == "int4" and kind not in INT4_LAYERS - {"Embedding"}:
            if kind in QUANTIZED_LAYERS:
                return Finding(
                    layer=layer.name, verdict=Verdict.WORKS, reason="there is no int4 kernel for this layer; it gets int8"
                )
            return _left(layer, "there is no int4 kernel for this layer; it may stay float")
        if kind in (BY_THE_CONVERTER if self.activations == "int8" else QUANTIZED_LAYERS):
            return Finding(layer=layer.name, verdict=Verdict.WORKS)
        return _left(layer, "the converter decides; it may stay float")

    def _with_float_activations(self, layer: LayerSummary) -> Finding:
        if self.weights == "int8" and self.sequences:
            if _stored_like(layer) in FULLY_INTEGER_OPERATORS | RECURRENT_LAYERS | {"Embedding"}:
                return self._by_size(layer)
            return _left(
                layer, f"the converter decides; it may stay float, and kernels of fewer than {FEWEST_WEIGHTS:,} weights do"
            )
        if _stored_like(layer) in FULLY_INTEGER_OPERATORS:
            return Finding(layer=layer.name, verdict=Verdict.WORKS)
        return _left(
            layer, "may stay float: with float activations only convolutions, dense and recurrent layers are sure to gain"
        )

    def _by_size(self, layer: LayerSummary) -> Finding:
        """TensorFlow's converter quantizes no small kernel; that of an LSTM is four, one a gate, unless it loops."""
        parts = GATES if layer.kind == "LSTM" and not self.loops else 1
        sizes = [math.prod(shape) // parts for name, shape in layer.weight_shapes.items() if _is_kernel(name, shape)]
        if sizes and min(sizes) >= FEWEST_WEIGHTS:
            return Finding(layer=layer.name, verdict=Verdict.WORKS)
        which = "one of its kernels has" if sizes and max(sizes) >= FEWEST_WEIGHTS else "its kernels have"
        gates = " a gate" if parts > 1 else ""
        return _left(layer, f"stays float: {which} fewer than {FEWEST_WEIGHTS:,} weights{gates}")


def _stored_like(layer: LayerSummary) -> str:
    """The kind of layer whose kernels share this one's fate: those of an attention become those of dense layers."""
    return "Dense" if layer.kind == "MultiHeadAttention" else layer.kind


def loops_over_time(model: ModelSummary) -> bool:
    """Whether the .tflite will hold a loop, so that its activations stay float: layers that are not unrolled and not one operator."""
    masked = _given_masks(model)
    # A layer that is given several tensors begins at a state, or takes a mask.
    return any(_loops(layer.class_name, layer.config, masked=layer.name in masked or layer.reads > 1) for layer in model.layers)


def _given_masks(model: ModelSummary) -> set[str]:
    """Names of the layers whose input has a mask."""
    given: set[str] = set()
    while True:
        giving = {
            layer.name
            for layer in model.layers
            if makes_a_mask(layer.class_name, layer.config)
            or (layer.name in given and hands_masks_on(layer.class_name, layer.config))
        }
        found = {layer.name for layer in model.layers if not giving.isdisjoint(layer.inbound)}
        if found == given:
            return given
        given = found


def _loops(class_name: str, config: Mapping[str, Any], *, masked: bool) -> bool:
    inner = config.get("layer")
    if class_name in WRAPPERS and isinstance(inner, Mapping) and isinstance(inner.get("config"), Mapping):
        return _loops(str(inner.get("class_name")), inner["config"], masked=masked)
    if config.get("unroll"):
        return False
    if class_name in LOOPING:
        return True
    # One operator computes an LSTM, but only with the usual activations and a bias, and on whole sequences.
    usual = config.get("activation", "tanh") == "tanh" and config.get("recurrent_activation", "sigmoid") == "sigmoid"
    usual = usual and config.get("use_bias") is not False and not config.get("recurrent_dropout")
    return class_name == "LSTM" and (masked or not usual)


def _is_kernel(name: str, shape: tuple[int, ...]) -> bool:
    return len(shape) > 1 and not name.removesuffix(":0").endswith("bias")


def _left(layer: LayerSummary, reason: str) -> Finding:
    return Finding(layer=layer.name, verdict=Verdict.LEFT, reason=reason)
