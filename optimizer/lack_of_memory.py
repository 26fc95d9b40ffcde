"""How a lack of memory shows: Python, libraries and the loader of shared objects each say it in their own words."""

from __future__ import annotations

import errno

# What libraries say that do not pass the error number on (HDF5, TensorFlow, libstdc++).
NO_MEMORY_WORDS = (
    "std::bad_alloc",
    "bad_alloc",
    "Cannot allocate memory",
    "Unable to allocate",
    "OOM when allocating",
    "Out of memory",
    "failed to map segment from shared object",
    "can't start new thread",
    "cannot allocate memory in static TLS block",
)


def names_lack_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, also in the words of a library that could not be loaded for it."""
    number = error.errno if isinstance(error, OSError) else None
    exhausted = isinstance(error, MemoryError) or number == errno.ENOMEM or type(error).__name__ == "ResourceExhaustedError"
    return exhausted or any(part in str(error) for part in NO_MEMORY_WORDS)
