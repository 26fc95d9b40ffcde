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

EXTENSIONS = {".h5": "h5", ".hdf5": "h5", ".keras": "keras"}
LATER = "A later version of Litesmith will take them."
SAVE_AGAIN = (
    "Save the Keras model with tf-keras: set TF_USE_LEGACY_KERAS=1, then model.save('model.keras') or model.save('model.h5')."
)


def detect_format(path: Path, name: str) -> str:
    """Return "h5" or "keras".

    Args:
        path: The file.
        name: What the person calls it; its extension must agree with what the file is.

    Raises:
        InputError: NOT_FOUND, EMPTY, TOO_LARGE, NOT_A_MODEL, UNSUPPORTED_FORMAT, TYPE_MISMATCH.
    """
    if not path.is_file():
        raise InputError("There is no such file", code="NOT_FOUND", place=name)
    size = path.stat().st_size
    if size == 0:
        raise InputError(
            "The file is empty", code="EMPTY", place=name, fix="Save the model again, and check that the disk is not full."
        )
    if size > MAX_FILE_BYTES:
        limit = f"{MAX_FILE_BYTES // 1024**2:,} MB"
        raise InputError("The file is too large", code="TOO_LARGE", place=name, received=f"{size // 1024**2:,} MB", limit=limit)
    with path.open("rb") as file:
        head = file.read(16)
    found = _by_signature(path, head, name)
    extension = PurePath(name).suffix.lower()
    if EXTENSIONS.get(extension) != found:
        raise InputError(
            "The file's content is not what its name says",
            code="TYPE_MISMATCH",
            place=name,
            expected="a whole-model HDF5 file named .h5 or a Keras archive named .keras",
            received=f"{'an HDF5 file' if found == 'h5' else 'a zip archive'} named {extension or 'without extension'}",
            fix=f"Rename it to .{found} if you know that it is a Keras model.",
        )
    return found


def _by_signature(path: Path, head: bytes, name: str) -> str:
    if head.startswith(HDF5_SIGNATURE):
        return "h5"
    if head.startswith(ZIP_SIGNATURES):
        _refuse_other_archives(path, name)
        return "keras"
    if head[4:8] == TFLITE_MARK:
        raise _unsupported(name, "The file is a .tflite, which is already converted", SAVE_AGAIN)
    raise InputError(
        "The file is not a Keras model",
        code="NOT_A_MODEL",
        place=name,
        expected="an HDF5 file (.h5) or a Keras archive (.keras) written by model.save(...)",
        received=f"a file that starts with {head[:8]!r}",
    )


def _refuse_other_archives(path: Path, name: str) -> None:
    """Recognize zip archives that are other models. A broken archive is left to the reader of archives."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except ZIP_DAMAGE:
        return
    if any(PurePath(member).name in ("saved_model.pb", "saved_model.pbtxt") for member in names):
        raise _unsupported(name, "The file is a zipped SavedModel", SAVE_AGAIN)
    if any(PurePath(member).name == "data.pkl" for member in names):
        raise _unsupported(
            name, "The file is a PyTorch model", "Bring a Keras model: .keras or .h5 written by tf-keras.", later=False
        )


def _unsupported(name: str, what: str, fix: str, later: bool = True) -> InputError:
    return InputError(
        what,
        code="UNSUPPORTED_FORMAT",
        place=name,
        expected="a .keras or .h5 model written by tf-keras (Keras 2)",
        fix=f"{LATER} {fix}" if later else fix,
    )


def refuse_keras_3(version: str, name: str) -> None:
    """Raise InputError UNSUPPORTED_FORMAT where the version that wrote the file is Keras 3 or later."""
    major = version.split(".")[0]
    if major.isdigit() and int(major) >= 3:
        raise _unsupported(name, f"The model was written by Keras {version}", SAVE_AGAIN)
