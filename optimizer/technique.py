"""The contract of a technique, and the registry that finds all of them.

A technique is one frozen dataclass: its fields are its settings, its JSON and its form. Adding one is one new module in a
sub-package of `optimizer.techniques` (or of a package named in LITESMITH_TECHNIQUE_PACKAGES) and its test; nothing else is edited.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import importlib
import json
import os
import pkgutil
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, dataclass_transform

from optimizer import titles
from optimizer.errors import InputError, printable
from optimizer.size_estimate import SizeEstimate
from optimizer.sources.summary import WHOLE_MODEL, Finding, ModelSummary, Verdict

if TYPE_CHECKING:
    from optimizer.context import RunContext
    from optimizer.environment import Host
    from optimizer.model import Model

PACKAGES_VARIABLE = "LITESMITH_TECHNIQUE_PACKAGES"
BUILT_IN_PACKAGE = "optimizer.techniques"


class Stage(StrEnum):
    """What a technique takes and gives: a Keras model in memory, or the bytes of a .tflite."""

    KERAS = "keras"
    LITERT = "litert"


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


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a step cannot work on a model, whatever its layers are, and what the person can do; `code` is for scripts."""

    code: str
    reason: str
    fix: str


class Technique:
    """Base of every technique. Subclass it, decorate the subclass with `@technique`, declare settings with `param`."""

    name: ClassVar[str] = ""
    family: ClassVar[str] = ""
    consumes: ClassVar[Stage] = Stage.KERAS
    produces: ClassVar[Stage] = Stage.KERAS

    def validate(self) -> None:
        """Refuse impossible combinations of settings. Raises InputError; bounds of single settings are checked already."""

    def refusal_after(self, earlier: Sequence[Technique]) -> str:
        """Why this step makes no sense after `earlier` (the steps before it, in order); empty where it does."""
        return ""

    def refusal_of(self, model: ModelSummary) -> Refusal | None:
        """Why this step cannot work on such a model at all; None where it can. Reads the summary only: no TensorFlow.

        A step that takes a Keras model trains it, or takes its layers apart: a SavedModel and a .tflite hold neither layers nor a way
        to train them. A technique that can do without says so by defining this anew.
        """
        if model.is_keras or (self.consumes is Stage.LITERT and model.format == "tflite"):
            return None
        kind = "SavedModel" if model.format == "saved_model" else ".tflite"
        fix = "Bring the Keras model (.keras or .h5) that the file was made from."
        return Refusal(code="NEEDS_KERAS_MODEL", reason=f"a {kind} cannot be trained further", fix=fix)

    def check(self, model: ModelSummary) -> list[Finding]:
        """Say for each layer what this technique would do with it. Reads the summary only: no TensorFlow.

        Called for models only that `refusal_of` does not refuse; the registry answers for the others, with one finding.
        """
        raise TypeError(f"{type(self).__name__} does not define check()")

    def cautions(self, model: ModelSummary, host: Host) -> list[str]:
        """Why the file will be no smaller or no faster than one may hope, a plain sentence each. Reads the summary only: no TensorFlow."""
        return []

    def apply(self, model: Model, context: RunContext) -> Model:
        """Do the work and return a new Model; the one handed in is left unchanged."""
        raise TypeError(f"{type(self).__name__} does not define apply()")

    def in_words(self) -> str:
        """The step in a few words for lists and charts, e.g. "prune 80 %"."""
        return titles.in_words(self.name)

    def estimate(self, size: SizeEstimate) -> SizeEstimate:
        """How this step would change the size, guessed without running it."""
        return size

    def to_json(self) -> dict[str, Any]:
        """`{"technique": name, setting: value, ...}` in plain JSON types."""
        values = {p.name: getattr(self, p.name) for p in params(type(self))}
        return {"technique": self.name, **{k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}}


T = TypeVar("T", bound=Technique)
Check = Callable[[Any, ModelSummary], list[Finding]]


def _refusing(check: Check) -> Check:
    """`check` that says "impossible" once where the technique refuses the whole model."""

    @functools.wraps(check)
    def checked(self: Technique, model: ModelSummary) -> list[Finding]:
        refusal = self.refusal_of(model)
        if refusal is None:
            return check(self, model)
        return [Finding(layer=WHOLE_MODEL, verdict=Verdict.IMPOSSIBLE, reason=refusal.reason, fix=refusal.fix)]

    return checked


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(param,))
def technique(name: str, *, family: str) -> Callable[[type[T]], type[T]]:
    """Make a frozen dataclass of the class, check what it declares, and put it in the registry.

    Raises:
        TypeError: a field lacks help or bounds, or the class lacks a docstring. This is a mistake of the technique's author.
    """

    def decorate(cls: type[T]) -> type[T]:
        if not (cls.__doc__ or "").strip():
            raise TypeError(f"Technique {name!r} needs a docstring: what it does, and its paper.")
        cls.name, cls.family = name, family
        setattr(cls, "__post_init__", _check_settings)
        setattr(cls, "check", _refusing(cls.check))
        made = dataclass(frozen=True, kw_only=True)(cls)
        params(made)
        _registered[name] = made
        return made

    return decorate


def params(cls: type[Technique]) -> tuple[Param, ...]:
    """The settings of a technique, in the order they were declared."""
    if cls not in _declared:
        _declared[cls] = _declared_params(cls)
    return _declared[cls]


def _declared_params(cls: type[Technique]) -> tuple[Param, ...]:
    hints = typing.get_type_hints(cls)
    found = []
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
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


def _check_settings(self: Technique) -> None:
    for setting in params(type(self)):
        value = checked_value(self.name, setting, getattr(self, setting.name))
        object.__setattr__(self, setting.name, value)
    self.validate()


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


_registered: dict[str, type[Technique]] = {}
_declared: dict[type[Technique], tuple[Param, ...]] = {}


def registry() -> Mapping[str, type[Technique]]:
    """Every technique by name: the built-in package first, then the packages that LITESMITH_TECHNIQUE_PACKAGES names.

    Sorted by family and name, so that menus and listings keep their order.
    """
    packages = [BUILT_IN_PACKAGE, *filter(None, os.environ.get(PACKAGES_VARIABLE, "").split(os.pathsep))]
    for package in packages:
        _import_all(package)
    visible = {
        n: c for n, c in _registered.items() if any(c.__module__.startswith(p + ".") or c.__module__ == p for p in packages)
    }
    return dict(sorted(visible.items(), key=lambda item: (item[1].family, item[0])))


@functools.cache
def _import_all(package_name: str) -> None:
    package = importlib.import_module(package_name)
    for module in pkgutil.walk_packages(getattr(package, "__path__", []), package_name + "."):
        importlib.import_module(module.name)


def technique_named(name: str) -> type[Technique]:
    """The technique of that name. Raises InputError that names the nearest ones."""
    known = registry()
    if name in known:
        return known[name]
    close = difflib.get_close_matches(str(name), known, n=1)
    raise InputError(
        f"There is no technique named {printable(repr(name), 80)}",
        code="UNKNOWN_TECHNIQUE",
        expected="one of " + ", ".join(known),
        fix=f"Did you mean {close[0]}?" if close else "",
    )


def technique_from_json(record: Any) -> Technique:
    """Build a step from `{"technique": name, setting: value, ...}`. Raises InputError for anything it does not know."""
    if not isinstance(record, Mapping) or not isinstance(record.get("technique"), str):
        raise InputError(
            "A step of a recipe must be an object with a technique's name",
            code="BAD_RECIPE",
            expected='{"technique": "magnitude_pruning", ...}',
            received=repr(record),
        )
    cls = technique_named(record["technique"])
    names = [p.name for p in params(cls)]
    settings = {key: value for key, value in record.items() if key != "technique"}
    for key in settings:
        if key not in names:
            close = difflib.get_close_matches(str(key), names, n=1)
            raise InputError(
                f"{cls.name} has no setting named {printable(repr(key), 80)}",
                code="UNKNOWN_SETTING",
                expected="one of " + ", ".join(names),
                fix=f"Did you mean {close[0]}?" if close else "",
            )
    return cls(**settings)


def describe(cls: type[Technique]) -> dict[str, Any]:
    """One technique as `python -m optimizer techniques --json` prints it."""
    return {
        "technique": cls.name,
        "family": cls.family,
        "consumes": cls.consumes.value,
        "produces": cls.produces.value,
        "description": " ".join((cls.__doc__ or "").split()),
        "settings": [p.to_json() for p in params(cls)],
    }


def layer_findings(model: ModelSummary, verdict_of: Callable[[Any], Finding]) -> Iterator[Finding]:
    """Apply `verdict_of` to every layer that holds weights; layers without weights have nothing to shrink."""
    return (verdict_of(layer) for layer in model.layers if layer.parameters)
