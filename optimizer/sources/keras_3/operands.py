"""What an operation is given: its arguments by name, their types brought to one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optimizer.sources.keras_3.parts import Builder, Inner, SourceLayer, Tensor
from optimizer.sources.keras_3.serialized import FLOATS, plain_setting
from optimizer.sources.summary import Shape

RANKS = {"bool": 0, "uint8": 1, "int8": 2, "uint16": 3, "int16": 4, "uint32": 5, "int32": 6, "uint64": 7, "int64": 8}


def given(source: SourceLayer, *parameters: str) -> dict[str, Any]:
    """The arguments of the one call under these names, and below them the settings of the operation."""
    if len(source.call.args) > len(parameters):
        raise source.refuse(f"is called with {len(source.call.args)} arguments")
    settings = {key: plain_setting(value) for key, value in source.config.items() if key != "name"}
    return {**settings, **dict(zip(parameters, source.call.args, strict=False)), **source.call.kwargs}


def tensor(arguments: Mapping[str, Any], name: str, source: SourceLayer) -> Tensor:
    """An argument that must be a tensor. Raises InputError."""
    value = arguments.get(name)
    if not isinstance(value, Tensor):
        raise source.refuse(f"is called with {name}={value!r}, where a tensor was expected")
    return value


def known_shape(value: Tensor, source: SourceLayer) -> Shape:
    """The tensor's shape. Raises InputError where the file does not say it."""
    if value.shape is None:
        raise source.refuse("does not say the shape of its input")
    return value.shape


def is_float(value: Any) -> bool:
    """Whether a tensor or a constant holds fractions."""
    if isinstance(value, Tensor):
        return value.dtype in FLOATS
    if isinstance(value, list | tuple):
        return any(is_float(item) for item in value)
    return isinstance(value, float)


def cast(builder: Builder, value: Any, dtype: str) -> Any:
    """The value in another type; a constant as a Python number."""
    if isinstance(value, Tensor | Inner):
        return builder.operator("cast", value, dtype="float32" if dtype in FLOATS else dtype)
    if isinstance(value, list | tuple):
        return [cast(builder, item, dtype) for item in value]
    return float(value) if dtype in FLOATS else value


def as_float(builder: Builder, value: Any) -> Any:
    """The value as float32 where it is not a float yet."""
    return value if is_float(value) or isinstance(value, Inner) else cast(builder, value, "float32")


def as_truth(builder: Builder, value: Any) -> Any:
    """A tensor as truth values, which numbers other than 0 are; a constant as it is."""
    return cast(builder, value, "bool") if isinstance(value, Tensor) and value.dtype != "bool" else value


def alike(builder: Builder, x: Any, y: Any) -> tuple[Any, Any]:
    """Two operands in the type that Keras 3 computes them in: floats win over whole numbers, and these over truth values."""
    if is_float(x) or is_float(y):
        return as_float(builder, x), as_float(builder, y)
    kinds = [value.dtype for value in (x, y) if isinstance(value, Tensor)]
    if kinds == ["bool"] and any(type(value) is int for value in (x, y)):
        return cast(builder, x, "int32"), cast(builder, y, "int32")
    if len(kinds) == 2 and kinds[0] != kinds[1]:
        wider = max(kinds, key=lambda kind: RANKS.get(kind, 6))
        return tuple(value if value.dtype == wider else cast(builder, value, wider) for value in (x, y))
    return x, y


def axes_of(value: Any) -> list[int] | None:
    """An axis setting as a list; None for all axes."""
    if value is None:
        return None
    return [int(axis) for axis in value] if isinstance(value, list | tuple) else [int(value)]
