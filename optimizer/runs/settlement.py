"""The end of a run: its outcome is committed, then what it leaves behind is put in order."""

from __future__ import annotations

import dataclasses
import logging
import shutil
import time
from pathlib import Path

from optimizer.errors import OptimizerError, RunError
from optimizer.runs.claims import Claims, Outcome
from optimizer.runs.recovery import keep_log
from optimizer.runs.requests import ensure_baseline, inputs_of_project
from optimizer.runs.retention import INSPECTIONS, discard_unused
from optimizer.runs.run import Run, RunState
from optimizer.runs.store import Store
from optimizer.runs.submission import stored_files

# Trouble that passes by itself: the runner goes on and tries again.
PASSING = frozenset({"BUSY", "DISK_FULL", "DATABASE_ERROR"})

_UNSTORABLE = RunError(
    "The run's process left a result that cannot be stored",
    code="BAD_RESULT",
    fix="Run it again; if it happens again, runner.log says more.",
)

logger = logging.getLogger(__name__)


class Settlement:
    """Outcomes on their way into the store. One that the database cannot take now (locked, disk full) waits for the next time."""

    def __init__(self, store: Store, claims: Claims) -> None:
        self._store = store
        self._claims = claims
        self._unwritten: list[tuple[Run, Outcome, Path | None]] = []

    @property
    def is_done(self) -> bool:
        """Whether nothing waits."""
        return not self._unwritten

    def add(self, run: Run, outcome: Outcome, folder: Path | None = None) -> None:
        """Commit an outcome, now or as soon as it is possible; then `folder`, in which the run worked, is removed."""
        self._unwritten.append((run, outcome, folder))
        self.write()

    def write(self) -> None:
        """Commit what waits."""
        while self._unwritten:
            run, outcome, folder = self._unwritten[0]
            try:
                self._commit(run, outcome)
            except RunError as error:
                if error.code not in PASSING:
                    raise
                logger.warning("run %s cannot be finished yet: %s", run.id, error.line)
                if error.code == "DISK_FULL":
                    _remove(folder)  # Its space may be just what is missing.
                return
            # What one worker has left must not end the runner, and with it everyone else's runs.
            except (ValueError, TypeError, RecursionError):
                logger.exception("run %s left an outcome that cannot be stored", run.id)
                self._unwritten[0] = (run, Outcome(state=RunState.FAILED, error=_UNSTORABLE.to_json()), folder)
                continue
            self._unwritten.pop(0)
            _remove(folder)
            logger.info("run %s: %s", run.id, outcome.state)

    def _commit(self, run: Run, outcome: Outcome) -> None:
        is_over = outcome.state is not RunState.QUEUED
        try:
            if is_over:
                artifacts = {**outcome.artifacts, **keep_log(self._store, run.id)}
                self._claims.finish(run.id, dataclasses.replace(outcome, artifacts=artifacts))
            else:
                self._claims.give_back(run.id, outcome.events)
        except RunError as error:
            if error.code != "RUN_FINISHED":
                raise
            logger.warning("%s", error.line)
        (self._store.files.logs / f"{run.id}.txt").unlink(missing_ok=True)
        if is_over and run.kind.value in INSPECTIONS:
            self._after_inspection(run, outcome)

    def _after_inspection(self, run: Run, outcome: Outcome) -> None:
        """A pair of model and data gets its baseline measured before anyone asks; the upload of a failed attempt is removed."""
        if outcome.state is not RunState.SUCCEEDED:
            # Only copies from before the submission: whoever has uploaded the same file since is about to use it.
            uploads = {sha256 for sha256, _ in stored_files(run.inputs)}
            discard_unused(self._store.database, self._store.objects, older_than_s=time.time() - run.created_at, among=uploads)
            return
        project = self._store.project(run.project_id)
        if project.model is None or project.data is None:
            return
        try:
            ensure_baseline(self._store, project.id, inputs_of_project(project), seed=0)
        except OptimizerError as error:
            if error.code in PASSING:
                raise
            logger.warning("no baseline for project %s: %s", project.id, error.line)


def _remove(folder: Path | None) -> None:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
