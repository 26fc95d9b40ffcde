"""The JSON of an architecture: bounded before it is looked at, and held against the allowlist, object by object."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from optimizer.errors import InputError
from optimizer.sources.limits import MAX_ACTIVATION, MAX_CONFIG_BYTES, MAX_JSON_DEPTH, MAX_JSON_VALUES, MAX_NAME_LENGTH
from optimizer.sources.preflight import allowlist
from optimizer.sources.preflight.allowlist import KERAS_2, Allowlist

ACTIVATION_SETTINGS = ("activation", "recurrent_activation")
OPERATOR_LAYERS = ("TFOpLambda", "SlicingOpLambda")


def parse_config(text: str, place: str) -> dict[str, Any]:
    """Parse JSON that must be an object. Raises InputError BAD_CONFIG, TOO_LARGE."""
    if len(text) > MAX_CONFIG_BYTES:
        raise InputError("The architecture is too long", code="TOO_LARGE", place=place, limit=f"{MAX_CONFIG_BYTES:,} bytes")
    try:
        value = json.loads(text)
        if "\\u" in text:
            # "\ud800" alone is half a character: JSON lets it through, and no file, page or database takes it.
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        received = "too many brackets within brackets" if isinstance(error, RecursionError) else str(error)
        raise InputError("The architecture is not valid JSON", code="BAD_CONFIG", place=place, received=received) from error
    if not isinstance(value, dict):
        raise InputError(
            "The architecture is not a JSON object",
            code="BAD_CONFIG",
            place=place,
            expected="an object",
            received=type(value).__name__,
        )
    return value


def check_config(config: Mapping[str, Any], place: str, allowed: Allowlist = KERAS_2) -> None:
    """Refuse whatever could run code, read files or is unknown, anywhere in the architecture.

    Args:
        config: The parsed architecture.
        place: Name of the file for errors.
        allowed: The names of the Keras that wrote it.

    Raises:
        InputError: BAD_CONFIG, TOO_LARGE, UNSAFE_LAYER, UNSAFE_MODULE, UNSAFE_OP, UNKNOWN_LAYER.
    """
    pending: list[tuple[Any, str, int]] = [(config, "", 1)]
    count = 0
    while pending:
        value, owner, depth = pending.pop()
        count += 1
        if count > MAX_JSON_VALUES:
            raise InputError("The architecture has too many parts", code="TOO_LARGE", place=place, limit=f"{MAX_JSON_VALUES:,}")
        if depth > MAX_JSON_DEPTH:
            raise InputError(
                "The architecture is nested too deeply", code="BAD_CONFIG", place=place, limit=f"{MAX_JSON_DEPTH} levels"
            )
        if isinstance(value, Mapping):
            owner = _name_of(value) or owner
            _check_object(value, owner, place, allowed)
            pending.extend((item, owner, depth + 1) for item in value.values())
        elif isinstance(value, list):
            pending.extend((item, owner, depth + 1) for item in value if isinstance(item, Mapping | list))


def _name_of(value: Mapping[str, Any]) -> str:
    inner = value.get("config")
    name = inner.get("name") if isinstance(inner, Mapping) else value.get("name")
    return name if isinstance(name, str) else ""


def _check_object(value: Mapping[str, Any], owner: str, place: str, allowed: Allowlist) -> None:
    where = f"{place}, layer {owner}" if owner else place
    _check_shapes(value, where)
    for setting in ACTIVATION_SETTINGS:
        activation = value.get(setting)
        if isinstance(activation, str) and activation.lower() not in allowed.activations:
            raise _unknown(where, "activation", activation)
    if "class_name" not in value:
        if isinstance(value.get("module"), str) and "config" in value:
            _check_module(value["module"], "object", where)
        return
    class_name = value["class_name"]
    if not isinstance(class_name, str) or len(class_name) > MAX_NAME_LENGTH:
        raise InputError("A class name is not text", code="BAD_CONFIG", place=where, received=repr(class_name))
    _check_class(class_name, value, where, allowed)
    if class_name in OPERATOR_LAYERS:
        _check_operator(value, where)


def _check_shapes(value: Mapping[str, Any], where: str) -> None:
    """Bound every shape that the config names: layers build weights from some of them before anything else is looked at."""
    for setting, shape in value.items():
        if setting.endswith("shape") and isinstance(shape, list):
            total = math.prod(n for n in shape if isinstance(n, int) and n > 0)
            if total > MAX_ACTIVATION:
                limit = f"{MAX_ACTIVATION:,}"
                raise InputError(
                    f"{setting} is too large", code="TOO_LARGE", place=where, received=f"{total:,} values", limit=limit
                )


def _check_class(class_name: str, value: Mapping[str, Any], where: str, allowed: Allowlist) -> None:
    if class_name in allowed.refused:
        raise InputError(
            f"Layer {class_name!r} {allowed.refused[class_name]}; it is not accepted",
            code="UNSAFE_OP" if class_name in allowed.refused_operators else "UNSAFE_LAYER",
            place=where,
            fix="Replace it by ordinary Keras layers, and save the model again.",
        )
    if class_name in allowlist.WRAPPED:
        raise InputError(
            f"The model still holds {class_name}, a wrapper for training",
            code="UNKNOWN_LAYER",
            place=where,
            fix=allowlist.WRAPPED[class_name],
        )
    module = value.get("module")
    if module is not None:
        _check_module(module, class_name, where)
    registered = value.get("registered_name")
    if class_name == "function":
        _check_function(value, where, allowed)
    elif class_name not in allowed.classes:
        raise _unknown(where, "class", class_name)
    elif registered is not None and (not isinstance(registered, str) or registered.split(">")[-1] != class_name):
        raise InputError("A class is registered under another name", code="UNSAFE_MODULE", place=where, received=repr(registered))


def _check_module(module: Any, class_name: str, where: str) -> None:
    if isinstance(module, str) and module in allowlist.INITIALIZER_MODULES and class_name in allowlist.INITIALIZERS:
        return
    if not isinstance(module, str) or module.split(".")[0] not in allowlist.MODULES:
        raise InputError(
            f"{class_name} comes from the module {module!r}, which would be imported and run",
            code="UNSAFE_MODULE",
            place=where,
            expected="only modules of " + ", ".join(sorted(allowlist.MODULES)),
            fix="Replace it by ordinary Keras layers, and save the model again.",
        )


def _check_function(value: Mapping[str, Any], where: str, allowed: Allowlist) -> None:
    name = value.get("config")
    if not isinstance(name, str) or name.lower() not in allowed.activations:
        raise _unknown(where, "function", name)
    if value.get("registered_name") not in (None, "function", name):
        raise InputError("A function is registered under another name", code="UNSAFE_MODULE", place=where)


def _check_operator(value: Mapping[str, Any], where: str) -> None:
    inner = value.get("config")
    function = inner.get("function") if isinstance(inner, Mapping) else None
    if not isinstance(function, str) or function not in allowlist.OPERATORS:
        raise InputError(
            f"Op {function!r} is not accepted",
            code="UNSAFE_OP",
            place=where,
            fix="Replace it by an ordinary Keras layer (Activation, Add, Reshape, ...), and save the model again.",
        )


def _unknown(where: str, kind: str, name: object) -> InputError:
    return InputError(
        f"The {kind} {name!r} is not one of Keras's own",
        code="UNKNOWN_LAYER",
        place=where,
        fix="Litesmith has no code for custom objects: rebuild this part with ordinary Keras layers, and save the model again.",
    )
