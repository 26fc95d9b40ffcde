"""Attention, with and without heads of its own."""

from __future__ import annotations

from optimizer.sources.layer_rules.facts import (
    UNKNOWN,
    Config,
    LayerCall,
    LayerFacts,
    as_axis,
    flag,
    known,
    optional_whole,
    plain,
    product,
    rule,
    times,
    whole,
)


@rule("MultiHeadAttention")
def multi_head_attention(config: Config, call: LayerCall) -> LayerFacts:
    """Query (batch, *T, d), value and key (batch, *S, d') -> (batch, *T, d or output_shape), over all axes between or those named."""
    query = call.inputs[0]
    rank = len(query)
    if rank < 3 or any(len(shape) != rank for shape in call.inputs):
        return UNKNOWN
    named = config.get("attention_axes")
    named = list(range(1, rank - 1)) if named is None else named if isinstance(named, list | tuple) else [named]
    axes = {as_axis(axis, rank, "attention_axes") for axis in named}
    value = call.inputs[1] if len(call.inputs) > 1 else query
    key = call.inputs[2] if len(call.inputs) > 2 else value
    heads, size = whole(config, "num_heads"), whole(config, "key_dim")
    value_size = optional_whole(config, "value_dim") or size
    shape = config.get("output_shape")
    if isinstance(shape, list | tuple) and len(shape) == 1:
        shape = shape[0]
    if shape is not None and not isinstance(shape, int):
        return UNKNOWN
    made = known(query[-1]) if shape is None else shape
    widths = {"query": (known(query[-1]), size), "key": (known(key[-1]), size), "value": (known(value[-1]), value_size)}
    bias = flag(config, "use_bias", True)
    weights: dict[str, tuple[int, ...]] = {}
    for name, (features, width) in widths.items():
        weights[f"{name}/kernel"] = (features, heads, width)
        if bias:
            weights[f"{name}/bias"] = (heads, width)
    weights["attention_output/kernel"] = (heads, value_size, made)
    if bias:
        weights["attention_output/bias"] = (made,)
    steps, sources, seen = product(query[1:-1]), product(value[1:-1]), product([value[axis] for axis in axes])
    return plain((*query[:-1], made), macs=_macs(steps, sources, seen, heads, widths, made), weights=weights)


def _macs(
    steps: int | None, sources: int | None, seen: int | None, heads: int, widths: dict[str, tuple[int, int]], made: int
) -> int | None:
    """Four projections, the scores and the weighted sum; each of `steps` looks at `seen` of the `sources`."""
    (query_in, size), (key_in, _), (value_in, value_size) = widths["query"], widths["key"], widths["value"]
    parts = (
        times(steps, heads, query_in * size + value_size * made),
        times(sources, heads, key_in * size + value_in * value_size),
        times(steps, seen, heads, size + value_size),
    )
    return None if None in parts else sum(part or 0 for part in parts)


@rule("Attention", "AdditiveAttention")
def attention(config: Config, call: LayerCall) -> LayerFacts:
    """Query (batch, T, d), value (batch, S, v) and key (batch, S, d) -> (batch, T, v); scores can be scaled by weights."""
    if (
        len(call.inputs) not in (2, 3)
        or any(len(shape) != 3 for shape in call.inputs)
        or config.get("score_mode", "dot") != "dot"
    ):
        return UNKNOWN
    query, value = call.inputs[:2]
    if "score_mode" not in config:
        # AdditiveAttention: a sum through tanh, weighted by one value a feature.
        weights: dict[str, tuple[int, ...]] = {"scale": (known(query[-1]),)} if flag(config, "use_scale", True) else {}
    else:
        weights = {"scale": ()} if flag(config, "use_scale", False) else {}
    macs = times(query[1], value[1], (query[-1] or 0) + (value[-1] or 0))
    return plain((*query[:-1], value[-1]), macs=macs, weights=weights)
