"""Operations that put tensors together: concatenation, products of matrices."""

from __future__ import annotations

from typing import Any

from optimizer.sources.keras_3.operands import alike, given, is_float, known_shape, tensor
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


@operation("Matmul", "Dot")
def matmul(source: SourceLayer) -> Parts:
    """Product of matrices."""
    arguments = given(source, "x1", "x2")
    builder = Builder(source)
    x, y = alike(builder, arguments["x1"], arguments["x2"])
    ranks = [_rank(value, source) for value in (arguments["x1"], arguments["x2"])]
    if source.class_name == "Dot" and 0 in ranks:
        builder.operator("math.multiply", x, y=y)
        return builder.done()
    if min(ranks) < 2 or (source.class_name == "Dot" and ranks[1] != 2):
        raise source.refuse("multiplies vectors", "Use keras.ops.einsum, or matrices.")
    if ranks[0] > 2 and ranks[1] == 2:
        # TensorFlow's matmul wants matrices on both sides to be as many.
        letters = "abcdefgh"[: ranks[0] - 1]
        builder.operator("einsum", f"{letters}y,yz->{letters}z", inputs=[x, y]) if False else builder.operator(
            "tensordot", x, b=y, axes=1
        )
        return builder.done()
    builder.operator("linalg.matmul", x, b=y)
    return builder.done()


def _rank(value: Any, source: SourceLayer) -> int:
    if isinstance(value, Tensor):
        return len(known_shape(value, source))
    rank = 0
    while isinstance(value, list | tuple):
        rank, value = rank + 1, value[0] if value else 0
    return rank


@operation("Tensordot")
def tensordot(source: SourceLayer) -> Parts:
    """Sums of products over given axes."""
    arguments = given(source, "x1", "x2", "axes")
    builder = Builder(source)
    x, y = alike(builder, arguments["x1"], arguments["x2"])
    builder.operator("tensordot", x, b=y, axes=arguments["axes"])
    return builder.done()


@operation("Einsum")
def einsum(source: SourceLayer) -> Parts:
    """Einstein's sums."""
    arguments = given(source, *(f"operand_{n}" for n in range(len(source.call.args))))
    subscripts = str(arguments["subscripts"])
    operands = list(source.call.args)
    builder = Builder(source)
    if not all(isinstance(operand, Tensor) and is_float(operand) for operand in operands):
        raise source.refuse("takes constants or whole numbers")
    builder.operator("einsum", subscripts, inputs=operands)
    return builder.done()


@operation("Average")
def average(source: SourceLayer) -> Parts:
    """The mean along an axis, without weights."""
    arguments = given(source, "x", "weights", "axis")
    if arguments.get("weights") is not None:
        raise source.refuse("has weights", "Multiply and divide by them with ordinary operations.")
    axis = arguments.get("axis")
    builder = Builder(source)
    builder.operator("math.reduce_mean", tensor(arguments, "x", source), axis=axis)
    return builder.done()
