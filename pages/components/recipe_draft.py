"""The recipe that a person is putting together: it may be wrong for a moment, and says so; a Recipe never is."""

from __future__ import annotations

import dataclasses
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from optimizer.errors import InputError, OptimizerError
from optimizer.recipe import Recipe, check_takes, order_refusal
from optimizer.sources.summary import ModelSummary
from optimizer.technique import Technique, params, registry, technique_from_json


@dataclass(frozen=True, kw_only=True)
class DraftStep:
    """One step: `uid` stays with it while it is moved, so that its widgets keep their state."""

    uid: str
    technique: str
    settings: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The step as a recipe holds it."""
        return {"technique": self.technique, **self.settings}


@dataclass(frozen=True, kw_only=True)
class Draft:
    """Steps in order, seed, and the run to start from (None: the original model)."""

    steps: tuple[DraftStep, ...] = ()
    seed: int = 0
    parent_id: str | None = None

    def added(self, technique_name: str) -> Draft:
        """With a step of default settings at the end."""
        step = _new_step(technique_name, default_settings(registry()[technique_name]))
        return dataclasses.replace(self, steps=(*self.steps, step))

    def removed(self, uid: str) -> Draft:
        """Without a step."""
        return dataclasses.replace(self, steps=tuple(step for step in self.steps if step.uid != uid))

    def moved(self, uid: str, by: int) -> Draft:
        """With a step moved towards the end (`by` = 1) or the beginning (-1); at an end it stays."""
        steps = list(self.steps)
        index = next(number for number, step in enumerate(steps) if step.uid == uid)
        target = index + by
        if not 0 <= target < len(steps):
            return self
        steps[index], steps[target] = steps[target], steps[index]
        return dataclasses.replace(self, steps=tuple(steps))

    def changed(self, uid: str, settings: Mapping[str, Any]) -> Draft:
        """With other settings of one step."""
        replaced = (dataclasses.replace(step, settings=dict(settings)) if step.uid == uid else step for step in self.steps)
        return dataclasses.replace(self, steps=tuple(replaced))

    def with_recipe(self, recipe: Recipe) -> Draft:
        """With the steps and seed of a recipe; every step gets a new uid, so that its widgets start from these settings."""
        steps = tuple(_new_step(step.name, _settings_of(step)) for step in recipe.steps)
        return dataclasses.replace(self, steps=steps, seed=recipe.seed)

    def to_text(self) -> str:
        """The recipe's JSON, indented, also while it is wrong."""
        steps = [step.to_json() for step in self.steps]
        return json.dumps({"version": 1, "seed": self.seed, "steps": steps}, indent=2, ensure_ascii=False)


@dataclass(frozen=True, kw_only=True)
class CheckedDraft:
    """What is right and wrong with a draft.

    `recipe` is None while anything is wrong; `step_errors` are by uid; `order_error` is the reason why the order makes no sense;
    `techniques` are the steps that are right in themselves, by uid.
    """

    recipe: Recipe | None = None
    order_error: str = ""
    step_errors: Mapping[str, OptimizerError] = field(default_factory=dict)
    techniques: Mapping[str, Technique] = field(default_factory=dict)


def checked(draft: Draft, model: ModelSummary | None = None) -> CheckedDraft:
    """Build the recipe of a draft, or say what is wrong with it, with the model too where one is given."""
    techniques: dict[str, Technique] = {}
    errors: dict[str, OptimizerError] = {}
    for number, step in enumerate(draft.steps, start=1):
        try:
            techniques[step.uid] = _fitting(step.to_json(), model, number)
        except InputError as error:
            errors[step.uid] = error
    refusal = "" if errors else order_refusal(list(techniques.values()))
    if errors or refusal:
        return CheckedDraft(order_error=refusal, step_errors=errors, techniques=techniques)
    return CheckedDraft(recipe=Recipe(steps=tuple(techniques.values()), seed=draft.seed), techniques=techniques)


def _fitting(record: Mapping[str, Any], model: ModelSummary | None, number: int = 1) -> Technique:
    """The step of a record. Raises InputError, also where it cannot work on the model."""
    step = technique_from_json(record)
    if model is not None:
        check_takes(Recipe(steps=(step,)), model, first=number)
    return step


def repairs(step: DraftStep, model: ModelSummary | None = None) -> list[tuple[str, Any]]:
    """Single choices that would make a refused step right, as (setting, value); few, the first choice of each setting only."""
    found: list[tuple[str, Any]] = []
    for setting in params(registry()[step.technique]):
        if setting.kind not in (str, bool):
            continue
        choices = setting.choices if setting.kind is str else (False, True)
        for choice in choices:
            if choice != step.settings.get(setting.name) and _is_right(step, {setting.name: choice}, model):
                found.append((setting.name, choice))
                break
    return found


def _is_right(step: DraftStep, change: Mapping[str, Any], model: ModelSummary | None) -> bool:
    try:
        _fitting({**step.to_json(), **change}, model)
    except InputError:
        return False
    return True


def _new_step(technique_name: str, settings: Mapping[str, Any]) -> DraftStep:
    return DraftStep(uid=secrets.token_hex(4), technique=technique_name, settings=settings)


def default_settings(cls: type[Technique]) -> dict[str, Any]:
    """A technique's settings as its form starts with them."""
    return {setting.name: setting.default for setting in params(cls)}


def _settings_of(step: Technique) -> dict[str, Any]:
    return {setting.name: getattr(step, setting.name) for setting in params(type(step))}
