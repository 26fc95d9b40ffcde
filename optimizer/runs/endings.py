"""Why a worker's process ended by itself, as far as its exit status and its last words tell."""

from __future__ import annotations

import signal

from optimizer.errors import RunError
from optimizer.lack_of_memory import NO_MEMORY_WORDS
from optimizer.runs.failures import out_of_memory
from optimizer.runs.objects import disk_full_error
from optimizer.runs.run import RunState
from optimizer.runs.sandbox.limits import Limits, memory_in_words
from optimizer.runs.worker_process import Ended

_DIES_OF_NO_MEMORY = (signal.SIGABRT, signal.SIGSEGV, signal.SIGTRAP, signal.SIGILL, signal.SIGBUS)


def ending(ended: Ended, last_words: str, *, place: str, limits: Limits) -> tuple[RunState, RunError]:
    """The state and the error of a run whose process ended without saying how it went.

    Args:
        ended: Its exit status.
        last_words: The end of its log.
        place: The stage that it was in.
        limits: What it was allowed.
    """
    number = -ended.status
    if number == signal.SIGXCPU:
        fix = "Use fewer epochs or fewer samples, or raise LITESMITH_JOB_TIMEOUT_S."
        return RunState.TIMED_OUT, RunError(
            "The run used more processor time than it may", code="TIMED_OUT", place=place, fix=fix
        )
    if number == signal.SIGXFSZ:
        return RunState.FAILED, disk_full_error("a file over the size limit")
    if number == signal.SIGSYS:
        return RunState.CRASHED, _crash(
            f"The run's process was killed by signal {ended.signal_name}: it made a system call that its sandbox never allows",
            place,
            "Do not use this file unless you trust where it comes from; the log says what was running.",
        )
    # C++ code that gets no memory ends in abort() or in a null pointer; what it says before is all there is to tell it by.
    if number in _DIES_OF_NO_MEMORY and any(words in last_words for words in NO_MEMORY_WORDS):
        return RunState.FAILED, out_of_memory(memory_in_words(limits.memory_bytes))
    if ended.signal_name:
        advice = "Memory may have run out. " if number == signal.SIGKILL else ""
        what = f"The run's process was killed by signal {ended.signal_name}"
        return RunState.CRASHED, _crash(what, place, f"{advice}Run it again; if it happens again, the log says more.")
    what = f"The run's process ended without a result (exit status {ended.status})"
    return RunState.CRASHED, _crash(what, place, "Run it again; if it happens again, the log says more.")


def _crash(what: str, place: str, fix: str) -> RunError:
    return RunError(what, code="CRASHED", place=place, fix=fix)
