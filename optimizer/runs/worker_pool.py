"""The workers that wait for a job: how many are kept warm, and what happens when they do not start."""

from __future__ import annotations

import contextlib
import logging
import shutil
import time
from dataclasses import dataclass, field

from optimizer.runs.home import Home
from optimizer.runs.messages import BadMessageError
from optimizer.runs.worker_process import WorkerProcess

FAILURES_UNTIL_GIVING_UP = 3
MAX_PAUSE_S = 30.0

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class WorkerPool:
    """Waiting workers of one kind.

    Args:
        spares: How many are kept ready when nothing is asked for.
    """

    home: Home
    kind: str
    spares: int
    waiting: list[WorkerProcess] = field(default_factory=list)
    failures: int = 0
    why_not: str = ""
    _next_start: float = 0.0

    @property
    def ready(self) -> int:
        """How many could take a job now."""
        return sum(worker.is_ready for worker in self.waiting)

    @property
    def is_broken(self) -> bool:
        """Whether workers of this kind do not start; waiting for one would be in vain."""
        return self.failures >= FAILURES_UNTIL_GIVING_UP

    def keep(self, needed: int) -> None:
        """Start workers until there are enough for the spares, or for `needed` jobs where those are more."""
        while len(self.waiting) < max(self.spares, needed) and time.monotonic() >= self._next_start:
            try:
                self.waiting.append(WorkerProcess(self.home, self.kind))
            except OSError as error:  # No space, no memory, too many processes: these pass.
                self._count_failure(str(error))

    def listen(self) -> None:
        """Notice who has become ready, and who has ended before that."""
        for worker in list(self.waiting):
            worker.collect_log()
            try:
                ready = [message for message in worker.messages() if message.type == "ready"]
            except BadMessageError:
                ready = []
                worker.kill()
            if worker.ended() is not None:
                self._lose(worker)
            elif ready:
                worker.hear_ready(ready[0])
                self.failures = 0
                logger.info("%s worker %s is ready", self.kind, worker.pid)

    def _lose(self, worker: WorkerProcess) -> None:
        self.waiting.remove(worker)
        with contextlib.suppress(BadMessageError):
            worker.drain()
        self._count_failure(worker.log.early_text)
        discard(worker)

    def _count_failure(self, why_not: str) -> None:
        self.failures += 1
        self.why_not = why_not
        self._next_start = time.monotonic() + min(2.0**self.failures / 2, MAX_PAUSE_S)
        logger.warning("a %s worker did not start (%d times): %s", self.kind, self.failures, why_not[-2000:])

    def spend_failure(self) -> None:
        """A run was failed because of the failed starts. The next one is failed only after another: what ends workers may pass."""
        self.failures -= 1

    def first_ready(self) -> WorkerProcess | None:
        """A ready worker, which stays in the pool until it is removed; None where there is none."""
        for worker in self.waiting:
            if worker.is_ready and worker.ended() is None:
                return worker
        return None

    def remove(self, worker: WorkerProcess) -> None:
        """Let go of a worker that has a job now."""
        self.waiting.remove(worker)

    def close(self) -> None:
        """End all waiting workers."""
        while self.waiting:
            discard(self.waiting.pop())


def discard(worker: WorkerProcess) -> None:
    """End a worker and remove its folder."""
    worker.close()
    shutil.rmtree(worker.folder, ignore_errors=True)
