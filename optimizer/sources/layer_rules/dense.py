"""Fully connected layers and embeddings."""

from __future__ import annotations

from optimizer.sources.layer_rules.facts import Config, LayerCall, LayerFacts, flag, known, plain, product, rule, times, whole


@rule("Dense")
def dense(config: Config, call: LayerCall) -> LayerFacts:
    """(batch, ..., in) -> (batch, ..., units)."""
    units, features = whole(config, "units"), known(call.shape[-1])
    weights: dict[str, tuple[int, ...]] = {"kernel": (features, units)}
    if flag(config, "use_bias", True):
        weights["bias"] = (units,)
    macs = times(product(call.shape[1:-1]), features, units)
    return plain((*call.shape[:-1], units), macs=macs, weights=weights)


@rule("Embedding")
def embedding(config: Config, call: LayerCall) -> LayerFacts:
    """(batch, ...) whole numbers -> (batch, ..., output_dim); a look-up, no multiplications."""
    rows, columns = whole(config, "input_dim"), whole(config, "output_dim")
    return plain((*call.shape, columns), weights={"embeddings": (rows, columns)})
