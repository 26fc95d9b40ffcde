"""Which layers of tf-keras hand the mask of their input on to the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RECURRENT_LAYERS = frozenset({"LSTM", "GRU", "SimpleRNN", "Bidirectional", "RNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"})
MASKS_HANDED_ON = RECURRENT_LAYERS | {
    "Activation", "ActivityRegularization", "Add", "AdditiveAttention", "AlphaDropout", "Attention", "Average", "BatchNormalization",
    "Concatenate", "Dense", "Dropout", "ELU", "GaussianDropout", "GaussianNoise", "GroupNormalization", "InputLayer", "LayerNormalization",
    "LeakyReLU", "Masking", "Maximum", "Minimum", "MultiHeadAttention", "Multiply", "PReLU", "ReLU", "Softmax", "SpatialDropout1D",
    "Subtract", "TimeDistributed", "UnitNormalization",
}  # fmt: skip
"""tf-keras layers that give a mask on; all others drop it, and a recurrent layer that gives its last step only."""


def makes_a_mask(class_name: str, config: Mapping[str, Any]) -> bool:
    """Whether a layer says which steps of a sequence count."""
    return class_name == "Masking" or config.get("mask_zero") is True


def hands_masks_on(class_name: str, config: Mapping[str, Any]) -> bool:
    """Whether a layer that is given a mask gives it to the next one."""
    if class_name == "Bidirectional":
        inner = config.get("layer")
        config = (inner.get("config") or {}) if isinstance(inner, Mapping) else {}
    return class_name in MASKS_HANDED_ON and (class_name not in RECURRENT_LAYERS or bool(config.get("return_sequences")))
