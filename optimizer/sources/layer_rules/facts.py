"""What can be worked out about one layer from its config and the shapes that enter it, and the registry of rules that do so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optimizer.sources.summary import Shape

Config = Mapping[str, Any]
MAX_DIMENSION = 2**31 - 1


class ConfigError(ValueError):
    """A setting in a layer's config that no Keras layer could have: its name, what was expected, what is there."""

    def __init__(self, setting: str, expected: str, received: object) -> None:
        self.setting, self.expected, self.received = setting, expected, received
        super().__init__(f"{setting} must be {expected}, not {received!r}")


class UnknownDimensionError(ValueError):
    """A weight's shape depends on an axis that is open."""


@dataclass(frozen=True, kw_only=True)
class LayerFacts:
    """One layer on given inputs.

    `outputs` are the shapes that leave it (batch axis first; None where unknown); `macs` are multiply-accumulates for one sample
    (None where unknown); `weights` maps the weight's name to its shape in the order Keras stores them (None where unknown).
    `per_sample` is false where the first axis no longer counts samples, as after cutting pictures into windows.
    """

    outputs: tuple[Shape | None, ...] = (None,)
    macs: int | None = None
    weights: Mapping[str, tuple[int, ...]] | None = None
    per_sample: bool = True


UNKNOWN = LayerFacts()


@dataclass(frozen=True, kw_only=True)
class LayerCall:
    """One use of a layer: the shapes of the tensors that enter it, and the constant arguments of the call."""

    inputs: tuple[Shape, ...]
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> Shape:
        """Shape of the first input."""
        return self.inputs[0]


Rule = Callable[[Config, LayerCall], LayerFacts]
RULES: dict[str, Rule] = {}


def rule(*class_names: str) -> Callable[[Rule], Rule]:
    """Register a rule for these Keras classes."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(class_names, function))
        return function

    return register


def plain(shape: Shape | None, *, macs: int | None = 0, weights: Mapping[str, tuple[int, ...]] | None = None) -> LayerFacts:
    """Facts of a layer with one output; without weights unless they are given."""
    return LayerFacts(outputs=(shape,), macs=macs, weights={} if weights is None else weights)


def whole(config: Config, setting: str, default: int | None = None, low: int = 1) -> int:
    """A whole number of at least `low`. Raises ConfigError."""
    value = config.get(setting, default)
    number = _as_whole(value)
    if number is None or not low <= number <= MAX_DIMENSION:
        raise ConfigError(setting, f"a whole number of at least {low}", value)
    return number


def optional_whole(config: Config, setting: str) -> int | None:
    """A whole number from 1, or None where the config has none. Raises ConfigError."""
    return None if config.get(setting) is None else whole(config, setting)


def wholes(config: Config, setting: str, rank: int, default: int | None = 1) -> tuple[int, ...]:
    """`rank` whole numbers from 1; a single number stands for all. Raises ConfigError."""
    value = config.get(setting, default)
    if _as_whole(value) is not None:
        value = [value] * rank
    if not isinstance(value, list | tuple) or len(value) != rank:
        raise ConfigError(setting, f"{rank} whole numbers", value)
    numbers = [_as_whole(item) for item in value]
    if any(number is None or not 1 <= number <= MAX_DIMENSION for number in numbers):
        raise ConfigError(setting, f"{rank} whole numbers of at least 1", value)
    return tuple(number for number in numbers if number is not None)


def choice(config: Config, setting: str, choices: Sequence[str], default: str) -> str:
    """One of a few words, in lower case. Raises ConfigError."""
    value = config.get(setting, default)
    value = default if value is None else value
    if not isinstance(value, str) or value.lower() not in choices:
        raise ConfigError(setting, "one of " + ", ".join(choices), value)
    return value.lower()


def flag(config: Config, setting: str, default: bool) -> bool:
    """A truth value. Raises ConfigError."""
    value = config.get(setting, default)
    if not isinstance(value, bool):
        raise ConfigError(setting, "true or false", value)
    return value


def channels_first(config: Config) -> bool:
    """Whether the channel axis comes right after the batch axis."""
    return choice(config, "data_format", ("channels_last", "channels_first"), "channels_last") == "channels_first"


def split_channels(config: Config, shape: Shape, rank: int) -> tuple[tuple[int | None, ...], int | None]:
    """(spatial axes, channels) of (batch, *spatial, channels) or (batch, channels, *spatial). Raises ConfigError."""
    if rank < 1 or len(shape) != rank + 2:
        raise ConfigError("input", f"{max(rank, 1) + 2} axes", f"shape {shape}")
    return (shape[2:], shape[1]) if channels_first(config) else (shape[1:-1], shape[-1])


def join_channels(config: Config, batch: int | None, spatial: Sequence[int | None], channels: int | None) -> Shape:
    """The inverse of `split_channels`."""
    return (batch, channels, *spatial) if channels_first(config) else (batch, *spatial, channels)


def known(dimension: int | None) -> int:
    """The dimension; raises UnknownDimensionError where the axis is open."""
    if dimension is None:
        raise UnknownDimensionError
    return dimension


def product(dimensions: Sequence[int | None]) -> int | None:
    """Product of the axes; None where one is open."""
    total = 1
    for dimension in dimensions:
        if dimension is None:
            return None
        total *= dimension
    return total


def times(*factors: int | None) -> int | None:
    """Product of numbers of which some may be unknown."""
    return product(factors)


def as_axis(value: Any, rank: int, setting: str = "axis") -> int:
    """An axis number from 0, from one that may count from the end. Raises ConfigError."""
    axis = _as_whole(value)
    if axis is None or not -rank <= axis < rank:
        raise ConfigError(setting, f"an axis of {rank}", value)
    return axis % rank


def _as_whole(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not value.is_integer():
        return None
    return int(value)
