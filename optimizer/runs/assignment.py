"""One run in the hands of one worker: what was heard, how far it is, and how it ended."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from enum import Enum
from typing import Any

from optimizer.context import Event
from optimizer.errors import OptimizerError, RunError, error_from_json, printable
from optimizer.runs.artifacts import part, take_in
from optimizer.runs.claims import News, Outcome
from optimizer.runs.disk_use import over_folder_limit
from optimizer.runs.endings import ending
from optimizer.runs.fetching import Fetch
from optimizer.runs.messages import Message
from optimizer.runs.objects import Objects
from optimizer.runs.progress import ProgressEstimate
from optimizer.runs.run import Run, RunKind, RunState
from optimizer.runs.sandbox.limits import limits_from_environment
from optimizer.runs.worker_process import Ended, WorkerProcess
from optimizer.runs.workspace import OUT

MAX_EVENTS = 5000
MAX_ATTEMPTS = 3
"""How many workers may die with a run in their hands that they have not begun."""


class Killed(Enum):
    """Why the runner killed a worker itself."""

    CANCELLED = "cancelled"
    TIMED_OUT = "timed out"
    BAD_MESSAGE = "bad message"
    STOPPING = "stopping"


class Assignment:
    """Collects what a worker says about its run until it has ended.

    Args:
        run: The run, claimed.
        worker: A ready worker, which does nothing else.
        timeout_s: How long the run may take.
        attempt: The number of this worker among those that were given this run, from 1.
    """

    def __init__(self, run: Run, worker: WorkerProcess, timeout_s: float, *, attempt: int = 1) -> None:
        self.run = run
        self.worker = worker
        self.timeout_s = timeout_s
        self.attempt = attempt
        self.killed: Killed | None = None
        self.fetch: Fetch | None = None
        self._failure_before: OptimizerError | None = None
        self._deadline = time.monotonic() + timeout_s
        self._progress = ProgressEstimate()
        self._events: list[tuple[float, Event]] = []
        self._event_count = 0
        self._has_begun = False
        self._last: Message | None = None

    @property
    def is_overdue(self) -> bool:
        """Whether the run has taken longer than it may; a download does not count."""
        return self.fetch is None and time.monotonic() > self._deadline

    def restart_clock(self) -> None:
        """Count the run's time from now on."""
        self._deadline = time.monotonic() + self.timeout_s

    def kill(self, reason: Killed) -> None:
        """End the worker at once; the first reason counts."""
        if self.killed is None:
            self.killed = reason
        self._stop()

    def fail(self, error: OptimizerError) -> None:
        """End the run whatever its worker has to say."""
        self._failure_before = error
        self._stop()

    def watch_disk(self) -> None:
        """End a run that takes more of the disk than it may."""
        error = over_folder_limit(self.worker.folder, self.worker.pid, self._progress.stage)
        if error is not None and self.killed is None and self.worker.ended() is None:
            self.fail(error)

    def _stop(self) -> None:
        if self.fetch is not None:
            self.fetch.stop()
            self.fetch = None
        self.worker.kill()

    def hear(self, message: Message) -> None:
        """Take in one message."""
        self._has_begun = True
        if message.type in ("done", "error", "crash"):
            self._last = message
        elif message.event is not None:
            self._progress.hear(message.event)
            if message.event.kind != "progress":
                self._keep(message.event)

    def _keep(self, event: Event) -> None:
        """Progress is kept as the newest only; the rest is kept, but no worker can fill the disk with it."""
        self._event_count += 1
        if self._event_count == MAX_EVENTS:
            event = Event(kind="note", data={"text": f"The run said more than {MAX_EVENTS} things; the rest is left out."})
        if self._event_count <= MAX_EVENTS:
            self._events.append((time.time(), event))

    def news(self) -> News:
        """What was heard since the last call, and the progress now."""
        events, self._events = self._events, []
        return News(run_id=self.run.id, events=events, progress=self._progress.now())

    def keep_for_later(self, news: News) -> None:
        """Take back news that could not be written."""
        self._events = [*news.events, *self._events]

    @property
    def has_events(self) -> bool:
        """Whether there are events that are not written yet."""
        return bool(self._events)

    def outcome(self, objects: Objects, ended: Ended) -> Outcome:
        """How the run ended; on success its files are in the object store when this returns.

        A run that its worker never began is QUEUED again: whatever killed that worker, it was nothing in the run.
        """
        self._stop()  # There may be a download that nobody waits for any more.
        if self._is_for_another_worker:
            return Outcome(state=RunState.QUEUED, events=(_died_before_it_began(ended),))
        unwritten = tuple(event for _, event in self._events)
        if self.killed is None and self._failure_before is None and self._succeeded(ended):
            try:
                return _success(self.run, objects, self.worker, unwritten)
            except RunError as unusable:
                return Outcome(state=RunState.FAILED, error=unusable.to_json(), events=unwritten)
        state, error = self._failure(ended)
        return Outcome(state=state, error=error, events=unwritten)

    @property
    def _is_for_another_worker(self) -> bool:
        stopped = self.killed is not None or self._failure_before is not None
        return not (self._has_begun or stopped) and self.attempt < MAX_ATTEMPTS

    def _succeeded(self, ended: Ended) -> bool:
        return ended.status == 0 and self._last is not None and self._last.type == "done"

    def _failure(self, ended: Ended) -> tuple[RunState, Mapping[str, Any] | None]:
        if self._failure_before is not None:
            return RunState.FAILED, self._failure_before.to_json()
        if self.killed is Killed.CANCELLED:
            return RunState.CANCELLED, None
        if self.killed is Killed.TIMED_OUT:
            return RunState.TIMED_OUT, self._timed_out().to_json()
        if self.killed is Killed.STOPPING:
            return RunState.INTERRUPTED, _interrupted().to_json()
        if self._last is not None and self._last.type == "error" and self.killed is None:
            state = RunState.CANCELLED if self._last.data.get("code") == "CANCELLED" else RunState.FAILED
            return state, error_from_json(self._last.data).to_json()
        state, error = self._ending(ended)
        return state, error.to_json()

    def _timed_out(self) -> RunError:
        if self.run.kind in (RunKind.INSPECT_MODEL, RunKind.INSPECT_DATA):
            return RunError(
                "The file took too long to read",
                code="TIMED_OUT",
                place=self.run.name,
                limit=f"{self.timeout_s:g} s",
                fix="It is damaged, or too large for this machine.",
            )
        return RunError(
            "The run took too long and was stopped",
            code="TIMED_OUT",
            place=self._progress.stage,
            limit=f"{self.timeout_s:g} s",
            fix="Use fewer epochs or fewer samples, or raise LITESMITH_JOB_TIMEOUT_S.",
        )

    def _ending(self, ended: Ended) -> tuple[RunState, RunError]:
        place = self._progress.stage or "start"
        if self.killed is Killed.BAD_MESSAGE:
            what, received = "The run's process said something that a run never says, and was stopped", ""
        elif self._last is not None and self._last.type == "crash":
            what = "Something unexpected went wrong inside the run"
            received = f"error id {printable(self._last.data.get('error_id', '?'), 40)}"
        else:
            limits = limits_from_environment(os.environ)
            state, error = ending(ended, self.worker.log.recent_text, place=place, limits=limits)
            return state, error if self._has_begun else _never_begun(error, self.attempt)
        fix = "Run it again; if it happens again, the log says more."
        return RunState.CRASHED, RunError(what, code="CRASHED", place=place, received=received, fix=fix)


def _interrupted() -> RunError:
    return RunError("The runner was stopped before this run was done", code="INTERRUPTED", fix="Run it again.")


def _died_before_it_began(ended: Ended) -> Event:
    how = f"was killed by signal {ended.signal_name}" if ended.signal_name else f"ended with exit status {ended.status}"
    text = f"The process that was to do this run {how} before it began. The run waits for another process."
    return Event(kind="note", data={"text": text})


def _never_begun(error: RunError, attempts: int) -> RunError:
    """The same error, told of the last of several workers that ended with the run in their hands."""
    limit = f"{attempts} processes that end before they have begun the run"
    return RunError(error.what, code=error.code, place=error.place, limit=limit, fix=error.fix)


def _success(run: Run, objects: Objects, worker: WorkerProcess, unwritten: tuple[Event, ...]) -> Outcome:
    hashes, report = take_in(objects, worker.folder / OUT)
    if run.kind is RunKind.INSPECT_MODEL:
        changes, notes = _model_changes(run, report)
        return Outcome(state=RunState.SUCCEEDED, artifacts=hashes, project=changes, events=(*unwritten, *notes))
    if run.kind is RunKind.INSPECT_DATA:
        changes = {"data": part(report, "data"), "data_source": dict(run.inputs["data"])}
        return Outcome(state=RunState.SUCCEEDED, artifacts=hashes, project=changes, events=unwritten)
    comparison = report.get("comparison")
    return Outcome(
        state=RunState.SUCCEEDED,
        artifacts=hashes,
        metrics=part(report, "result"),
        comparison=comparison if isinstance(comparison, dict) else None,
        events=unwritten,
    )


def _model_changes(run: Run, report: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[Event, ...]]:
    """The model replaces the old one. Data that do not fit it any more leave the project, and a note says why."""
    # The file's hash and name are what was uploaded, whatever the worker says.
    model = {**part(report, "model"), **run.inputs["model"]}
    if run.inputs.get("role") == "second_model":
        return {"second_model": model}, ()
    changes: dict[str, Any] = {"model": model}
    if isinstance(report.get("data"), dict):
        changes["data"] = report["data"]
    elif isinstance(report.get("data_error"), dict):
        reason = error_from_json(report["data_error"]).line
        changes |= {"data": None, "data_source": None}
        return changes, (
            Event(kind="note", data={"text": f"The project's data do not fit this model and were set aside: {reason}"}),
        )
    return changes, ()
