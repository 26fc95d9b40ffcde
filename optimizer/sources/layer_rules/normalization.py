"""Normalizations. Their multiplications are not counted: conversion folds them into the layer before, or they are minor."""

from __future__ import annotations

from typing import Any

from optimizer.sources.layer_rules.facts import (
    Config,
    ConfigError,
    LayerCall,
    LayerFacts,
    as_axis,
    flag,
    known,
    plain,
    rule,
    whole,
)


def _axes(config: Config, rank: int, default: int = -1) -> tuple[int, ...]:
    value: Any = config.get("axis", default)
    values = value if isinstance(value, list | tuple) else [value]
    if not values:
        raise ConfigError("axis", "at least one axis", value)
    return tuple(as_axis(item, rank) for item in values)


def _normalization_shape(config: Config, call: LayerCall) -> tuple[int, ...]:
    return tuple(known(call.shape[axis]) for axis in _axes(config, len(call.shape)))


@rule("BatchNormalization", "SyncBatchNormalization", "BatchNormalizationV1", "BatchNormalizationV2")
def batch_normalization(config: Config, call: LayerCall) -> LayerFacts:
    """gamma and beta where switched on, then the moving mean and variance."""
    shape = _normalization_shape(config, call)
    weights = _gamma_beta(config, shape)
    weights.update(moving_mean=shape, moving_variance=shape)
    return plain(call.shape, weights=weights)


@rule("LayerNormalization")
def layer_normalization(config: Config, call: LayerCall) -> LayerFacts:
    """gamma and beta where switched on."""
    return plain(call.shape, weights=_gamma_beta(config, _normalization_shape(config, call)))


@rule("GroupNormalization")
def group_normalization(config: Config, call: LayerCall) -> LayerFacts:
    """gamma and beta of one value a channel."""
    shape = (known(call.shape[_axes(config, len(call.shape))[0]]),)
    return plain(call.shape, weights=_gamma_beta(config, shape))


@rule("UnitNormalization")
def unit_normalization(config: Config, call: LayerCall) -> LayerFacts:
    """No weights."""
    del config
    return plain(call.shape)


@rule("Normalization")
def normalization(config: Config, call: LayerCall) -> LayerFacts:
    """Mean and variance found by adapt(), and how many samples it saw; none of them where the config gives mean and variance."""
    if config.get("mean") is not None:
        return plain(call.shape)
    axis: Any = config.get("axis", -1)
    shape = () if axis is None or axis == [] else _normalization_shape(config, call)
    return plain(call.shape, weights={"mean": shape, "variance": shape, "count": ()})


def _gamma_beta(config: Config, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    names = [name for name, setting in (("gamma", "scale"), ("beta", "center")) if flag(config, setting, True)]
    return dict.fromkeys(names, shape)


@rule("PReLU")
def parametric_relu(config: Config, call: LayerCall) -> LayerFacts:
    """One slope a position, except along the shared axes."""
    shared = config.get("shared_axes") or []
    if not isinstance(shared, list | tuple):
        raise ConfigError("shared_axes", "a list of axes", shared)
    axes = {as_axis(axis, len(call.shape), "shared_axes") for axis in shared}
    shape = tuple(1 if axis in axes else known(length) for axis, length in enumerate(call.shape) if axis > 0)
    return plain(call.shape, weights={"alpha": shape})


@rule("Discretization")
def discretization(config: Config, call: LayerCall) -> LayerFacts:
    """Values into numbered buckets; only whole-number output keeps the shape for sure."""
    return plain(call.shape) if config.get("output_mode", "int") == "int" else LayerFacts(macs=0)


@rule("RepeatVector")
def repeat_vector(config: Config, call: LayerCall) -> LayerFacts:
    """(batch, features) -> (batch, n, features)."""
    if len(call.shape) != 2:
        raise ConfigError("input", "2 axes", f"shape {call.shape}")
    return plain((call.shape[0], whole(config, "n"), call.shape[1]))
