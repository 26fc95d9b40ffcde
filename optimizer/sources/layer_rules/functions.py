"""TensorFlow functions that move, join or split tensors: the shape of what each gives, and the registry of such functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from optimizer.sources.layer_rules.facts import (
    UNKNOWN,
    ConfigError,
    LayerCall,
    LayerFacts,
    as_axis,
    plain,
    product,
    times,
)
from optimizer.sources.layer_rules.merging import concatenated
from optimizer.sources.layer_rules.reshaping import filled_shape
from optimizer.sources.summary import Shape

Function = Callable[[LayerCall], LayerFacts]
FUNCTIONS: dict[str, Function] = {}
"""By their name without "compat.v1."."""
SHAPED = frozenset({"broadcast_to", "reshape", "tile"})
"""Functions whose other tensors say a shape, and have none that matters themselves."""


def function(*names: str) -> Callable[[Function], Function]:
    """Register what is known of these functions."""

    def register(known: Function) -> Function:
        FUNCTIONS.update(dict.fromkeys(names, known))
        return known

    return register


def constant_shape(value: Any) -> Shape | None:
    """Shape of a constant argument: () of a number, that of nested lists; None where there is none."""
    if isinstance(value, Mapping) and isinstance(value.get("config"), Mapping):
        value = value["config"].get("value")
    if value is None or isinstance(value, str):
        return None
    shape: list[int | None] = []
    while isinstance(value, list | tuple):
        shape.append(len(value))
        value = value[0] if value else 0
    return tuple(shape)


def reduced(shape: Shape, axis: Any, keepdims: bool) -> Shape | None:
    """Shape without the axes that are summed up; None where the batch axis is among them."""
    axes = axes_of(axis, len(shape))
    if not axes or 0 in axes:
        return None
    return tuple(1 if number in axes else length for number, length in enumerate(shape) if keepdims or number not in axes)


def axes_of(value: Any, rank: int) -> set[int]:
    """Axis numbers from 0; empty for None."""
    if value is None:
        return set()
    return {as_axis(item, rank) for item in (value if isinstance(value, list | tuple) else [value])}


def whole_numbers(value: Any) -> list[int] | None:
    """A list of whole numbers; None for anything else, one with a tensor among them too."""
    if not isinstance(value, list | tuple) or not all(isinstance(n, int) and not isinstance(n, bool) for n in value):
        return None
    return list(value)


@function("reshape")
def reshape(call: LayerCall) -> LayerFacts:
    """[-1 or the batch's own length, ...]; rows of another length than a sample has are samples no longer."""
    wanted = call.arguments.get("shape")
    if not isinstance(wanted, list | tuple) or not wanted:
        return UNKNOWN
    # A tensor among the numbers is None here: in front it is the length of the batch.
    rest = whole_numbers(wanted[1:])
    if rest is None or wanted[0] not in (-1, None):
        return UNKNOWN
    if -1 not in rest:
        even = product(call.shape[1:]) == product(rest)
        return LayerFacts(outputs=((call.shape[0], *rest),), macs=0, weights={}, per_sample=even)
    return plain((call.shape[0], *filled_shape(rest, call.shape))) if wanted[0] is None else UNKNOWN


@function("broadcast_to", "tile")
def repeated_whole(call: LayerCall) -> LayerFacts:
    """A wanted shape, or how often each axis is repeated; the batch axis stays what it is."""
    if "multiples" in call.arguments:
        counts = whole_numbers(call.arguments["multiples"])
        if counts is None or len(counts) != len(call.shape) or counts[0] != 1:
            return UNKNOWN
        if min(counts) < 0:
            raise ConfigError("multiples", "numbers from 0 on", counts)
        return plain(tuple(times(length, count) for length, count in zip(call.shape, counts, strict=True)))
    wanted = call.arguments.get("shape")
    if not isinstance(wanted, list | tuple) or not wanted or wanted[0] is not None:
        return UNKNOWN
    rest = whole_numbers(wanted[1:])
    return UNKNOWN if rest is None else plain((None, *rest))


@function("repeat")
def repeat(call: LayerCall) -> LayerFacts:
    """Each value several times along one axis."""
    count, shape = call.arguments.get("repeats"), list(call.shape)
    if not isinstance(count, int) or call.arguments.get("axis") is None:
        return UNKNOWN
    if count < 0:
        raise ConfigError("repeats", "a number from 0 on", count)
    axis = as_axis(call.arguments["axis"], len(shape))
    shape[axis] = times(shape[axis], count)
    return plain(tuple(shape)) if axis else UNKNOWN


@function("concat")
def concat(call: LayerCall) -> LayerFacts:
    """One after the other."""
    return plain(concatenated(call.inputs, call.arguments["axis"])) if "axis" in call.arguments else UNKNOWN


@function("stack")
def stack(call: LayerCall) -> LayerFacts:
    """One beside the other along a new axis."""
    shape = call.shape
    axis = as_axis(call.arguments.get("axis", 0), len(shape) + 1)
    return plain((*shape[:axis], len(call.inputs), *shape[axis:])) if axis else UNKNOWN


MAX_PARTS = 5_000
"""More outputs than that are not listed: a number in a small file must not decide how much memory its reading takes."""


@function("split")
def split(call: LayerCall) -> LayerFacts:
    """Parts of equal or of given lengths along one axis."""
    wanted, shape = call.arguments.get("num_or_size_splits"), call.shape
    axis = as_axis(call.arguments.get("axis", 0), len(shape))
    length = shape[axis]
    if not axis or length is None:
        return UNKNOWN
    if isinstance(wanted, int) and wanted > MAX_PARTS:
        return UNKNOWN
    if isinstance(wanted, int) and wanted > 0:
        if length % wanted:
            raise ConfigError("num_or_size_splits", f"a divisor of {length}", wanted)
        lengths: list[int] | None = [length // wanted] * wanted
    else:
        lengths = whole_numbers(wanted)
    if lengths is None:
        return UNKNOWN
    lengths = [length - sum(n for n in lengths if n != -1) if n == -1 else n for n in lengths]
    if sum(lengths) != length or min(lengths) < 0:
        raise ConfigError("num_or_size_splits", f"lengths that make {length}", wanted)
    return LayerFacts(outputs=tuple((*shape[:axis], n, *shape[axis + 1 :]) for n in lengths), macs=0, weights={})


@function("unstack")
def unstack(call: LayerCall) -> LayerFacts:
    """Every position of one axis on its own."""
    axis = as_axis(call.arguments.get("axis", 0), len(call.shape))
    length = call.shape[axis]
    if not axis or length is None or length > MAX_PARTS:
        return UNKNOWN
    return LayerFacts(outputs=((*call.shape[:axis], *call.shape[axis + 1 :]),) * length, macs=0, weights={})


@function("expand_dims")
def expand_dims(call: LayerCall) -> LayerFacts:
    """A new axis of length one."""
    if "axis" not in call.arguments:
        return UNKNOWN
    axis = as_axis(call.arguments["axis"], len(call.shape) + 1)
    return plain((*call.shape[:axis], 1, *call.shape[axis:])) if axis else UNKNOWN


@function("squeeze")
def squeeze(call: LayerCall) -> LayerFacts:
    """Without the given axes of length one, or without all of them."""
    shape, given = call.shape, call.arguments.get("axis")
    axes = axes_of(None if given == [] else given, len(shape)) or {n for n, length in enumerate(shape) if n and length == 1}
    if any(shape[axis] not in (1, None) for axis in axes):
        raise ConfigError("axis", "axes of length 1", given)
    return plain(tuple(length for number, length in enumerate(shape) if number not in axes)) if 0 not in axes else UNKNOWN


@function("transpose")
def transpose(call: LayerCall) -> LayerFacts:
    """Axes in another order."""
    order = call.arguments.get("perm")
    if not isinstance(order, list | tuple):
        return UNKNOWN
    axes = [as_axis(axis, len(call.shape), "perm") for axis in order]
    if sorted(axes) != list(range(len(call.shape))):
        raise ConfigError("perm", f"the numbers 0 to {len(call.shape) - 1} in some order", order)
    return plain(tuple(call.shape[axis] for axis in axes))


@function("gather")
def gather(call: LayerCall) -> LayerFacts:
    """Values at given positions of one axis."""
    if call.arguments.get("batch_dims") or len(call.inputs) > 1:
        return UNKNOWN
    axis = as_axis(call.arguments.get("axis") or 0, len(call.shape))
    positions = constant_shape(call.arguments.get("indices"))
    return plain((*call.shape[:axis], *positions, *call.shape[axis + 1 :])) if axis and positions is not None else UNKNOWN


@function("slice")
def part(call: LayerCall) -> LayerFacts:
    """From `begin` on as many as `size` says, -1 for all that follow."""
    begin, size = whole_numbers(call.arguments.get("begin")), whole_numbers(call.arguments.get("size"))
    if begin is None or size is None or not len(begin) == len(size) == len(call.shape) or begin[0] != 0 or size[0] != -1:
        return UNKNOWN
    lengths = [
        None if whole is None else whole - first if count == -1 else count
        for whole, first, count in zip(call.shape[1:], begin[1:], size[1:], strict=True)
    ]
    return plain((call.shape[0], *lengths))


@function("__operators__.getitem")
def sliced(call: LayerCall) -> LayerFacts:
    """Plain slices, whole numbers, new axes and an ellipsis along axes of known length."""
    shape, spec = call.shape, call.arguments.get("slice_spec")
    items = spec if isinstance(spec, list | tuple) else [spec]
    taken = sum(1 for item in items if item is not None and not _is_ellipsis(item))
    result: list[int | None] = []
    axis = 0
    for item in items:
        if item is None and axis:
            result.append(1)
        elif _is_ellipsis(item):
            result.extend(shape[axis : axis + len(shape) - taken])
            axis += len(shape) - taken
        elif isinstance(item, Mapping) and {"start", "stop", "step"} <= set(item) and axis < len(shape):
            ends = [item["start"], item["stop"], item["step"]]
            length = shape[axis]
            if ends == [None, None, None]:
                result.append(length)
            elif axis == 0 or length is None or not all(end is None or isinstance(end, int) for end in ends) or ends[2] == 0:
                return UNKNOWN
            else:
                result.append(len(range(*slice(*ends).indices(length))))
            axis += 1
        elif isinstance(item, int) and not isinstance(item, bool) and 0 < axis < len(shape):
            axis += 1
        else:
            return UNKNOWN
    return plain((*result, *shape[axis:]))


def _is_ellipsis(item: Any) -> bool:
    return isinstance(item, Mapping) and item.get("class_name") == "__ellipsis__"


@function("pad")
def pad(call: LayerCall) -> LayerFacts:
    """Each axis longer by what stands before and after it; the batch axis must stay."""
    given = call.arguments.get("paddings")
    pairs = [whole_numbers(pair) for pair in given] if isinstance(given, list | tuple) else []
    good = [pair for pair in pairs if pair is not None and len(pair) == 2 and min(pair) >= 0]
    if len(good) != len(call.shape) or len(good) != len(pairs) or good[0] != [0, 0]:
        return UNKNOWN
    return plain(tuple(None if length is None else length + sum(pair) for length, pair in zip(call.shape, good, strict=True)))
