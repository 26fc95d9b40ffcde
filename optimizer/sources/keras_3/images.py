"""Operations on pictures."""

from __future__ import annotations

from typing import Any

from optimizer.sources.keras_3.operands import as_float, cast, given, is_float, known_shape, tensor
from optimizer.sources.keras_3.parts import Builder, Inner, Parts, SourceLayer, operation

GRAY = [0.2989, 0.5870, 0.1140]
"""Shares of red, green and blue, as Keras 3 has them."""


@operation("Resize")
def resize(source: SourceLayer) -> Parts:
    """Images in another size."""
    arguments = given(source, "images", "size", "interpolation", "antialias")
    unlike = [key for key in ("antialias", "crop_to_aspect_ratio", "pad_to_aspect_ratio") if arguments.get(key)]
    if unlike or arguments.get("data_format") == "channels_first":
        raise source.refuse(f"has {', '.join(unlike) or 'channels first'}")
    builder = Builder(source)
    height, width = arguments["size"]
    x = tensor(arguments, "images", source)
    method = str(arguments.get("interpolation", "bilinear"))
    resized = builder.layer("Resizing", x, height=int(height), width=int(width), interpolation=method)
    if not is_float(x):
        cast(builder, rounded(builder, resized, method), x.dtype)
    return builder.done()


def rounded(builder: Builder, resized: Inner, interpolation: str) -> Inner:
    """What Keras 3 makes of resized pictures of whole numbers, as floats that hold whole numbers.

    It also brings them into the range of their type, which matters for methods only that LiteRT has no operator for: a pixel between its
    neighbours, or the nearest one, is in it.
    """
    return resized if interpolation == "nearest" else builder.operator("math.round", resized)


@operation("RGBToGrayscale")
def grayscale(source: SourceLayer) -> Parts:
    """One channel of three."""
    arguments = _with_channels_last(source)
    x = tensor(arguments, "images", source)
    builder = Builder(source)
    if known_shape(x, source)[-1] == 1:
        builder.operator("identity", x)
        return builder.done()
    weighted = builder.operator("math.multiply", as_float(builder, x), y=GRAY)
    gray = builder.operator("math.reduce_sum", weighted, axis=[-1], keepdims=True)
    if not is_float(x):
        cast(builder, gray, x.dtype)
    return builder.done()


@operation("PadImages", "CropImages")
def pad_or_crop(source: SourceLayer) -> Parts:
    """Rows and columns of zeros around pictures, or fewer of their own."""
    arguments = _with_channels_last(source)
    x = tensor(arguments, "images", source)
    shape = known_shape(x, source)
    pads = source.class_name == "PadImages"
    ending = "padding" if pads else "cropping"
    sides = []
    for length, ends, target in ((shape[-3], ("top", "bottom"), "target_height"), (shape[-2], ("left", "right"), "target_width")):
        first, last = (arguments.get(f"{end}_{ending}") for end in ends)
        if first is None or last is None:
            if length is None:
                raise source.refuse("works on pictures of open size", "Give them a size.")
            change = int(arguments[target]) - length if pads else length - int(arguments[target])
            first, last = (change - int(last or 0), last) if first is None else (first, change - int(first))
        sides.append([int(first or 0), int(last or 0)])
    builder = Builder(source)
    whole: list[Any] = [[0, 0]] * (len(shape) - 3)
    if pads:
        builder.operator("pad", x, paddings=[*whole, *sides, [0, 0]])
    else:
        around = [*whole, *sides, [0, 0]]
        spec = [{"start": first or None, "stop": -last if last else None, "step": None} for first, last in around]
        builder.operator("__operators__.getitem", x, slice_spec=spec)
    return builder.done()


def _with_channels_last(source: SourceLayer) -> dict[str, Any]:
    arguments = given(source, "images")
    if arguments.get("data_format") == "channels_first":
        raise source.refuse("has channels first", "Use channels_last.")
    return arguments
