"""The process that owns the jobs of one LITESMITH_HOME: `python -m optimizer.runs.runner [--home DIR] [--slots N] [--spares N]`.

It takes runs from the queue, gives each to a warm worker, listens, kills on cancel and time-out, checks and stores results, and
outlives browser tabs and the web process. Everything happens in one thread, a tenth of a second at a time.
"""

from __future__ import annotations

import argparse
import logging
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from optimizer.errors import OptimizerError, RunError
from optimizer.runs.assignment import Assignment, Killed
from optimizer.runs.claims import Claims, Outcome
from optimizer.runs.dispatch import Capacity, Dispatch
from optimizer.runs.home import Home, default_home, touched_at
from optimizer.runs.launch import sign_lock, take_lock
from optimizer.runs.messages import BadMessageError, Message
from optimizer.runs.objects import disk_full_as_error
from optimizer.runs.processes import this_process
from optimizer.runs.recovery import recover
from optimizer.runs.retention import discard_unused
from optimizer.runs.run import Run, RunState
from optimizer.runs.scratch import sweep
from optimizer.runs.settlement import PASSING, Settlement
from optimizer.runs.store import Store
from optimizer.runs.worker_process import Ended

TICK_S = 0.1
FLUSH_S = 0.25
HEARTBEAT_S = 1.0
LOOK_S = 1.0
DISK_LOOK_S = 1.0
COLLECT_S = 3600.0
COMPLAINT_S = 30.0
IDLE_EXIT_S = 900.0

logger = logging.getLogger(__name__)


class Runner:
    """The loop. Make it in the main thread: workers die with the thread that started them.

    Args:
        home: LITESMITH_HOME.
        capacity: How much is done at a time.
        idle_exit_s: It ends when nothing was to do and no web process was there for so long.
    """

    def __init__(self, home: Path, capacity: Capacity, *, idle_exit_s: float = IDLE_EXIT_S) -> None:
        self._idle_exit_s = idle_exit_s
        self._store = Store(home, busy_timeout_s=1.0)
        self._files = self._store.files
        self._claims = Claims(self._store, this_process())
        self._settlement = Settlement(self._store, self._claims)
        self._dispatch = Dispatch(self._store, self._claims, self._settlement, capacity)
        self._stopping = False
        self._wake_seen = -1
        self._last: dict[str, float] = {}
        self._active_at = time.monotonic()
        self._started_at = time.time_ns()

    def run(self) -> None:
        """Work until told to stop (SIGTERM, SIGINT) or idle for long enough."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        try:
            sweep()
        except OSError as error:
            # What dead commands left behind costs room; it must not keep the runner from its work.
            logger.warning("the folders of killed commands could not be swept: %s", error)
        self._patiently(lambda: self._recovered(recover(self._store, self._claims)), retry=True)
        logger.info("runner %s is ready", os.getpid())
        while not (self._stopping or self._is_idle() or self._has_retired):
            self._listen()
            self._tick()
        self._shut_down()

    def _stop(self, number: int, frame: object) -> None:
        del number, frame
        self._stopping = True

    @property
    def _retires(self) -> bool:
        """Whether the code has changed since: a runner of the new code takes the runs that are not begun yet."""
        return touched_at(self._files.retire) > self._started_at

    @property
    def _has_retired(self) -> bool:
        return self._retires and not self._dispatch.busy and self._settlement.is_done

    def _recovered(self, runs: list[Run]) -> None:
        for run in runs:
            logger.warning("run %s was interrupted", run.id)

    def _patiently(self, action: Callable[[], object], *, retry: bool = False) -> bool:
        """Do something with the database; trouble that passes is logged and tried again later. Returns whether it was done."""
        while True:
            try:
                action()
                return True
            except RunError as error:
                if error.code not in PASSING:
                    raise
                self._complain(error)
            if not retry or self._stopping:
                return False
            time.sleep(HEARTBEAT_S)

    def _complain(self, error: RunError) -> None:
        """Log trouble that passes, but not ten times a second while the disk is full."""
        if self._is_due(f"complaint {error.code}", COMPLAINT_S):
            logger.warning("%s", error.line)

    def _listen(self) -> None:
        """Wait a tick, or until a worker says or prints something, and take it in."""
        with selectors.DefaultSelector() as selector:
            for worker in self._dispatch.workers:
                for descriptor in worker.open_ends:
                    selector.register(descriptor, selectors.EVENT_READ)
            selector.select(TICK_S)
        self._dispatch.listen()
        for assignment in self._dispatch.busy:
            assignment.worker.collect_log()
            self._hear(assignment, assignment.worker.messages)

    def _hear(self, assignment: Assignment, source: Callable[[], list[Message]]) -> None:
        try:
            for message in source():
                assignment.hear(message)
        except BadMessageError as error:
            logger.warning("run %s: %s", assignment.run.id, error)
            assignment.kill(Killed.BAD_MESSAGE)

    def _tick(self) -> None:
        look_at_disk = self._is_due("disk", DISK_LOOK_S)
        for assignment in list(self._dispatch.busy):
            self._dispatch.begin_if_fetched(assignment)
            if assignment.is_overdue:
                assignment.kill(Killed.TIMED_OUT)
            elif look_at_disk:
                assignment.watch_disk()
            ended = assignment.worker.ended()
            if ended is not None:
                self._settle(assignment, ended)
        if not self._settlement.is_done and self._is_due("settle", HEARTBEAT_S):
            self._settlement.write()
        if self._woken() or self._is_due("look", LOOK_S):
            self._last["look"] = time.monotonic()
            self._patiently(self._look)
        self._report()
        self._dispatch.keep_warm()
        if not self._dispatch.busy and self._is_due("collect", COLLECT_S):
            self._patiently(lambda: discard_unused(self._store.database, self._store.objects))

    def _is_due(self, what: str, every_s: float) -> bool:
        now = time.monotonic()
        if now - self._last.get(what, -every_s) < every_s:
            return False
        self._last[what] = now
        return True

    def _woken(self) -> bool:
        """Whether someone has touched the wake file, or a worker stands ready for a run that waits."""
        touched = touched_at(self._files.wake)
        changed = touched != self._wake_seen
        self._wake_seen = touched
        return changed or self._dispatch.can_begin

    def _look(self) -> None:
        """Look into the store: what is to be cancelled, what is to be begun."""
        cancelled = set(self._claims.cancelled()) if self._dispatch.busy else set()
        for assignment in self._dispatch.busy:
            if assignment.run.id in cancelled:
                assignment.kill(Killed.CANCELLED)
        if not self._retires:
            self._dispatch.begin()

    def _settle(self, assignment: Assignment, ended: Ended) -> None:
        """A worker has ended: store what it made, end its run.

        Its folder stays until that is committed: should this process be killed in between, the next runner finds in it which
        stored files nobody will ever speak of.
        """
        worker = assignment.worker
        self._hear(assignment, worker.drain)
        self._dispatch.busy.remove(assignment)
        worker.log.close()
        try:
            with disk_full_as_error():
                outcome = assignment.outcome(self._store.objects, ended)
        except RunError as error:
            outcome = Outcome(state=RunState.FAILED, error=error.to_json())
        worker.close()
        if outcome.state is RunState.QUEUED:
            self._dispatch.count_attempt(assignment)
        self._settlement.add(assignment.run, outcome, worker.folder)

    def _report(self) -> None:
        """Write events, progress and the heartbeat, a few times a second at most."""
        every_s = FLUSH_S if any(assignment.has_events for assignment in self._dispatch.busy) else HEARTBEAT_S
        if not self._is_due("report", every_s):
            return
        news = [assignment.news() for assignment in self._dispatch.busy]
        if not self._patiently(lambda: self._claims.report(news, spares_ready=self._dispatch.spares_ready)):
            for assignment, unwritten in zip(self._dispatch.busy, news, strict=True):
                assignment.keep_for_later(unwritten)

    def _is_idle(self) -> bool:
        """Whether nothing was to do, and nobody was there, for a long time."""
        now = time.monotonic()
        quiet = self._settlement.is_done and not self._dispatch.has_work
        if not quiet or web_age_s(self._files) < self._idle_exit_s:
            self._active_at = now
        return now - self._active_at > self._idle_exit_s

    def _shut_down(self) -> None:
        """End all workers; their runs are marked as interrupted."""
        why = "it was told to" if self._stopping else "the code has changed" if self._retires else "nothing is to do"
        logger.info("runner %s stops: %s", os.getpid(), why)
        for assignment in list(self._dispatch.busy):
            assignment.kill(Killed.STOPPING)
            ended = assignment.worker.ended()
            if ended is not None:
                self._settle(assignment, ended)
        self._dispatch.close()
        self._store.close()


def web_age_s(files: Home) -> float:
    """Seconds since a web process last said that someone uses it; infinite where none ever did."""
    touched = touched_at(files.web_alive)
    return float("inf") if touched < 0 else time.time() - touched / 1e9


def main() -> int:
    """Run one runner for one home. Exit status 0 also where another one runs already; 2 where the database cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m optimizer.runs.runner", description="Runs the jobs of one LITESMITH_HOME.")
    parser.add_argument("--home", type=Path, default=default_home(), help="where the state is (default: LITESMITH_HOME)")
    parser.add_argument("--slots", type=int, default=1, help="training jobs at a time")
    parser.add_argument("--inspection-slots", type=int, default=2, help="inspections at a time")
    parser.add_argument("--spares", type=int, default=1, help="warm training workers that wait for the next job")
    parser.add_argument(
        "--idle-exit-s", type=float, default=IDLE_EXIT_S, help="end after so many seconds without work or web process"
    )
    parser.add_argument("--lock-fd", type=int, default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    lock = take_lock(Home(arguments.home.absolute())) if arguments.lock_fd is None else arguments.lock_fd
    if lock is None:
        logger.info("another runner works for %s already", arguments.home)
        return 0
    sign_lock(lock)
    capacity = Capacity(
        slots=arguments.slots,
        inspection_slots=arguments.inspection_slots,
        spares=arguments.spares,
        timeout_s=float(os.environ.get("LITESMITH_JOB_TIMEOUT_S") or Capacity.timeout_s),
    )
    try:
        Runner(arguments.home, capacity, idle_exit_s=arguments.idle_exit_s).run()
    except OptimizerError as error:
        logger.error("%s", error.line)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
