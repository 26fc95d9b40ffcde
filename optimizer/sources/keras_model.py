"""Loading a model with tf-keras, after the preflight has passed it."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.errors import InputError
from optimizer.sources.summary import ModelSummary

if TYPE_CHECKING:
    import tf_keras


def load_keras_model(path: Path, summary: ModelSummary) -> tf_keras.Model:
    """Load the file that `summary` was read from; the result is not compiled.

    Call it only with the summary of a passed preflight: loading a Keras file otherwise means running what is in it.

    Raises:
        InputError: CHANGED where the file is not the one that was checked, LOAD_FAILED where tf-keras cannot rebuild it.
    """
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != summary.sha256:
            raise InputError(
                "The file has changed since it was checked", code="CHANGED", place=summary.name, fix="Check it again."
            )
    import tf_keras
    from tf_keras.src.saving.serialization_lib import SafeModeScope

    with tempfile.TemporaryDirectory() as folder:
        # tf-keras goes by the extension, and files in the object store have none.
        named = Path(folder) / f"model.{summary.format}"
        named.symlink_to(path.resolve())
        try:
            with SafeModeScope(True):
                model: Any = tf_keras.models.load_model(named, compile=False, safe_mode=True)
        # Rebuilding runs the constructors of all layers: any exception can come out, and each means the same to the person.
        except Exception as error:
            raise InputError(
                "tf-keras could not rebuild the model",
                code="LOAD_FAILED",
                place=summary.name,
                received=_first_line(error),
                fix="Load and save it once with the tf-keras version that made it, and bring the new file.",
            ) from error
    return model


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
