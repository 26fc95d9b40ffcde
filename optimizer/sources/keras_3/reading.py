"""The records of a Keras 3 config as values: calls with their tensors and constants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optimizer.errors import InputError
from optimizer.sources.keras_3.parts import Arguments, Tensor
from optimizer.sources.keras_3.serialized import plain_setting
from optimizer.sources.limits import MAX_LAYERS

TENSOR = "__keras_tensor__"
CONSTANT = "_CONSTANT_VALUE"


def read_calls(stored: Any, place: str) -> tuple[Arguments, ...]:
    """The calls in a layer's `inbound_nodes`, in the form of Keras 3 or in the older one of nested lists. Raises InputError."""
    if not isinstance(stored, list):
        raise fault("The layer's inbound_nodes is not a list", stored, place)
    return tuple(_call(node, place) for node in stored)


def _call(node: Any, place: str) -> Arguments:
    if isinstance(node, list):
        return _older_call(node, place)
    if not isinstance(node, Mapping) or not isinstance(node.get("args"), list) or not isinstance(node.get("kwargs", {}), Mapping):
        raise fault("A call of the layer cannot be read", node, place)
    kwargs = {str(key): _value(item, place) for key, item in node.get("kwargs", {}).items()}
    return Arguments(args=tuple(_value(item, place) for item in node["args"]), kwargs=kwargs)


def _older_call(node: list[Any], place: str) -> Arguments:
    inputs: list[Any] = []
    kwargs: dict[str, Any] = {}
    for item in node:
        if not isinstance(item, list) or len(item) < 3:
            raise fault("A call of the layer cannot be read", item, place)
        inputs.append(item[2] if item[0] == CONSTANT else history(item[:3], place))
        if len(item) == 4 and isinstance(item[3], Mapping):
            kwargs.update({str(key): plain_setting(value) for key, value in item[3].items()})
    return Arguments(args=(inputs[0] if len(inputs) == 1 else inputs,), kwargs=kwargs)


def _value(value: Any, place: str) -> Any:
    """An argument: tensors become Tensor, arrays become lists, dtypes and texts stay."""
    if isinstance(value, list):
        return [_value(item, place) for item in value]
    if not isinstance(value, Mapping):
        return value
    config = value.get("config")
    if value.get("class_name") == TENSOR:
        config = config if isinstance(config, Mapping) else {}
        return history(config.get("keras_history"), place, config.get("shape"), config.get("dtype"))
    if value.get("class_name") == "__slice__" and isinstance(config, Mapping):
        return {key: config.get(key) for key in ("start", "stop", "step")}
    if value.get("class_name") == "__tuple__":
        return [_value(item, place) for item in (value.get("items") or config or [])]
    if "class_name" in value:
        return plain_setting(value)
    return {str(key): _value(item, place) for key, item in value.items()}


def history(value: Any, place: str, shape: Any = None, dtype: Any = None) -> Tensor:
    """[layer, call, index] as a tensor. Raises InputError BAD_CONFIG."""
    good = isinstance(value, list) and len(value) == 3 and isinstance(value[0], str)
    if not good or not all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n < MAX_LAYERS for n in value[1:]):
        raise fault("A tensor does not say where it comes from", value, place)
    known = tuple(shape) if isinstance(shape, list) and all(n is None or isinstance(n, int) for n in shape) else None
    return Tensor(layer=value[0], call=value[1], index=value[2], shape=known, dtype=str(dtype or "float32"))


def read_ends(value: Any, place: str) -> Any:
    """`input_layers` or `output_layers`: tensors in the structure that the model takes or gives."""
    if isinstance(value, Mapping):
        return {str(key): read_ends(item, place) for key, item in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], str):
        return history(value, place)
    if not isinstance(value, list) or not value:
        raise fault("The model does not name its inputs and outputs", value, place)
    return [read_ends(item, place) for item in value]


def fault(what: str, received: object, place: str) -> InputError:
    """A config that no Keras 3 writes."""
    return InputError(what, code="BAD_CONFIG", place=place, received=repr(received))
