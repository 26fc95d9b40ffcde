"""Operations that move values and change none."""

from __future__ import annotations

import math
from typing import Any

from optimizer.sources.keras_3.operands import axes_of, given, known_shape, tensor
from optimizer.sources.keras_3.parts import Builder, Parts, SourceLayer, Tensor, operation
from optimizer.sources.summary import Shape


@operation("Reshape")
def reshape(source: SourceLayer) -> Parts:
    """A Reshape layer where the batch axis stays what it is, the TensorFlow function elsewhere."""
    arguments = given(source, "x", "newshape")
    x = tensor(arguments, "x", source)
    wanted = arguments["newshape"]
    target = [int(n) if n is not None else -1 for n in (wanted if isinstance(wanted, list | tuple) else [wanted])]
    builder = Builder(source)
    if keeps_batch(x.shape, target):
        builder.layer("Reshape", x, target_shape=target[1:])
    else:
        builder.operator("reshape", x, shape=target)
    return builder.done()


def keeps_batch(shape: Shape | None, target: list[int]) -> bool:
    """Whether a new shape leaves each sample on its own."""
    if shape is None or len(target) < 2 or len(shape) < 2:
        return False
    if target[0] != -1:
        return False
    values = [n for n in shape[1:] if n is not None]
    return len(values) == len(shape) - 1 and -1 not in target[1:] and math.prod(values) == math.prod(target[1:])


@operation("Transpose")
def transpose(source: SourceLayer) -> Parts:
    """Axes in another order."""
    arguments = given(source, "x", "axes")
    x = tensor(arguments, "x", source)
    axes = axes_of(arguments.get("axes")) or list(range(len(known_shape(x, source))))[::-1]
    builder = Builder(source)
    permuted(builder, x, axes)
    return builder.done()


def permuted(builder: Builder, x: Tensor, axes: list[int]) -> None:
    """A Permute layer where the batch axis stays in front."""
    axes = [axis % len(axes) for axis in axes]
    if axes[0] == 0 and len(axes) > 1:
        builder.layer("Permute", x, dims=axes[1:])
    else:
        builder.operator("transpose", x, perm=axes)


@operation("Swapaxes", "Moveaxis")
def moved_axes(source: SourceLayer) -> Parts:
    """Axes in another order, by what moves."""
    builder = Builder(source)
    if source.class_name == "Swapaxes":
        arguments = given(source, "x", "axis1", "axis2")
        x = tensor(arguments, "x", source)
        axes = list(range(len(known_shape(x, source))))
        one, two = int(arguments["axis1"]), int(arguments["axis2"])
        axes[one], axes[two] = axes[two], axes[one]
    else:
        arguments = given(source, "x", "source", "destination")
        x = tensor(arguments, "x", source)
        rank = len(known_shape(x, source))
        sources, targets = ([axis % rank for axis in axes_of(arguments[k]) or []] for k in ("source", "destination"))
        axes = [axis for axis in range(rank) if axis not in sources]
        for target, axis in sorted(zip(targets, sources, strict=True)):
            axes.insert(target, axis)
    permuted(builder, x, axes)
    return builder.done()


@operation("ExpandDims", "Squeeze")
def ones(source: SourceLayer) -> Parts:
    """Axes of length one come or go."""
    arguments = given(source, "x", "axis")
    builder = Builder(source)
    x = tensor(arguments, "x", source)
    axes = axes_of(arguments.get("axis"))
    if source.class_name == "Squeeze":
        shape = known_shape(x, source)
        gone = [n for n, length in enumerate(shape) if length == 1 and n] if axes is None else axes
        builder.operator("squeeze", x, axis=gone)
    else:
        value: Any = x
        for axis in axes or []:
            value = builder.operator("expand_dims", value, axis=axis)
    return builder.done()


@operation("Ravel")
def ravel(source: SourceLayer) -> Parts:
    """Everything in one row."""
    builder = Builder(source)
    builder.operator("reshape", tensor(given(source, "x"), "x", source), shape=[-1])
    return builder.done()


@operation("BroadcastTo", "Tile", "Repeat", "Flip", "Fliplr", "Flipud", "Roll")
def copied(source: SourceLayer) -> Parts:
    """Values repeated, turned round or shifted."""
    name = source.class_name
    builder = Builder(source)
    parameters = {"BroadcastTo": ("x", "shape"), "Tile": ("x", "repeats"), "Repeat": ("x", "repeats", "axis")}
    arguments = given(source, *parameters.get(name, ("x", "shift", "axis") if name == "Roll" else ("x", "axis")))
    x = tensor(arguments, "x", source)
    axis = arguments.get("axis")
    if name == "BroadcastTo":
        if None in arguments["shape"]:
            raise source.refuse("broadcasts to a shape that depends on the batch")
        builder.operator("broadcast_to", x, shape=arguments["shape"])
    elif name == "Tile":
        rank, repeats = len(known_shape(x, source)), axes_of(arguments["repeats"]) or []
        if len(repeats) > rank:
            raise source.refuse("adds axes")
        builder.operator("tile", x, multiples=[1] * (rank - len(repeats)) + repeats)
    elif name == "Repeat" and axis is not None:
        builder.operator("repeat", x, repeats=arguments["repeats"], axis=int(axis))
    elif name == "Roll" and axis is not None:
        builder.operator("roll", x, shift=arguments["shift"], axis=axis)
    elif name in ("Flip", "Fliplr", "Flipud"):
        fixed = {"Fliplr": [1], "Flipud": [0]}.get(name) or axes_of(axis) or list(range(len(known_shape(x, source))))
        builder.operator("reverse", x, axis=fixed)
    else:
        raise source.refuse("works on the whole batch at once", "Name an axis.")
    return builder.done()


@operation("Pad")
def pad(source: SourceLayer) -> Parts:
    """Values around the tensor."""
    arguments = given(source, "x", "pad_width", "mode", "constant_values")
    x = tensor(arguments, "x", source)
    width, rank = arguments["pad_width"], len(known_shape(x, source))
    if isinstance(width, int):
        width = [[width, width]] * rank
    elif width and isinstance(width[0], int):
        width = [list(width)] * rank
    width = [list(pair) for pair in (width * rank if len(width) == 1 else width)]
    mode = str(arguments.get("mode", "constant"))
    if mode not in ("constant", "reflect", "symmetric"):
        raise source.refuse(f"has mode={mode!r}, which TensorFlow lacks")
    builder = Builder(source)
    builder.operator("pad", x, paddings=width, mode=mode.upper(), constant_values=arguments.get("constant_values") or 0)
    return builder.done()


@operation("DepthToSpace", "SpaceToDepth")
def depth_and_space(source: SourceLayer) -> Parts:
    """Channels into pixels and back."""
    arguments = given(source, "x", "block_size", "data_format")
    if arguments.get("data_format") == "channels_first":
        raise source.refuse("has channels first", "Use channels_last.")
    builder = Builder(source)
    name = "nn.depth_to_space" if source.class_name == "DepthToSpace" else "nn.space_to_depth"
    builder.operator(name, tensor(arguments, "x", source), block_size=int(arguments["block_size"]))
    return builder.done()
