"""Size of a file: as it is stored, and as an update would travel."""

from __future__ import annotations

import gzip


def size_bytes(content: bytes) -> int:
    """Bytes of the file."""
    return len(content)


def gzip_bytes(content: bytes) -> int:
    """Bytes after gzip -9: what an app store or an over-the-air update transfers. The device still needs `size_bytes`."""
    return len(gzip.compress(content, compresslevel=9, mtime=0))
