"""Operations that multiply matrices: matmul, dot, tensordot, einsum."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from optimizer.sources.keras_3.operands import alike, given, is_float, known_shape
from optimizer.sources.keras_3.parts import Builder, Parts, SourceLayer, Tensor, operation


@operation("Matmul", "Dot")
def matmul(source: SourceLayer) -> Parts:
    """Product of matrices."""
    arguments = given(source, "x1", "x2")
    builder = Builder(source)
    ranks = [len(_shape(value, source)) for value in (arguments["x1"], arguments["x2"])]
    x, y = alike(builder, arguments["x1"], arguments["x2"])
    if source.class_name == "Dot" and 0 in ranks:
        builder.operator("math.multiply", x, y=y)
    elif min(ranks) < 2 or (source.class_name == "Dot" and ranks[1] != 2):
        raise source.refuse("multiplies vectors", "Use keras.ops.einsum, or matrices.")
    elif ranks[0] > 2 and ranks[1] == 2:
        # TensorFlow's matmul wants as many matrices on both sides.
        builder.operator("tensordot", x, b=y, axes=1)
    else:
        builder.operator("linalg.matmul", x, b=y)
    return builder.done()


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
    """Einstein's sum of two tensors, as a product of matrices: no layer of tf-keras can hold tf.einsum's operands."""
    operands = source.call.args
    subscripts = str(given(source, *(f"operand_{n}" for n in range(len(operands))))["subscripts"]).replace(" ", "")
    match = re.fullmatch(r"([a-zA-Z]+),([a-zA-Z]+)->([a-zA-Z]*)", subscripts)
    if match is None or len(operands) != 2 or not all(is_float(operand) for operand in operands):
        raise source.refuse(f"computes {subscripts!r}, which is no product of two tensors of floats")
    left, right, output = match.groups()
    shapes = [_shape(operand, source) for operand in operands]
    if any(len(set(term)) < len(term) for term in (left, right)) or [len(left), len(right)] != [len(s) for s in shapes]:
        raise source.refuse(f"computes {subscripts!r}, which does not fit its inputs")
    if any(letter not in right + output for letter in left) or any(letter not in left + output for letter in right):
        raise source.refuse(f"computes {subscripts!r}, which sums over an axis of one tensor alone")
    builder = Builder(source)
    _product(
        builder,
        operands,
        (left, right, output),
        {**dict(zip(right, shapes[1], strict=True)), **dict(zip(left, shapes[0], strict=True))},
    )
    return builder.done()


def _product(builder: Builder, operands: tuple[Any, ...], terms: tuple[str, str, str], lengths: Mapping[str, int | None]) -> None:
    """Axes in the order (in both and kept, of one alone, summed over), each group in one axis; multiply; and all back."""
    left, right, output = terms
    both = [letter for letter in left if letter in right and letter in output]
    summed = [letter for letter in left if letter in right and letter not in output]
    rows, columns = ([letter for letter in term if letter not in other] for term, other in ((left, right), (right, left)))
    first = _grouped(builder, operands[0], left, (both, rows, summed), lengths)
    second = _grouped(builder, operands[1], right, (both, summed, columns), lengths)
    product: Any = builder.operator("linalg.matmul", first, b=second)
    order = [*both, *rows, *columns]
    sizes = [lengths[letter] for letter in order]
    if len(rows) != 1 or len(columns) != 1:
        product = builder.operator("reshape", product, shape=_open_once(builder, sizes))
    if order != list(output):
        builder.operator("transpose", product, perm=[order.index(letter) for letter in output])


def _grouped(builder: Builder, value: Any, term: str, groups: tuple[list[str], ...], lengths: Mapping[str, int | None]) -> Any:
    order = [letter for group in groups for letter in group]
    if not isinstance(value, Tensor):
        raise builder.source.refuse("takes a constant", "Use keras.ops.matmul or a Dense layer.")
    if list(term) != order:
        value = builder.operator("transpose", value, perm=[term.index(letter) for letter in order])
    if all(len(group) == 1 for group in groups[1:]):
        return value
    sizes: list[int | None] = [lengths[letter] for letter in groups[0]]
    for group in groups[1:]:
        inside = [lengths[letter] for letter in group]
        sizes.append(None if None in inside else math.prod(n for n in inside if n is not None))
    return builder.operator("reshape", value, shape=_open_once(builder, sizes))


def _open_once(builder: Builder, sizes: list[int | None]) -> list[int]:
    """A shape to reshape to: one axis at most may be open."""
    if sizes.count(None) > 1:
        raise builder.source.refuse("has several axes of open length", "Give all but the batch axis a length.")
    return [-1 if size is None else size for size in sizes]


def _shape(value: Any, source: SourceLayer) -> tuple[int | None, ...]:
    """Shape of a tensor, or of a constant in nested lists."""
    if isinstance(value, Tensor):
        return known_shape(value, source)
    shape: list[int | None] = []
    while isinstance(value, list | tuple):
        shape.append(len(value))
        value = value[0] if value else 0
    return tuple(shape)
