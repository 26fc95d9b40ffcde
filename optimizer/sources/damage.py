"""What a damaged zip archive makes Python's zipfile raise."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib

ZIP_DAMAGE: tuple[type[Exception], ...] = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)
"""Catch InputError before these: it is a ValueError."""
