"""What a file is, by its first bytes and never by its name alone."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePath

from optimizer.errors import InputError
from optimizer.sources.damage import ZIP_DAMAGE
from optimizer.sources.limits import MAX_FILE_BYTES

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")
TFLITE_MARK = b"TFL3"

EXTENSIONS = {".h5": "h5", ".hdf5": "h5", ".keras": "keras", ".zip": "saved_model", ".tflite": "tflite"}
KINDS = {"h5": "an HDF5 file", "keras": "a zip archive", "saved_model": "a zipped SavedModel", "tflite": "a .tflite"}
NAMES = {"h5": ".h5", "keras": ".keras", "saved_model": ".zip", "tflite": ".tflite"}
KERAS_MEMBERS = frozenset(("config.json", "metadata.json", "model.weights.h5"))
EXPECTED = "a Keras model (.keras or .h5, written by model.save(...)), a zipped SavedModel (.zip) or a .tflite"


def detect_format(path: Path, name: str) -> str:
    """Return "h5", "keras", "saved_model" or "tflite".

    Args:
        path: The file.
        name: What the person calls it; its extension must agree with what the file is.

    Raises:
        InputError: NOT_FOUND, EMPTY, TOO_LARGE, NOT_A_MODEL, UNSUPPORTED_FORMAT, TYPE_MISMATCH.
    """
    if not path.is_file():
        if path.is_dir():
            raise InputError(
                "This is a folder", code="NOT_FOUND", place=name, fix="Zip a SavedModel's folder, and bring the .zip."
            )
        raise InputError("There is no such file", code="NOT_FOUND", place=name)
    size = path.stat().st_size
    if size == 0:
        raise InputError(
            "The file is empty", code="EMPTY", place=name, fix="Save the model again, and check that the disk is not full."
        )
    if size > MAX_FILE_BYTES:
        limit = f"{MAX_FILE_BYTES // 1024**2:,} MB"
        raise InputError("The file is too large", code="TOO_LARGE", place=name, received=f"{size // 1024**2:,} MB", limit=limit)
    extension = PurePath(name).suffix.lower()
    found = _by_signature(path, name, extension)
    if EXTENSIONS.get(extension) != found:
        raise InputError(
            "The file's content is not what its name says",
            code="TYPE_MISMATCH",
            place=name,
            expected=EXPECTED,
            received=f"{KINDS[found]} named {extension or 'without extension'}",
            fix=f"Rename it to {NAMES[found]} if you know that it is such a model.",
        )
    return found


def _by_signature(path: Path, name: str, extension: str) -> str:
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith(HDF5_SIGNATURE):
        return "h5"
    if head.startswith(ZIP_SIGNATURES):
        return _kind_of_archive(path, name, extension)
    if head[4:8] == TFLITE_MARK or (extension == ".tflite" and not _is_text(head)):
        return "tflite"
    raise InputError(
        "The file is not a Keras model",
        code="NOT_A_MODEL",
        place=name,
        expected=EXPECTED,
        received="text" if _is_text(head) else f"a file that starts with the bytes {head[:8].hex(' ')}",
        fix="Bring what model.save('model.keras') writes, or a .tflite.",
    )


def _is_text(head: bytes) -> bool:
    return all(byte >= 32 or byte in b"\t\n\r" for byte in head) and head.isascii()


def _kind_of_archive(path: Path, name: str, extension: str) -> str:
    """Tell archives apart by their members; a broken one is what its name says, and left to the reader of it."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [PurePath(member).name for member in archive.namelist()]
    except ZIP_DAMAGE:
        names = []
    if any(member.startswith("saved_model.") for member in names):
        return "saved_model"
    if "data.pkl" in names:
        raise InputError("The file is a PyTorch model", code="UNSUPPORTED_FORMAT", place=name, expected=EXPECTED)
    return "saved_model" if extension == ".zip" and not KERAS_MEMBERS & set(names) else "keras"


def is_keras_3(version: str) -> bool:
    """Whether the version that wrote a file is Keras 3 or later."""
    major = version.split(".")[0]
    return major.isdigit() and int(major) >= 3
