"""What a run hands to its techniques: seed, data, folder, and a way to say how far it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.errors import Cancelled
from optimizer.sources.dataset import PreparedData

if TYPE_CHECKING:
    from optimizer.model import Model


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that a run says while it works; it crosses processes as one line of JSON.

    `kind` is "stage" (data: index, count, name), "progress" (data: fraction of the current stage, seconds_left or null),
    "metrics" (data: epoch, epochs, loss, accuracy..., for live curves) or "note" (data: text).
    """

    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)


def _ignore(event: Event) -> None:
    del event


def _never() -> bool:
    return False


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """The surroundings of one run.

    Args:
        seed: Seeds every source of chance in the run.
        data: The person's data, matched to the original model.
        original: The model as it came; the teacher of a distillation.
        second_model: The person's second model (teacher or student), None where none was brought.
        work_folder: A folder of this run's own.
        report: Called with each Event.
        cancelled: Returns true once someone asked the run to stop.
        threads: Threads of the LiteRT interpreter in latency measurements.
        translation: How far the model is from the Keras 3 original it was translated from, for the report; None where it was not.
        second_translation: The same for `second_model`.
    """

    seed: int
    data: PreparedData
    original: Model
    work_folder: Path
    second_model: Model | None = None
    report: Callable[[Event], None] = _ignore
    cancelled: Callable[[], bool] = _never
    threads: int = 1
    translation: Mapping[str, Any] | None = None
    second_translation: Mapping[str, Any] | None = None

    def check_cancelled(self) -> None:
        """Raise Cancelled once someone asked the run to stop. Long loops call it every few hundred milliseconds."""
        if self.cancelled():
            raise Cancelled

    def note(self, text: str) -> None:
        """Say something that belongs in the report: a layer left as it was, a choice made."""
        self.report(Event(kind="note", data={"text": text}))
