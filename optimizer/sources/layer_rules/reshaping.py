"""Layers that move values without computing."""

from __future__ import annotations

from optimizer.sources.layer_rules.facts import Config, ConfigError, LayerCall, LayerFacts, plain, product, rule, wholes
from optimizer.sources.summary import Shape


@rule("Flatten")
def flatten(config: Config, call: LayerCall) -> LayerFacts:
    """(batch, ...) -> (batch, product of the rest)."""
    del config
    return plain((call.shape[0], product(call.shape[1:])))


@rule("Reshape")
def reshape(config: Config, call: LayerCall) -> LayerFacts:
    """(batch, ...) -> (batch, *target_shape), where one -1 takes what is left."""
    target = config.get("target_shape")
    if not isinstance(target, list | tuple) or not all(isinstance(v, int) and not isinstance(v, bool) for v in target):
        raise ConfigError("target_shape", "a list of whole numbers", target)
    return plain((call.shape[0], *filled_shape(list(target), call.shape)))


def filled_shape(target: list[int], shape: Shape) -> tuple[int | None, ...]:
    """`target` with its -1 replaced, for one sample of `shape`. Raises ConfigError where the counts cannot agree."""
    if target.count(-1) > 1 or any(v < -1 or v == 0 for v in target):
        raise ConfigError("target_shape", "whole numbers of at least 1 and at most one -1", target)
    fixed = product([v for v in target if v != -1]) or 1
    total = product(shape[1:])
    if total is not None and (total % fixed if -1 in target else total != fixed):
        raise ConfigError("target_shape", f"a shape of {total} values", target)
    missing = None if total is None else total // fixed
    return tuple(missing if v == -1 else v for v in target)


@rule("Permute")
def permute(config: Config, call: LayerCall) -> LayerFacts:
    """Axes in another order; `dims` counts from 1 and leaves out the batch axis."""
    rank = len(call.shape) - 1
    dims = wholes(config, "dims", rank, None)
    if sorted(dims) != list(range(1, rank + 1)):
        raise ConfigError("dims", f"the numbers 1 to {rank} in some order", list(dims))
    return plain((call.shape[0], *(call.shape[axis] for axis in dims)))


@rule("CenterCrop", "Resizing", "RandomCrop")
def resizing(config: Config, call: LayerCall) -> LayerFacts:
    """Pictures of a new height and width."""
    (height,), (width,) = wholes(config, "height", 1, None), wholes(config, "width", 1, None)
    if len(call.shape) not in (3, 4):
        raise ConfigError("input", "3 or 4 axes", f"shape {call.shape}")
    return plain((*call.shape[:-3], height, width, call.shape[-1]))
