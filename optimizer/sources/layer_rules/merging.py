"""Layers of several inputs."""

from __future__ import annotations

from optimizer.sources.layer_rules.facts import Config, ConfigError, LayerCall, LayerFacts, as_axis, plain, rule, times
from optimizer.sources.summary import Shape


def broadcast(shapes: tuple[Shape, ...]) -> Shape:
    """Shape of an elementwise result as NumPy's rules have it; an open axis stays open. Raises ConfigError."""
    rank = max(len(shape) for shape in shapes)
    padded = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    result: list[int | None] = []
    for axis in range(rank):
        lengths = {shape[axis] for shape in padded} - {1}
        numbers = {length for length in lengths if length is not None}
        if len(numbers) > 1:
            raise ConfigError("inputs", "shapes that agree", [list(shape) for shape in shapes])
        result.append(next(iter(numbers)) if numbers else (None if None in lengths else 1))
    return tuple(result)


@rule("Add", "Subtract", "Average", "Maximum", "Minimum", "Multiply")
def elementwise_merge(config: Config, call: LayerCall) -> LayerFacts:
    """Inputs of one shape, combined value by value (an element of Multiply is not a multiply-accumulate)."""
    del config
    return plain(broadcast(call.inputs))


@rule("Concatenate")
def concatenate(config: Config, call: LayerCall) -> LayerFacts:
    """Inputs side by side along one axis."""
    return plain(concatenated(call.inputs, config.get("axis", -1)))


def concatenated(shapes: tuple[Shape, ...], axis_setting: object) -> Shape:
    """Shape of `shapes` joined along an axis. Raises ConfigError where the other axes differ."""
    rank = len(shapes[0])
    axis = as_axis(axis_setting, rank)
    if any(len(shape) != rank for shape in shapes):
        raise ConfigError("inputs", "shapes of one rank", [list(shape) for shape in shapes])
    result: list[int | None] = []
    for number in range(rank):
        lengths = [shape[number] for shape in shapes]
        known_lengths = {length for length in lengths if length is not None}
        if number == axis:
            result.append(None if None in lengths else sum(length or 0 for length in lengths))
        elif len(known_lengths) > 1:
            raise ConfigError("inputs", "shapes that agree outside the joined axis", [list(shape) for shape in shapes])
        else:
            result.append(next(iter(known_lengths), None))
    return tuple(result)


@rule("Dot")
def dot(config: Config, call: LayerCall) -> LayerFacts:
    """Batchwise dot product along one axis of each of two inputs."""
    if len(call.inputs) != 2:
        raise ConfigError("inputs", "two", len(call.inputs))
    left, right = call.inputs
    axes = config.get("axes")
    first, second = (axes, axes) if not isinstance(axes, list | tuple) else tuple(axes) if len(axes) == 2 else (None, None)
    a, b = as_axis(first, len(left), "axes"), as_axis(second, len(right), "axes")
    if left[a] is not None and right[b] is not None and left[a] != right[b]:
        raise ConfigError("axes", "axes of one length", axes)
    rest_left = [length for axis, length in enumerate(left) if axis not in (0, a)]
    rest_right = [length for axis, length in enumerate(right) if axis not in (0, b)]
    output: Shape = (left[0], *rest_left, *rest_right)
    macs = times(left[a], *rest_left, *rest_right)
    return plain(output if len(output) > 1 else (left[0], 1), macs=macs)
