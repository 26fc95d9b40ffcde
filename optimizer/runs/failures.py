"""Failures of the machine, not of the code: no memory, a full disk, something that the sandbox does not allow."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.errors import RunError
from optimizer.lack_of_memory import names_lack_of_memory
from optimizer.runs.objects import NO_SPACE, disk_full_error
from optimizer.runs.sandbox.limits import memory_limit_in_words

NO_SPACE_WORDS = ("No space left on device", "File too large", "Disk quota exceeded")
_CHAIN = 5


def known_failure(error: BaseException) -> RunError | None:
    """The typed error behind an exception that nobody expected; None where it is none of these."""
    for cause in _chain(error):
        found = _known(cause)
        if found is not None:
            return found
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    for _ in range(_CHAIN):
        if current is None:
            return
        yield current
        current = current.__cause__ or current.__context__


def _known(error: BaseException) -> RunError | None:
    number = error.errno if isinstance(error, OSError) else None
    words = str(error)
    if number in NO_SPACE or any(part in words for part in NO_SPACE_WORDS):
        return disk_full_error(getattr(error, "strerror", None) or words)
    if names_lack_of_memory(error):
        return out_of_memory(memory_limit_in_words())
    if isinstance(error, PermissionError):
        return blocked(error)
    return None


def out_of_memory(limit: str) -> RunError:
    """The error for a job that passed its memory limit, which `limit` says in words."""
    return RunError(
        "The run needed more memory than it may use",
        code="OUT_OF_MEMORY",
        limit=f"memory limit {limit}" if limit else "",
        fix="Use a smaller batch size, a smaller model or fewer samples, or raise LITESMITH_MEMORY_LIMIT_GIB.",
    )


def blocked(error: PermissionError) -> RunError:
    """The error for something that the sandbox does not allow; it names the function that tried."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        code = trace.tb_frame.f_code
        place = f"{trace.tb_frame.f_globals.get('__name__', '?')}.{code.co_qualname}"
        trace = trace.tb_next
    wanted = f" ({error.filename})" if error.filename else ""
    return RunError(
        "The run tried something that its sandbox does not allow",
        code="SANDBOX",
        place=place,
        received=f"{error.strerror or error}{wanted}",
        fix="A run may read Python's files and its own inputs, and write to its own folder; no network, no other programs.",
    )
