"""How layers are called: Keras 3 stores every argument by position or by name, tf-keras one input and the others by name."""

from __future__ import annotations

from typing import Any

from optimizer.sources.keras_3.parts import Arguments, SourceLayer
from optimizer.sources.preflight.allowlist import MODELS
from optimizer.sources.preflight.training_mode import BY_BATCH, BY_CHANCE

RECURRENT = frozenset(["LSTM", "GRU", "SimpleRNN", "RNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "Bidirectional"])
SEQUENCES = ("sequences", "initial_state", "mask", "training")
ATTENTION = ("inputs", "mask", "training", "return_attention_scores", "use_causal_mask")
MULTI_HEAD = (
    "query", "value", "key", "query_mask", "value_mask", "key_mask", "attention_mask", "return_attention_scores", "training",
    "use_causal_mask",
)  # fmt: skip
PARAMETERS = {
    **dict.fromkeys(RECURRENT, SEQUENCES),
    "Attention": ATTENTION,
    "AdditiveAttention": ATTENTION,
    "MultiHeadAttention": MULTI_HEAD,
    "GroupQueryAttention": MULTI_HEAD,
    "GroupedQueryAttention": MULTI_HEAD,
    "Softmax": ("inputs", "mask"),
    "GlobalAveragePooling1D": ("inputs", "mask"),
}
DEFAULT = ("inputs", "training", "mask")
FIRST = frozenset(["inputs", "sequences", "query", "x", "images", "data"])
MASKED = RECURRENT | frozenset(
    ["Attention", "AdditiveAttention", "Softmax", "GlobalAveragePooling1D", "BatchNormalization", "TimeDistributed", *MODELS]
)
FROZEN = MODELS | {"BatchNormalization"}
"""What people call with training=False so that it stays as it is while the rest is trained."""
TRAINING = BY_BATCH | RECURRENT | MODELS | {name for name in BY_CHANCE if not name.startswith("Random")}
"""What computes something else where it is called with training=True. Layers that change pictures at random are always written down so."""


def plain_call(source: SourceLayer) -> Arguments:
    """The call of a layer as tf-keras makes it: the input first, all other arguments by name, and none that says nothing."""
    call = source.call
    parameters = PARAMETERS.get(source.class_name, DEFAULT)
    if len(call.args) > len(parameters):
        raise source.refuse(f"is called with {len(call.args)} arguments")
    named: dict[str, Any] = {**dict(zip(parameters, call.args, strict=False)), **call.kwargs}
    first = next((name for name in named if name == parameters[0] or name in FIRST), None)
    if first is None:
        raise source.refuse("is called without an input")
    inputs = named.pop(first)
    return Arguments(args=(inputs,), kwargs={key: item for key, item in named.items() if _says_something(key, item, source)})


def _says_something(key: str, value: Any, source: SourceLayer) -> bool:
    if value is None:
        return False
    if key == "mask":
        return source.class_name in MASKED and any(item is not None for item in (value if isinstance(value, list) else [value]))
    if key == "training" and value is True:
        return source.class_name in TRAINING  # The check of the translation refuses it.
    if key == "training":
        # Keras 3 writes down the default of a call that nobody told so, and goes by what the whole model is called with.
        return value is False and source.class_name in FROZEN
    return not (value is False and key in ("return_attention_scores", "use_causal_mask"))
