"""Operations that put tensors one after the other."""

from __future__ import annotations

from optimizer.sources.keras_3.operands import given, known_shape
from optimizer.sources.keras_3.parts import Builder, Parts, SourceLayer, Tensor, operation


@operation("Concatenate")
def concatenate(source: SourceLayer) -> Parts:
    """One after the other along an axis."""
    arguments = given(source, "xs", "axis")
    items, axis = list(arguments["xs"]), arguments.get("axis", -1)
    if axis is None:
        raise source.refuse("flattens the whole batch", "Name an axis.")
    builder = Builder(source)
    shapes = [item.shape for item in items if isinstance(item, Tensor)]
    if len(shapes) == len(items) > 1 and all(shape is not None and axis % len(shape) for shape in shapes):
        builder.layer("Concatenate", items, axis=int(axis))
    else:
        builder.operator("concat", items, axis=int(axis))
    return builder.done()


@operation("Hstack", "Vstack")
def stacked(source: SourceLayer) -> Parts:
    """Concatenation along the second or the first axis."""
    items = list(given(source, "xs")["xs"])
    if any(not isinstance(item, Tensor) or len(known_shape(item, source)) < 2 for item in items):
        raise source.refuse("joins tensors of one axis")
    builder = Builder(source)
    builder.operator("concat", items, axis=1 if source.class_name == "Hstack" else 0)
    return builder.done()


@operation("Stack")
def stack(source: SourceLayer) -> Parts:
    """Tensors along a new axis."""
    arguments = given(source, "x", "axis")
    builder = Builder(source)
    builder.operator("stack", list(arguments["x"]), axis=int(arguments.get("axis") or 0))
    return builder.done()


@operation("Append")
def append(source: SourceLayer) -> Parts:
    """Two tensors one after the other."""
    arguments = given(source, "x1", "x2", "axis")
    if arguments.get("axis") is None:
        raise source.refuse("flattens the whole batch", "Name an axis.")
    builder = Builder(source)
    builder.operator("concat", [arguments["x1"], arguments["x2"]], axis=int(arguments["axis"]))
    return builder.done()
