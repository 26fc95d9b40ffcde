"""Operations of neural networks."""

from __future__ import annotations

from typing import Any

from optimizer.sources.keras_3.operands import as_float, axes_of, given, known_shape, tensor
from optimizer.sources.keras_3.parts import Builder, Parts, SourceLayer, operation

LARGEST_TABLE = 2**20
"""Numbers in the table that hides what lies ahead; it becomes part of the model's config."""
HIDDEN = -1e9
"""Score of what attention must not look at."""


@operation("Softmax", "LogSoftmax")
def softmax(source: SourceLayer) -> Parts:
    """Softmax along an axis."""
    arguments = given(source, "x", "axis")
    axes = axes_of(arguments.get("axis", -1))
    if axes is None or len(axes) != 1:
        raise source.refuse("runs over several axes", "Reshape them into one.")
    builder = Builder(source)
    x = tensor(arguments, "x", source)
    if source.class_name == "Softmax":
        builder.layer("Softmax", x, axis=axes[0])
    else:
        builder.operator("nn.log_softmax", x, axis=axes[0])
    return builder.done()


@operation("MaxPool", "AveragePool")
def pool(source: SourceLayer) -> Parts:
    """Pooling as a layer."""
    arguments = given(source, "inputs", "pool_size", "strides", "padding", "data_format")
    x = tensor(arguments, "inputs", source)
    rank = len(known_shape(x, source)) - 2
    kind = "MaxPooling" if source.class_name == "MaxPool" else "AveragePooling"
    settings: dict[str, Any] = {
        "pool_size": arguments["pool_size"],
        "strides": arguments.get("strides"),
        "padding": arguments.get("padding", "valid"),
        "data_format": arguments.get("data_format") or "channels_last",
    }
    builder = Builder(source)
    builder.layer(f"{kind}{rank}D", x, **settings)
    return builder.done()


@operation("DotProductAttention")
def attention(source: SourceLayer) -> Parts:
    """softmax(query key^T * scale + bias) value for each head; inputs are (batch, length, heads, width)."""
    arguments = given(source, "query", "key", "value", "bias", "mask", "scale")
    query, key = tensor(arguments, "query", source), tensor(arguments, "key", source)
    shape, others = known_shape(query, source), known_shape(key, source)
    heads, groups = shape[2], others[2]
    if len(shape) != 4 or shape[-1] is None or heads is None or not groups or heads % groups:
        raise source.refuse("does not say how many heads it has", "Give its inputs a shape.")
    if arguments.get("attn_logits_soft_cap") is not None:
        raise source.refuse("has attn_logits_soft_cap", "Leave it out.")
    builder = Builder(source)
    sides: list[Any] = [key, tensor(arguments, "value", source)]
    if heads != groups:
        sides = [builder.operator("repeat", x, repeats=heads // groups, axis=2) for x in sides]
    q, k, v = (builder.operator("transpose", x, perm=[0, 2, 1, 3]) for x in (query, *sides))
    scale = arguments.get("scale")
    q = builder.operator("math.multiply", q, y=float(shape[-1] ** -0.5 if scale is None else scale))
    scores = builder.operator("linalg.matmul", q, b=k, transpose_b=True)
    if arguments.get("bias") is not None:
        scores = builder.operator("math.add", scores, y=as_float(builder, arguments["bias"]))
    if arguments.get("mask") is not None and arguments.get("is_causal"):
        raise source.refuse("has a mask and is causal", "Put both into the mask.")
    if arguments.get("mask") is not None:
        scores = builder.operator("where", arguments["mask"], x=scores, y=HIDDEN)
    if arguments.get("is_causal"):
        scores = builder.operator("math.add", scores, y=_look_back(shape[1], others[1], source))
    weights = builder.layer("Softmax", scores, axis=-1)
    builder.operator("transpose", builder.operator("linalg.matmul", weights, b=v), perm=[0, 2, 1, 3])
    return builder.done()


def _look_back(queries: int | None, keys: int | None, source: SourceLayer) -> list[list[float]]:
    """What is added to the scores (queries, keys) so that none looks at a key behind it."""
    if queries is None or keys is None:
        raise source.refuse("is causal on sequences of open length", "Give them a length.")
    if queries * keys > LARGEST_TABLE:
        raise source.refuse(f"is causal on sequences of {queries} and {keys} steps", "Use a MultiHeadAttention layer.")
    return [[0.0 if key <= query else HIDDEN for key in range(keys)] for query in range(queries)]
