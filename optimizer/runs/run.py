"""The records that the store keeps and the pages draw. All are frozen: only the store writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class RunState(StrEnum):
    """QUEUED -> RUNNING -> one of the final states; a final state never changes."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CRASHED = "crashed"
    TIMED_OUT = "timed out"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def is_final(self) -> bool:
        """Whether the run is over."""
        return self not in (RunState.QUEUED, RunState.RUNNING)


class RunKind(StrEnum):
    """What a worker is asked to do."""

    INSPECT_MODEL = "inspect model"
    INSPECT_DATA = "inspect data"
    BASELINE = "baseline"
    EXPERIMENT = "experiment"


UNNAMED = "new project"
"""A project's name until a model or data are accepted; then it gets that file's name."""
RUN_KINDS = (RunKind.BASELINE, RunKind.EXPERIMENT)
"""What pages list and count as runs. Looking into a model or data is a job too, but no run: it belongs to the bringing."""
FAILURE_WORDS = {"OUT_OF_MEMORY": "out of memory", "DISK_FULL": "disk full", "PROMISE_BROKEN": "promise broken"}
"""Failures that have a word of their own in listings, by the code of their error."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a running run is. `fraction` is of the whole run; `seconds_left` is None until it can be told."""

    stage: str = ""
    stage_index: int = 0
    stage_count: int = 0
    fraction: float = 0.0
    seconds_left: float | None = None


@dataclass(frozen=True, kw_only=True)
class Project:
    """One model and one data set, and the runs made of them.

    `model` is ModelSummary JSON, `data` is the JSON of `inspect_data` (task, classes, shapes, range, splits, preview),
    `second_model` is ModelSummary JSON of an optional teacher or student; each is None until brought. `data_source` is
    {"bundled": name} or {"sha256", "name", "label", "test": {"sha256", "name"}}. `budget` holds device, max_bytes, max_ms,
    max_accuracy_drop where set.

    Large JSON is shared between reads in one process: do not change it.
    """

    id: str
    name: str
    created_at: float
    model: Mapping[str, Any] | None = None
    data: Mapping[str, Any] | None = None
    data_source: Mapping[str, Any] | None = None
    second_model: Mapping[str, Any] | None = None
    budget: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run as stored.

    Times are seconds since 1970 (UTC). `inputs` says what it works on (hashes and names), `error` is OptimizerError JSON,
    `metrics` is the METRICS of report.json's "result", `comparison` its "comparison"; `artifacts` maps a name ("model.tflite",
    "report.json", "recipe.json", "model.keras", "log.txt") to a sha256 in the object store.
    """

    id: str
    project_id: str
    kind: RunKind
    state: RunState
    name: str
    note: str
    recipe: Mapping[str, Any] | None
    recipe_in_words: str
    seed: int
    parent_id: str | None
    inputs: Mapping[str, Any]
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    progress: Progress = Progress()
    cancel_requested: bool = False
    error: Mapping[str, Any] | None = None
    metrics: Mapping[str, Any] | None = None
    comparison: Mapping[str, Any] | None = None
    artifacts: Mapping[str, str] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        """What became of it in a word or two: the state's, or where it failed for a reason that has words of its own, those."""
        code = (self.error or {}).get("code", "") if self.state is RunState.FAILED else ""
        return FAILURE_WORDS.get(code, self.state.value)


@dataclass(frozen=True, kw_only=True)
class StoredEvent:
    """An Event of a run with its number (rising) and time (seconds since 1970)."""

    number: int
    time: float
    kind: str
    data: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A file in the object store."""

    sha256: str
    size_bytes: int
    name: str


@dataclass(frozen=True, kw_only=True)
class RunnerStatus:
    """What is known about the runner. `heartbeat_age_s` is None where no runner ever lived; `running` are ids of runs."""

    alive: bool
    pid: int | None = None
    heartbeat_age_s: float | None = None
    spares_ready: int = 0
    running: tuple[str, ...] = ()
