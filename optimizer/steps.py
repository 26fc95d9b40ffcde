"""The middle of a run: the recipe's steps in order, and the conversion, each checked against every promise."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from optimizer.context import Event, RunContext
from optimizer.conversion import configure_trained, convert
from optimizer.errors import PromiseBroken
from optimizer.litert_file import LiteRTFile
from optimizer.model import Model
from optimizer.promises import PromiseResult
from optimizer.recipe import Recipe
from optimizer.report import StageRecord
from optimizer.technique import Stage, Technique

Report = Callable[[Event], None]


@dataclass(kw_only=True)
class _Narrator:
    """Listens to a step's events, keeps its notes and last metrics for the report, and passes everything on."""

    forward: Report
    notes: list[str] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)

    def __call__(self, event: Event) -> None:
        if event.kind == "note":
            self.notes.append(str(event.data["text"]))
        elif event.kind == "metrics":
            self.metrics = {k: v for k, v in event.data.items() if k not in ("epoch", "epochs")}
        self.forward(event)


class Stages:
    """Numbers the parts of a run for progress bars.

    Args:
        recipe: Its steps are counted.
        report: Takes one event a part.
        already_converted: The model was brought as .tflite.
    """

    def __init__(self, recipe: Recipe, report: Report, *, already_converted: bool = False) -> None:
        converts = already_converted or (bool(recipe.steps) and recipe.steps[-1].produces is Stage.LITERT)
        self._count = len(recipe.steps) + (3 if converts else 4)
        self._index = 0
        self._report = report

    def enter(self, name: str) -> None:
        """Say that the next part begins."""
        self._report(Event(kind="stage", data={"index": self._index, "count": self._count, "name": name}))
        self._index += 1


def run_steps(recipe: Recipe, model: Model, context: RunContext, stages: Stages) -> tuple[Model, list[StageRecord]]:
    """Apply a recipe, step by step, then convert; every promise is checked after each.

    Returns:
        The model as .tflite, and one record a step (and one of the conversion).

    Raises:
        PromiseBroken: a step undid what an earlier one had promised.
    """
    records = []
    for step in recipe.steps:
        stages.enter(step.in_words())
        narrator = _Narrator(forward=context.report)
        model, record = _run_step(step, model, dataclasses.replace(context, report=narrator), narrator)
        records.append(record)
    if model.stage is Stage.KERAS:
        stages.enter("Convert")
        narrator = _Narrator(forward=context.report)
        started = time.monotonic()
        model = model.changed(litert=final_conversion(model))
        results = checked(model, "conversion")
        records.append(_record("conversion", started, narrator, results))
    return model, records


def _run_step(step: Technique, model: Model, context: RunContext, narrator: _Narrator) -> tuple[Model, StageRecord]:
    import tensorflow as tf

    context.check_cancelled()
    # Every step starts from the same point of the random sequence, so that it gives the same result alone and after a cached prefix.
    tf.keras.utils.set_random_seed(context.seed)
    started = time.monotonic()
    model = step.apply(model, context)
    return model, _record(step.name, started, narrator, checked(model, step.name))


def _record(name: str, started: float, narrator: _Narrator, results: list[PromiseResult]) -> StageRecord:
    return StageRecord(
        technique=name, seconds=time.monotonic() - started, metrics=narrator.metrics, promises=results, notes=narrator.notes
    )


def final_conversion(model: Model) -> bytes:
    """A Keras model as .tflite bytes: float32, or int8 where the model was trained for it. Raises RunError CONVERSION_FAILED."""
    if not model.quantization_aware:
        return unchanged(model)
    return model.trial or convert(model.keras, lambda converter: configure_trained(converter, per_tensor=model.shares_values))


def unchanged(model: Model) -> bytes:
    """The model as .tflite, float32 unless it was brought as one."""
    return convert(model.convertible) if model.litert is None else model.litert


def checked(model: Model, stage: str) -> list[PromiseResult]:
    """Check every promise on what the stage left. Raises PromiseBroken for the first that does not hold."""
    if model.litert is None:
        results = [promise.check_keras(model.keras) for promise in model.promises]
    else:
        file = LiteRTFile(model.litert)
        results = [promise.check_litert(file, model.keras) for promise in model.promises]
    for result in results:
        if result.holds is False:
            raise PromiseBroken(
                f"{stage} broke what {result.technique} had promised",
                code="PROMISE_BROKEN",
                place=stage,
                expected=result.statement,
                received=result.detail,
                fix=_way_out(stage, result.technique),
            )
    return results


def _way_out(stage: str, promiser: str) -> str:
    """What a person can do about a broken promise."""
    if stage == "conversion":
        return f"Name the layer in skip_layers of {promiser}, or loosen {promiser}."
    scales = "; set granularity to auto or per_tensor" if stage == "post_training_quantization" else ""
    return f"Change the order of the steps, or leave out {stage}, or loosen {promiser}{scales}."
