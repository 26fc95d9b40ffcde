"""Operations that take a part of a tensor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from optimizer.sources.keras_3.operands import cast, given, known_shape, tensor
from optimizer.sources.keras_3.parts import Builder, Parts, SourceLayer, Tensor, operation

WHOLE = {"start": None, "stop": None, "step": None}


@operation("GetItem")
def get_item(source: SourceLayer) -> Parts:
    """x[...]."""
    arguments = given(source, "x", "key")
    x = tensor(arguments, "x", source)
    key = arguments["key"]
    items = list(key) if isinstance(key, list | tuple) else [key]
    if any(isinstance(item, list | Tensor) for item in items):
        raise source.refuse("takes values by lists of positions", "Use keras.ops.take with an axis.")
    builder = Builder(source)
    builder.operator("__operators__.getitem", x, slice_spec=_without_ellipsis(items, x, source))
    return builder.done()


def _without_ellipsis(items: list[Any], x: Tensor, source: SourceLayer) -> list[Any]:
    """Whole axes in place of "...": tf-keras reads plain slices, numbers and None only."""
    places = [n for n, item in enumerate(items) if isinstance(item, Mapping) and item.get("class_name") == "__ellipsis__"]
    if not places:
        return items
    missing = len(known_shape(x, source)) - sum(item is not None for item in items) + 1
    return [*items[: places[0]], *([WHOLE] * missing), *items[places[0] + 1 :]]


@operation("Take")
def take(source: SourceLayer) -> Parts:
    """Values at given positions of one axis."""
    arguments = given(source, "x", "indices", "axis")
    axis = arguments.get("axis")
    if axis is None:
        raise source.refuse("takes from the whole batch at once", "Name an axis.")
    builder = Builder(source)
    x, axis = arguments["x"], int(axis)
    shape = known_shape(x, source) if isinstance(x, Tensor) else np.shape(x)
    indices = _from_the_start(arguments["indices"], shape[axis], builder)
    builder.operator("gather", x, indices=indices, axis=axis)
    return builder.done()


def _from_the_start(indices: Any, length: int | None, builder: Builder) -> Any:
    """Positions along an axis of so many values, None for an open one, as TensorFlow takes them: Keras 3 counts negative ones from the end.

    Raises InputError where a constant counts from the end of an open axis.
    """
    if isinstance(indices, Tensor):
        places = indices if indices.dtype in ("int32", "int64") else cast(builder, indices, "int32")
        return places if length is None else builder.operator("math.floormod", places, y=length)
    if isinstance(indices, list | tuple):
        return [_from_the_start(item, length, builder) for item in indices]
    if indices >= 0:
        return indices
    if length is None:
        raise builder.source.refuse(
            "counts from the end of an axis of open length", "Write it as x[:, -1], or give the axis a length."
        )
    return indices + length


@operation("TakeAlongAxis")
def take_along_axis(source: SourceLayer) -> Parts:
    """Values at positions of their own for each row of the last axis."""
    arguments = given(source, "x", "indices", "axis")
    x = tensor(arguments, "x", source)
    rank = len(known_shape(x, source))
    indices, axis = arguments["indices"], arguments.get("axis")
    if not isinstance(indices, Tensor) or axis is None or int(axis) % rank != rank - 1:
        raise source.refuse("takes along another axis than the last, or at constant positions", "Transpose first.")
    if known_shape(x, source)[1:-1] != known_shape(indices, source)[1:-1]:
        raise source.refuse("takes at positions of another shape")
    builder = Builder(source)
    places = _from_the_start(indices, known_shape(x, source)[-1], builder)
    builder.operator("gather", x, indices=places, axis=rank - 1, batch_dims=rank - 1)
    return builder.done()


@operation("Slice")
def slice_of(source: SourceLayer) -> Parts:
    """A box out of a tensor."""
    arguments = given(source, "inputs", "start_indices", "shape")
    x = tensor(arguments, "inputs", source)
    starts, sizes = arguments["start_indices"], arguments["shape"]
    if not all(isinstance(n, int) for n in (*starts, *sizes)):
        raise source.refuse("depends on the batch")
    builder = Builder(source)
    builder.operator("slice", x, begin=list(starts), size=list(sizes))
    return builder.done()


@operation("Split", "ArraySplit")
def split(source: SourceLayer) -> Parts:
    """Several pieces along one axis."""
    arguments = given(source, "x", "indices_or_sections", "axis")
    x = tensor(arguments, "x", source)
    axis, pieces = int(arguments.get("axis") or 0), arguments["indices_or_sections"]
    builder = Builder(source)
    if isinstance(pieces, list | tuple):
        length = known_shape(x, source)[axis]
        if length is None:
            raise source.refuse("splits an axis of open length")
        ends = [*pieces, length]
        pieces = [end - start for start, end in zip([0, *pieces], ends, strict=True)]
    builder.operator("split", x, num_or_size_splits=pieces, axis=axis)
    return builder.done()


@operation("Unstack")
def unstack(source: SourceLayer) -> Parts:
    """One tensor for each position of an axis."""
    arguments = given(source, "x", "num", "axis")
    builder = Builder(source)
    x = tensor(arguments, "x", source)
    builder.operator("unstack", x, num=arguments.get("num"), axis=int(arguments.get("axis") or 0))
    return builder.done()


@operation("OneHot")
def one_hot(source: SourceLayer) -> Parts:
    """Rows with a single one."""
    arguments = given(source, "x", "num_classes", "axis", "dtype", "sparse")
    if arguments.get("sparse"):
        raise source.refuse("gives a sparse tensor")
    builder = Builder(source)
    x: Any = tensor(arguments, "x", source)
    if not x.dtype.startswith(("int", "uint")):
        x = cast(builder, x, "int32")
    axis = arguments.get("axis")
    builder.operator("one_hot", x, depth=int(arguments["num_classes"]), axis=-1 if axis is None else int(axis))
    return builder.done()


@operation("Tril", "Triu")
def triangle(source: SourceLayer) -> Parts:
    """The part of each matrix below or above its diagonal."""
    arguments = given(source, "x", "k")
    if arguments.get("k"):
        raise source.refuse("keeps a triangle off the diagonal")
    low, high = (-1, 0) if source.class_name == "Tril" else (0, -1)
    builder = Builder(source)
    builder.operator("linalg.band_part", tensor(arguments, "x", source), num_lower=low, num_upper=high)
    return builder.done()
