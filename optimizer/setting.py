"""One setting of a technique: its type, bounds and help, declared once for the form, the bounds check and the documentation."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from optimizer.errors import InputError, printable


@dataclass(frozen=True, kw_only=True)
class Param:
    """One setting as the form, the bounds check and the documentation see it.

    `kind` is bool, int, float, str (with `choices`) or tuple (names of layers). `primary` settings are always in sight on the
    Experiment page; the rest stands under "more".
    """

    name: str
    kind: type
    default: Any
    help: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    primary: bool = False
    step: float | None = None
    unit: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON for `python -m optimizer techniques --json`."""
        record = dataclasses.asdict(self)
        record["kind"] = self.kind.__name__
        record["choices"] = list(self.choices)
        record["default"] = list(self.default) if isinstance(self.default, tuple) else self.default
        return record


def param(
    default: Any,
    *,
    help: str,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] = (),
    primary: bool = False,
    step: float | None = None,
    unit: str = "",
) -> Any:
    """Declare a setting with its default, bounds and help; the class attribute's annotation gives its type."""
    declared = {
        "help": help,
        "low": low,
        "high": high,
        "choices": tuple(choices),
        "primary": primary,
        "step": step,
        "unit": unit,
    }
    return dataclasses.field(default=default, metadata={"param": declared})


def declared_params(cls: Any) -> tuple[Param, ...]:
    """The settings of a dataclass whose fields are declared with `param`, in their order.

    Raises:
        TypeError: a field lacks help or bounds, or has a type that no form shows. This is a mistake of the class's author.
    """
    hints = typing.get_type_hints(cls)
    found = []
    for field in dataclasses.fields(cls):
        declared = field.metadata.get("param")
        if declared is None:
            raise TypeError(f"{cls.name}.{field.name} must be declared with param(...).")
        kind = typing.get_origin(hints[field.name]) or hints[field.name]
        setting = Param(name=field.name, kind=kind, default=field.default, **declared)
        if kind not in (bool, int, float, str, tuple):
            raise TypeError(f"{cls.name}.{field.name}: a setting is bool, int, float, str or tuple[str, ...], not {kind}.")
        if not setting.help:
            raise TypeError(f"{cls.name}.{field.name} needs help.")
        if kind in (int, float) and (setting.low is None or setting.high is None):
            raise TypeError(f"{cls.name}.{field.name} needs low and high.")
        if kind is str and not setting.choices:
            raise TypeError(f"{cls.name}.{field.name} needs choices.")
        found.append(setting)
    return tuple(found)


def checked_value(technique_name: str, setting: Param, value: Any) -> Any:
    """Return `value` in the setting's type. Raises InputError in the standard words when it is not acceptable."""
    place = f"`{setting.name}` of {technique_name}"

    def refuse(rule: str) -> InputError:
        return InputError(
            f"{place} must be {rule}. Received: {printable(repr(value), 80)}",
            code="BAD_SETTING",
            fix=f"The default is {_shown(setting.default)}.",
        )

    if setting.kind is bool:
        if not isinstance(value, bool):
            raise refuse("true or false")
        return value
    if setting.kind is str:
        if value not in setting.choices:
            raise refuse("one of " + ", ".join(setting.choices))
        return value
    if setting.kind is tuple:
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            raise refuse("a list of layer names")
        return tuple(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refuse("a number")
    # The bounds come before any arithmetic: they also refuse NaN, infinity and integers that no float can hold.
    if setting.low is None or setting.high is None or not setting.low <= value <= setting.high:
        low, high = (f"{bound:g}" if setting.kind is int else repr(float(bound or 0)) for bound in (setting.low, setting.high))
        raise refuse(f"in [{low}, {high}]")
    if setting.kind is int and value != int(value):
        raise refuse("a whole number")
    return setting.kind(value)


def _shown(value: Any) -> str:
    """A setting's value as a recipe has it."""
    return json.dumps(list(value) if isinstance(value, tuple) else value)
