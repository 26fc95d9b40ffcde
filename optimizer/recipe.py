"""A recipe: what to do, in which order, with which seed; flat JSON that a person can read, keep and send."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optimizer.errors import InputError
from optimizer.size_estimate import SizeEstimate
from optimizer.sources.summary import ModelSummary
from optimizer.technique import Stage, Technique, technique_from_json

VERSION = 1
MAX_STEPS = 32
MAX_SEED = 2**31 - 1
MAX_JSON_CHARACTERS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Ordered steps and a seed. An order that makes no sense cannot be constructed.

    Raises:
        InputError: BAD_RECIPE or BAD_ORDER, with the reason.
    """

    steps: tuple[Technique, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or not 0 <= self.seed <= MAX_SEED:
            raise InputError(f"`seed` of the recipe must be in [0, {MAX_SEED}]. Received: {self.seed!r}", code="BAD_RECIPE")
        if len(self.steps) > MAX_STEPS:
            raise InputError(
                "The recipe has too many steps", code="BAD_RECIPE", limit=f"{MAX_STEPS}", received=f"{len(self.steps)}"
            )
        refusal = order_refusal(self.steps)
        if refusal:
            raise InputError(refusal, code="BAD_ORDER")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: `{"version": 1, "seed": 0, "steps": [...]}`."""
        return {"version": VERSION, "seed": self.seed, "steps": [step.to_json() for step in self.steps]}

    def in_words(self) -> str:
        """The steps in a few words, e.g. "prune 80 % → int8"."""
        return " → ".join(step.in_words() for step in self.steps) or "unchanged"

    def estimate(self, parameters: int) -> SizeEstimate:
        """Size of the result, guessed from the steps alone."""
        size = SizeEstimate(parameters=parameters)
        for step in self.steps:
            size = step.estimate(size)
        return size


def order_refusal(steps: Sequence[Technique]) -> str:
    """Why these steps cannot follow each other in this order; empty where they can."""
    stage = Stage.KERAS
    for number, step in enumerate(steps):
        if step.consumes is not stage:
            return (
                f"Step {number + 1} ({step.name}) works on a {_STAGE_WORDS[step.consumes]}, "
                f"but step {number} ({steps[number - 1].name}) leaves a {_STAGE_WORDS[stage]}; move {step.name} before it"
            )
        refusal = step.refusal_after(steps[:number])
        if refusal:
            return f"Step {number} ({step.name}): {refusal}"
        stage = step.produces
    return ""


def check_takes(recipe: Recipe, model: ModelSummary, *, first: int = 1) -> None:
    """Refuse a recipe with a step that cannot work on this model, before anything starts.

    Args:
        recipe: The steps.
        model: What the preflight said of the model.
        first: Number that the first step has for the person.

    Raises:
        InputError: NEEDS_KERAS_MODEL, or the code of the step's own refusal.
    """
    for number, step in enumerate(recipe.steps, start=first):
        refusal = step.refusal_of(model)
        if refusal is not None:
            what = f"Step {number} ({step.name}): {refusal.reason}"
            raise InputError(what, code=refusal.code, place=model.name, fix=refusal.fix)


_STAGE_WORDS = {Stage.KERAS: "Keras model", Stage.LITERT: "converted .tflite"}


def recipe_from_json(record: Any) -> Recipe:
    """Build a recipe from parsed JSON.

    Raises:
        InputError: BAD_RECIPE, BAD_ORDER, UNKNOWN_TECHNIQUE, UNKNOWN_SETTING or BAD_SETTING.
    """
    if not isinstance(record, Mapping):
        raise InputError("A recipe must be a JSON object", code="BAD_RECIPE", received=type(record).__name__)
    unknown = sorted(str(key) for key in set(record) - {"version", "seed", "steps", "name", "note"})
    if unknown:
        raise InputError(
            f"The recipe has a key that is not known: {unknown[0]}",
            code="BAD_RECIPE",
            expected="version, seed, steps, name, note",
        )
    version = record.get("version", VERSION)
    if isinstance(version, bool) or version != VERSION:
        raise InputError("This version of recipes is not known", code="BAD_RECIPE", expected=str(VERSION), received=repr(version))
    steps = record.get("steps", [])
    if not isinstance(steps, list):
        raise InputError("`steps` of the recipe must be a list", code="BAD_RECIPE", received=type(steps).__name__)
    return Recipe(steps=tuple(_step(number, step) for number, step in enumerate(steps, start=1)), seed=record.get("seed", 0))


def _step(number: int, record: Any) -> Technique:
    try:
        return technique_from_json(record)
    except InputError as error:
        raise error.within(f"step {number}") from error


def recipe_from_text(text: str) -> Recipe:
    """Build a recipe from the text of a JSON file. Raises InputError as `recipe_from_json` does, and BAD_JSON."""
    if len(text) > MAX_JSON_CHARACTERS:
        raise InputError(
            "The recipe is too long", code="BAD_RECIPE", limit=f"{MAX_JSON_CHARACTERS} characters", received=f"{len(text)}"
        )
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            "The recipe is not valid JSON", code="BAD_JSON", received=str(error), fix="Compare it with the example in the README."
        ) from error
    return recipe_from_json(record)
