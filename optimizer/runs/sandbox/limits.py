"""What a confined process may use of the machine."""

from __future__ import annotations

import math
import os
import resource
from collections.abc import Mapping
from dataclasses import dataclass

from optimizer.errors import RunError

MEMORY_VARIABLE = "LITESMITH_MEMORY_LIMIT_GIB"
FILE_VARIABLE = "LITESMITH_FILE_LIMIT_GIB"
FOLDER_VARIABLE = "LITESMITH_FOLDER_LIMIT_GIB"
READ_TIMEOUT_VARIABLE = "LITESMITH_READ_TIMEOUT_S"
GIB = 1024**3
# Address space is promised, not used: TensorFlow's libraries, its threads' stacks and malloc's arenas take 2.9 GB of it while 0.7 GB are in memory.
TENSORFLOW_BYTES = 4 * GIB
MAX_DEFAULT_BUDGET_BYTES = 8 * GIB
DEFAULT_FILE_BYTES = 4 * GIB
DEFAULT_FOLDER_BYTES = 8 * GIB
OPEN_FILES = 256
DEFAULT_READ_TIMEOUT_S = 180.0
_CPU_SLACK_S = 10


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of one worker.

    Args:
        memory_bytes: What a job may use for models and data, beyond TENSORFLOW_BYTES.
        file_bytes: Size of one file that it writes.
    """

    memory_bytes: int
    file_bytes: int = DEFAULT_FILE_BYTES


def limits_from_environment(environment: Mapping[str, str]) -> Limits:
    """Limits that LITESMITH_MEMORY_LIMIT_GIB and LITESMITH_FILE_LIMIT_GIB set; half the machine's memory and 8 GiB at most by default."""
    half = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return Limits(
        memory_bytes=_gib(environment, MEMORY_VARIABLE) or min(half, MAX_DEFAULT_BUDGET_BYTES),
        file_bytes=_gib(environment, FILE_VARIABLE) or DEFAULT_FILE_BYTES,
    )


def folder_limit_bytes(environment: Mapping[str, str]) -> int:
    """What all files in a worker's folder may take together: LITESMITH_FOLDER_LIMIT_GIB, or 8 GiB. The runner watches it."""
    return _gib(environment, FOLDER_VARIABLE) or DEFAULT_FOLDER_BYTES


def read_timeout_s(environment: Mapping[str, str]) -> float:
    """How long a file may take to be read and understood: LITESMITH_READ_TIMEOUT_S, or 180 s."""
    return _positive(environment, READ_TIMEOUT_VARIABLE) or DEFAULT_READ_TIMEOUT_S


def _gib(environment: Mapping[str, str], name: str) -> int:
    return int(_positive(environment, name) * GIB)


def _positive(environment: Mapping[str, str], name: str) -> float:
    """The number, or 0 where nothing that makes sense is set."""
    try:
        value = float(environment.get(name) or 0)
    except ValueError:
        return 0.0
    return value if math.isfinite(value) and value > 0 else 0.0


def apply_limits(limits: Limits) -> None:
    """Limit the calling process for good. A core dump would hold the person's data, so there is none. Raises OSError, ValueError."""
    for kind, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_AS, TENSORFLOW_BYTES + limits.memory_bytes),
    ):
        _lower(kind, value, value)


def limit_cpu(wall_s: float) -> None:
    """Let the process compute no longer than all processors could within `wall_s`; then SIGXCPU ends it.

    The runner's clock comes first; this one also stops a process that nobody watches.
    """
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    seconds = math.ceil(used + wall_s * (os.cpu_count() or 1)) + _CPU_SLACK_S
    _lower(resource.RLIMIT_CPU, seconds, seconds + _CPU_SLACK_S)


def _lower(kind: int, soft: int, hard: int) -> None:
    """Set a limit, but never above one that holds already."""
    before = resource.getrlimit(kind)[1]
    if before != resource.RLIM_INFINITY:
        soft, hard = min(soft, before), min(hard, before)
    resource.setrlimit(kind, (soft, hard))


def require_address_space() -> None:
    """Say before any work that a limit set from outside (ulimit -v) is below what TensorFlow takes. Raises RunError OUT_OF_MEMORY."""
    allowed = resource.getrlimit(resource.RLIMIT_AS)[0]
    if allowed != resource.RLIM_INFINITY and allowed < TENSORFLOW_BYTES:
        raise RunError(
            "This shell lets a process have too little memory (address space) for TensorFlow",
            code="OUT_OF_MEMORY",
            expected=f"{gib_in_words(TENSORFLOW_BYTES)}, and what the model and the data take",
            received=gib_in_words(allowed),
            fix="Raise it with `ulimit -v unlimited`.",
        )


def memory_limit_in_words() -> str:
    """The calling process's memory limit, as an error states it; empty where it has none."""
    address_bytes = resource.getrlimit(resource.RLIMIT_AS)[0]
    return "" if address_bytes == resource.RLIM_INFINITY else memory_in_words(address_bytes - TENSORFLOW_BYTES)


def memory_in_words(memory_bytes: int) -> str:
    """What a job may use, as an error states it."""
    return gib_in_words(max(memory_bytes, 0))


def gib_in_words(count: int) -> str:
    """A number of bytes in GiB, as an error states it."""
    return f"{count / GIB:.3g} GiB"
