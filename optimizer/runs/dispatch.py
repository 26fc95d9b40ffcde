"""A queued run's way to a worker: claimed, laid out, handed over. Workers are kept warm for the next one."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass

from optimizer.errors import OptimizerError, RunError
from optimizer.runs.assignment import Assignment
from optimizer.runs.claims import Claims, Outcome
from optimizer.runs.fetching import fetch_for
from optimizer.runs.objects import disk_full_as_error
from optimizer.runs.processes import this_process
from optimizer.runs.run import RUN_KINDS, Run, RunKind, RunState
from optimizer.runs.sandbox.limits import read_timeout_s
from optimizer.runs.sandbox.policy import holds_upload, require_sandbox, uploads_are_trusted
from optimizer.runs.settlement import Settlement
from optimizer.runs.store import Store
from optimizer.runs.worker import INSPECTION, TRAINING
from optimizer.runs.worker_pool import WorkerPool
from optimizer.runs.worker_process import WorkerProcess
from optimizer.runs.workspace import Workspace

KINDS = {TRAINING: RUN_KINDS, INSPECTION: (RunKind.INSPECT_MODEL, RunKind.INSPECT_DATA)}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """How much is done at a time.

    Args:
        slots: Training jobs at a time.
        inspection_slots: Inspections at a time, beside the training jobs, so that an upload never waits for a training.
        spares: Warm training workers that wait for the next job.
        timeout_s: How long a job may take whose inputs do not say it ("timeout_s").
    """

    slots: int = 1
    inspection_slots: int = 2
    spares: int = 1
    timeout_s: float = 7200.0


class Dispatch:
    """The workers of a runner, and the runs that they work on (`busy`)."""

    def __init__(self, store: Store, claims: Claims, settlement: Settlement, capacity: Capacity) -> None:
        self.busy: list[Assignment] = []
        self._store = store
        self._claims = claims
        self._settlement = settlement
        self._timeout_s = capacity.timeout_s
        self._slots = {TRAINING: capacity.slots, INSPECTION: capacity.inspection_slots}
        spares = {TRAINING: min(capacity.spares, capacity.slots), INSPECTION: min(1, capacity.inspection_slots)}
        self._pools = {kind: WorkerPool(home=store.files, kind=kind, spares=spares[kind]) for kind in KINDS}
        self._queued = dict.fromkeys(KINDS, 0)

    @property
    def workers(self) -> list[WorkerProcess]:
        """Every living worker, at work or waiting."""
        return [*(each.worker for each in self.busy), *(each for pool in self._pools.values() for each in pool.waiting)]

    @property
    def spares_ready(self) -> int:
        """Training workers that could begin at once."""
        return self._pools[TRAINING].ready

    @property
    def has_work(self) -> bool:
        """Whether a run is being worked on, or could be."""
        return bool(self.busy) or any(self._queued.values())

    @property
    def can_begin(self) -> bool:
        """Whether a worker stands ready for a run that waits."""
        return any(self._queued[kind] and self._pools[kind].ready and self._free(kind) > 0 for kind in KINDS)

    def _free(self, kind: str) -> int:
        return self._slots[kind] - sum(assignment.worker.kind == kind for assignment in self.busy)

    def listen(self) -> None:
        """Notice which waiting workers have become ready, and which have ended."""
        for pool in self._pools.values():
            pool.listen()

    def keep_warm(self) -> None:
        """Start the workers that are missing."""
        for kind, pool in self._pools.items():
            pool.keep(min(self._queued[kind], self._free(kind)))

    def begin(self) -> None:
        """Begin as many runs as there are places and ready workers."""
        for kind in KINDS:
            while self._free(kind) > 0 and self._begin_next(kind):
                pass
            self._queued[kind] = self._claims.queued(KINDS[kind])

    def close(self) -> None:
        """End all waiting workers."""
        for pool in self._pools.values():
            pool.close()

    def _begin_next(self, kind: str) -> bool:
        """Give the next run to a ready worker. Returns whether there may be more to begin."""
        pool = self._pools[kind]
        worker = pool.first_ready()
        if worker is None:
            return pool.is_broken and self._fail_next(kind)
        run = self._claims.claim(KINDS[kind], worker.identity, str(worker.folder))
        if run is None:
            return False
        pool.remove(worker)
        assignment = Assignment(run, worker, self._time_limit_s(run))
        worker.log.begin(self._store.files.logs / f"{run.id}.txt")
        self.busy.append(assignment)
        try:
            if holds_upload(run.inputs):
                require_sandbox(worker.missing_layers, trusted=uploads_are_trusted())
            assignment.fetch = fetch_for(run.inputs, self._store.files.cache)
        except OptimizerError as error:
            assignment.fail(error)
        except OSError as error:
            assignment.fail(_no_workspace(error))
        else:
            if assignment.fetch is None:
                self._hand_over(assignment)
        return True

    def _hand_over(self, assignment: Assignment) -> None:
        """Lay out the worker's folder and tell it to begin."""
        run, worker = assignment.run, assignment.worker
        try:
            with disk_full_as_error():
                Workspace(store=self._store, folder=worker.folder).lay_out(run)
        except OptimizerError as error:
            assignment.fail(error)
        except OSError as error:
            assignment.fail(_no_workspace(error))
        else:
            worker.send_job(assignment.timeout_s)
            logger.info("run %s: %s began in process %s", run.id, run.kind, worker.pid)

    def begin_if_fetched(self, assignment: Assignment) -> None:
        """Begin a run whose data have been downloaded since."""
        if assignment.fetch is None or not assignment.fetch.is_done:
            return
        failure, assignment.fetch = assignment.fetch.failure(), None
        if failure is not None:
            assignment.fail(failure)
        elif assignment.killed is None:
            assignment.restart_clock()
            self._hand_over(assignment)

    def _time_limit_s(self, run: Run) -> float:
        """How long a run may take; a file that is never read to its end must not hold its place for hours."""
        limit_s = float(run.inputs.get("timeout_s") or self._timeout_s)
        return min(limit_s, read_timeout_s(os.environ)) if run.kind in KINDS[INSPECTION] else limit_s

    def _fail_next(self, kind: str) -> bool:
        """Workers of this kind do not start: say so on the run, instead of letting it wait for ever."""
        run = self._claims.claim(KINDS[kind], this_process(), "")
        if run is None:
            return False
        error = RunError(
            "The process that should do this work does not start",
            code="WORKER_START",
            received=self._pools[kind].why_not[-300:],
            fix="Look into runner.log; `python -m optimizer doctor` says what is missing.",
        )
        self._settlement.add(run, Outcome(state=RunState.FAILED, error=error.to_json()))
        self._pools[kind].spend_failure()
        return True


def _no_workspace(error: OSError) -> RunError:
    return RunError("The run's folder could not be prepared", code="NO_WORKSPACE", received=str(error))
