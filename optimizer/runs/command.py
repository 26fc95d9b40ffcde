"""Work on strangers' files for the command line: in a confined worker of its own, time-limited while it reads."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optimizer.context import Event
from optimizer.errors import InputError, OptimizerError, RunError, error_from_json, printable
from optimizer.runs.artifacts import hand_over, read_report
from optimizer.runs.disk_use import over_folder_limit
from optimizer.runs.endings import ending
from optimizer.runs.home import Home, default_home
from optimizer.runs.messages import BadMessageError, Message
from optimizer.runs.objects import NO_SPACE
from optimizer.runs.run import RunState
from optimizer.runs.sandbox.limits import limits_from_environment, read_timeout_s
from optimizer.runs.sandbox.policy import is_sample, require_sandbox, uploads_are_trusted, warning_about
from optimizer.runs.scratch import kept_folder, scratch_folder
from optimizer.runs.worker import COMMAND
from optimizer.runs.worker_process import Ended, WorkerProcess
from optimizer.runs.workspace import JOB_FILE, OUT

_TICK_S = 0.1
_DISK_LOOK_S = 1.0


@dataclass(kw_only=True)
class Command:
    """One job of the command line.

    Args:
        record: What job.json says (see optimizer.runs.worker.perform), given the worker's folder.
        files: Strangers' files that the worker may read.
        report: Hears the job's events.
        warn: Hears one line where the person has accepted a sandbox that is not whole.
        trusted: Whether that is accepted (--trust-uploads).
        extra_s: What the job takes by design on top of reading.
    """

    record: Callable[[Path], Mapping[str, Any]]
    files: Sequence[Path]
    report: Callable[[Event], None]
    warn: Callable[[str], None]
    trusted: bool
    extra_s: float = 0.0
    _last: Message | None = field(default=None, init=False)
    _stage: str = field(default="", init=False)

    def perform(self, out: Path | None = None) -> dict[str, Any]:
        """Do the job; with `out`, what it makes is moved there.

        Returns:
            The content of report.json.

        Raises:
            InputError: a file is at fault, also where reading it crashed or did not come to an end; NO_SANDBOX.
            RunError: the work failed.
        """
        with scratch_folder() as folder:
            home = Home(folder, shared_cache=default_home() / "cache")
            home.prepare()
            worker = WorkerProcess(home, COMMAND, readable=[path.absolute() for path in self.files])
            try:
                worker.log.begin(home.root / "log.txt")
                stopped = self._attend(worker)
                if stopped is not None:
                    raise stopped
                self._judge(worker)
                results = worker.folder / OUT
                return read_report(results) if out is None else handed_over(results, out)
            finally:
                worker.close()
                worker.log.close()

    def _attend(self, worker: WorkerProcess) -> OptimizerError | None:
        """Listen until the worker ends. Returns the error where it was stopped: reading took too long, or it filled its folder."""
        disk_look = 0.0
        deadline = time.monotonic() + read_timeout_s(os.environ) + self.extra_s
        while worker.ended() is None:
            with selectors.DefaultSelector() as selector:
                for descriptor in worker.open_ends:
                    selector.register(descriptor, selectors.EVENT_READ)
                selector.select(_TICK_S)
            worker.collect_log()
            self._hear(worker, worker.messages)
            if not self._stage and self._last is None and time.monotonic() > deadline:
                worker.kill()
                return self._endless()
            if time.monotonic() >= disk_look:
                disk_look = time.monotonic() + _DISK_LOOK_S
                full = over_folder_limit(worker.folder, worker.pid, self._stage)
                if full is not None and worker.ended() is None:
                    worker.kill()
                    return full
        self._hear(worker, worker.drain)
        return None

    def _hear(self, worker: WorkerProcess, source: Callable[[], list[Message]]) -> None:
        try:
            messages = source()
        except BadMessageError as error:
            worker.kill()
            raise RunError(
                "The job's process said something that a job never says", code="CRASHED", received=str(error)
            ) from error
        for message in messages:
            if message.type == "ready":
                self._begin(worker, message)
            elif message.event is not None:
                if message.event.kind == "stage":
                    self._stage = str(message.event.data.get("name", ""))
                self.report(message.event)
            else:
                self._last = message

    def _begin(self, worker: WorkerProcess, ready: Message) -> None:
        worker.hear_ready(ready)
        if worker.missing_layers and not all(is_sample(path) for path in self.files):
            require_sandbox(worker.missing_layers, trusted=self.trusted or uploads_are_trusted())
            self.warn(warning_about(worker.missing_layers))
        for name in (OUT, "tmp"):
            (worker.folder / name).mkdir(mode=0o700)
        (worker.folder / JOB_FILE).write_text(json.dumps(self.record(worker.folder)), encoding="utf-8")
        worker.send_job(None)

    def _judge(self, worker: WorkerProcess) -> None:
        """Raise what went wrong; return where nothing did."""
        ended = worker.ended()
        if ended is None:
            raise RuntimeError("The worker has not ended.")
        if self._last is not None and self._last.type == "error":
            raise error_from_json(self._last.data)
        if self._last is not None and self._last.type == "done" and ended.status == 0:
            return
        if self._last is not None and self._last.type == "crash":
            raise _unexpected(self._last, worker)
        raise self._died(worker, ended)

    def _died(self, worker: WorkerProcess, ended: Ended) -> OptimizerError:
        if not worker.is_ready:
            return RunError(
                "The process that should do this work does not start",
                code="WORKER_START",
                received=worker.log.recent_text[-300:],
                fix="`python -m optimizer doctor` says what is missing.",
            )
        limits = limits_from_environment(os.environ)
        state, error = ending(ended, worker.log.recent_text, place=self._stage or self._names, limits=limits)
        if self._stage:
            return error
        what = "Reading the file crashed the reader" if state is RunState.CRASHED else error.what
        received = f"signal {ended.signal_name}" if ended.signal_name else f"exit status {ended.status}"
        fix = "The file is damaged or made to do harm; export it again from where it comes from."
        return InputError(what, code=error.code, place=self._names, received=received, limit=error.limit, fix=fix)

    def _endless(self) -> InputError:
        return InputError(
            "Reading the file did not come to an end",
            code="TIMED_OUT",
            place=self._names,
            limit=f"{read_timeout_s(os.environ):g} s (LITESMITH_READ_TIMEOUT_S)",
            fix="The file is damaged, or too large for this machine.",
        )

    @property
    def _names(self) -> str:
        return " or ".join(path.name for path in self.files)


def handed_over(results: Path, out: Path) -> dict[str, Any]:
    """Hand the results over; where `out` cannot take them, they are kept elsewhere, for they may be hours of work."""
    try:
        return hand_over(results, out)
    except OSError as error:
        kept = kept_folder() / OUT
        results.replace(kept)
        full = error.errno in NO_SPACE
        raise RunError(
            "The disk of the output folder is full" if full else "The output folder could not take the results",
            code="DISK_FULL" if full else "BAD_OUT",
            place=str(out),
            received=error.strerror or "",
            fix=f"Nothing is lost: the finished files are in {kept}. Move them to where there is room.",
        ) from error


def _unexpected(message: Message, worker: WorkerProcess) -> RunError:
    """A mistake of ours: its traceback is in the log, which is kept."""
    number = printable(message.data.get("error_id", "?"), 40)
    with tempfile.NamedTemporaryFile(prefix="litesmith-error-", suffix=".txt", delete=False) as kept:
        log = worker.log.close()
        if log is not None:
            with log.open("rb") as content:
                shutil.copyfileobj(content, kept)
    name = printable(message.data.get("type", "failure"), 60)
    return RunError(f"Unexpected {name}", code=f"INTERNAL {number}", fix=f"The details are in {kept.name}.")
