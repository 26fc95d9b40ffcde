"""Loading a zipped SavedModel with TensorFlow, after the preflight has passed it."""

from __future__ import annotations

import errno
import hashlib
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

from optimizer.conversion import LoadedSavedModel
from optimizer.errors import InputError
from optimizer.sources.damage import ZIP_DAMAGE
from optimizer.sources.preflight.saved_model import model_members
from optimizer.sources.summary import ModelSummary

SIGNATURE = "serving_default"
CHUNK_BYTES = 1024**2
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def load_saved_model(
    path: Path, summary: ModelSummary, *, folder: Path, input_shapes: Sequence[tuple[int, ...]]
) -> LoadedSavedModel:
    """Unpack the file that `summary` was read from into `folder` and load it.

    Call it only with the summary of a passed preflight, and where nothing else can be reached: loading runs the model's initializers.

    Args:
        path: The zip archive.
        summary: What the preflight said of it.
        folder: A folder of the caller's own; the model's files stay there as long as it is used.
        input_shapes: Shape of one sample without the batch axis, for each input in the summary's order.

    Raises:
        InputError: CHANGED where the file is not the one that was checked, LOAD_FAILED where TensorFlow cannot load it.
    """
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != summary.sha256:
            raise InputError(
                "The file has changed since it was checked", code="CHANGED", place=summary.name, fix="Check it again."
            )
    unpack(path, summary.name, folder)
    import tensorflow as tf

    try:
        trackable = tf.saved_model.load(str(folder))
        function = trackable.signatures[SIGNATURE]
    # Loading restores variables and rebuilds functions of any origin: any exception can come out, and each means the same to the person.
    except Exception as error:
        raise InputError(
            "TensorFlow could not load the SavedModel",
            code="LOAD_FAILED",
            place=summary.name,
            received=f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}",
            fix="Save the model again with tf.saved_model.save(...) or model.export(...), and zip the whole folder.",
        ) from error
    taken = function.structured_input_signature[1]
    shapes = {}
    for name, shape, stated in zip(summary.input_names, input_shapes, summary.input_shapes, strict=True):
        batch = (stated[0] or 1,) if len(taken[name].shape) > len(shape) else ()
        shapes[name] = (*batch, *shape)
    return LoadedSavedModel(trackable=trackable, function=function, input_shapes=shapes, output_names=summary.output_names)


def unpack(path: Path, place: str, folder: Path) -> None:
    """Write the files of a checked SavedModel into `folder`, under the names that a SavedModel has and no others.

    Raises:
        InputError: BAD_ZIP where a member holds more or less than it promises.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for name, member in model_members(archive, place).items():
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, target.open("wb") as copy:
                    shutil.copyfileobj(source, copy, CHUNK_BYTES)
    except ZIP_DAMAGE as error:
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise
        raise InputError("The zip archive is damaged", code="BAD_ZIP", place=place, received=str(error)) from error
