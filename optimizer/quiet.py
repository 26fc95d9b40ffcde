"""Keep the C++ libraries' chatter off standard error, where progress goes."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator

KEPT_BYTES = 20_000


@contextlib.contextmanager
def quiet_standard_error() -> Iterator[None]:
    """Hold back what is written to file descriptor 2; the last 20,000 bytes of it appear after all where an exception passes."""
    with tempfile.TemporaryFile() as kept:
        saved = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(saved, 2)
            kept.seek(0)
            os.write(2, kept.read()[-KEPT_BYTES:])
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
