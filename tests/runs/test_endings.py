"""What a worker's exit status and last words mean."""

from __future__ import annotations

import errno

import pytest

from optimizer.runs.endings import ending
from optimizer.runs.failures import known_failure
from optimizer.runs.run import RunState
from optimizer.runs.sandbox.limits import GIB, Limits, limits_from_environment, read_timeout_s
from optimizer.runs.worker_process import Ended

LIMITS = Limits(memory_bytes=3 * GIB)


@pytest.mark.parametrize(
    ("ended", "said", "state", "code", "words"),
    [
        (Ended(status=-11, signal_name="11 (SIGSEGV)"), "", RunState.CRASHED, "CRASHED", "11 (SIGSEGV)"),
        (
            Ended(status=-6, signal_name="6 (SIGABRT)"),
            "what(): std::bad_alloc",
            RunState.FAILED,
            "OUT_OF_MEMORY",
            "memory limit 3 GiB",
        ),
        (Ended(status=-6, signal_name="6 (SIGABRT)"), "assertion failed", RunState.CRASHED, "CRASHED", "SIGABRT"),
        (Ended(status=-9, signal_name="9 (SIGKILL)"), "", RunState.CRASHED, "CRASHED", "Memory may have run out"),
        (Ended(status=-24, signal_name="24 (SIGXCPU)"), "", RunState.TIMED_OUT, "TIMED_OUT", "processor time"),
        (Ended(status=-25, signal_name="25 (SIGXFSZ)"), "", RunState.FAILED, "DISK_FULL", "size limit"),
        (Ended(status=-31, signal_name="31 (SIGSYS)"), "", RunState.CRASHED, "CRASHED", "system call"),
        (Ended(status=3), "", RunState.CRASHED, "CRASHED", "exit status 3"),
    ],
)
def test_an_ending_is_told_in_words(ended: Ended, said: str, state: RunState, code: str, words: str) -> None:
    found, error = ending(ended, said, place="prune 50 %", limits=LIMITS)
    assert (found, error.code) == (state, code)
    assert words in error.line


class ResourceExhaustedError(Exception):
    """TensorFlow's, by name: it stands for no memory and for no space."""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError(), "OUT_OF_MEMORY"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "OUT_OF_MEMORY"),
        (ResourceExhaustedError("OOM when allocating tensor"), "OUT_OF_MEMORY"),
        (ResourceExhaustedError("/x/y; No space left on device"), "DISK_FULL"),
        (OSError(errno.EFBIG, "File too large"), "DISK_FULL"),
        (OSError("Unable to create file (errno = 27, error message = 'File too large')"), "DISK_FULL"),
        (PermissionError(errno.EACCES, "Permission denied", "/etc/passwd"), "SANDBOX"),
    ],
)
def test_failures_of_the_machine_are_known(error: Exception, code: str) -> None:
    found = known_failure(error)
    assert found is not None
    assert found.code == code


def test_a_cause_counts_and_a_mistake_of_ours_is_none() -> None:
    try:
        raise ValueError("could not save") from OSError(errno.ENOSPC, "No space left on device")
    except ValueError as error:
        found = known_failure(error)
    assert found is not None
    assert found.code == "DISK_FULL"
    assert known_failure(KeyError("x")) is None


def test_limits_come_from_the_environment_where_they_make_sense() -> None:
    assert limits_from_environment({"LITESMITH_MEMORY_LIMIT_GIB": "2.5"}).memory_bytes == int(2.5 * GIB)
    assert limits_from_environment({"LITESMITH_FILE_LIMIT_GIB": "1"}).file_bytes == GIB
    default = limits_from_environment({})
    for nonsense in ("", "0", "-1", "nan", "inf", "lots"):
        assert limits_from_environment({"LITESMITH_MEMORY_LIMIT_GIB": nonsense}) == default
    assert read_timeout_s({"LITESMITH_READ_TIMEOUT_S": "7"}) == 7
    assert read_timeout_s({}) == 180
