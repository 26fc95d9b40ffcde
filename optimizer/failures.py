"""What the command line says where something failed that nobody expected."""

from __future__ import annotations

import errno
import tempfile
import uuid
from pathlib import Path

from optimizer.errors import printable
from optimizer.lack_of_memory import names_lack_of_memory


def failure_in_words(error: Exception) -> str:
    """One line: a failure of the machine by its name, a mistake of ours with an id and the place of its traceback."""
    if names_lack_of_memory(error):
        fix = "Raise the limit (ulimit -v unlimited), or use a smaller model or fewer samples"
        return f"There is too little memory for this: {printable(error, 200)}. {fix} [OUT_OF_MEMORY]"
    if isinstance(error, OSError):
        if error.errno == errno.ENOSPC:
            place = printable(error.filename or "the output folder or the folder for temporary files")
            return f"The disk is full: {place}. Free some space, and run it again [DISK_FULL]"
        return f"{printable(error.filename or 'file system')}: {printable(error.strerror or error)} [OS_ERROR]"
    return _unexpected(error)


def _unexpected(error: Exception) -> str:
    """The traceback goes into a file that can be sent to us."""
    import traceback

    number = uuid.uuid4().hex[:8]
    path = Path(tempfile.gettempdir()) / f"litesmith-error-{number}.txt"
    path.write_text("".join(traceback.format_exception(error)))
    return f"Unexpected {type(error).__name__}: {printable(error)}. The details are in {path} [INTERNAL {number}]"
