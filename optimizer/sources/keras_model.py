"""Loading a model with tf-keras, after the preflight has passed it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py

from optimizer.errors import InputError
from optimizer.sources.preflight.archive import CONFIG, WEIGHTS
from optimizer.sources.preflight.weights import OLD_FOLDER
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
    if summary.keras_version:
        from optimizer.sources.keras_3.rebuilding import rebuild

        return rebuild(path, summary)
    import tf_keras
    from tf_keras.src.saving.serialization_lib import SafeModeScope

    read = _from_archive if summary.format == "keras" else _from_h5
    with tempfile.TemporaryDirectory() as folder:
        try:
            with SafeModeScope(True), tf_keras.utils.custom_object_scope(_application_layers()):
                model = read(path, Path(folder))
        # Rebuilding runs the constructors of all layers: any exception can come out, and each means the same to the person.
        except Exception as error:
            raise could_not_rebuild(summary, error) from error
    return model


def with_output_shapes(path: Path, summary: ModelSummary) -> ModelSummary:
    """The summary with the output shapes that Keras works out where the preflight has no rule; rows that are no samples stay unknown.

    TensorFlow is imported for such a model only. Raises what load_keras_model does.
    """
    if not summary.is_keras or None not in summary.output_shapes:
        return summary
    from optimizer.surgery.flattening import flattened

    shapes = [tuple(tensor.shape) for tensor in flattened(load_keras_model(path, summary)).outputs]
    known = tuple(
        shape if ours is None and shape[:1] == (None,) else ours
        for ours, shape in zip(summary.output_shapes, shapes, strict=True)
    )
    return dataclasses.replace(summary, output_shapes=known)


def _application_layers() -> dict[str, Any]:
    """Layers of keras.applications that tf-keras finds by their module only, and old .h5 files do not name modules."""
    from tf_keras.src.applications import convnext, inception_resnet_v2

    layers = (convnext.LayerScale, convnext.StochasticDepth, inception_resnet_v2.CustomScaleLayer)
    return {layer.__name__: layer for layer in layers}


def _from_h5(path: Path, folder: Path) -> Any:
    import tf_keras

    # tf-keras goes by the extension, and files in the object store have none. A copy and no link: a confined process may not make links,
    # for those who take its files in should not meet any.
    named = folder / "model.h5"
    shutil.copyfile(path, named)
    return tf_keras.models.load_model(named, compile=False, safe_mode=True)


def _from_archive(path: Path, folder: Path) -> Any:
    """What tf_keras.models.load_model does with a .keras, but with the weights in a file of their own.

    It reads them through the archive, which starts from the front at each step back: 40 s and more for half a gigabyte.
    """
    from tf_keras.src.saving.serialization_lib import ObjectSharingScope, deserialize_keras_object

    weights = folder / WEIGHTS
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read(CONFIG))
        with archive.open(WEIGHTS) as source, weights.open("wb") as target:
            shutil.copyfileobj(source, target, 1024**2)
    _modernize(weights)
    with ObjectSharingScope():
        model = deserialize_keras_object({**config, "compile_config": None}, safe_mode=True)
    model.load_weights(weights)
    return model


def _modernize(weights: Path) -> None:
    """Move the weights of Keras 2.12 or 2.13 to where later versions look for them."""
    with h5py.File(weights, "r+") as file:
        if OLD_FOLDER not in file:
            return
        groups: list[str] = []
        file.visit(lambda path: groups.append(path) if path.split("/")[-1] == OLD_FOLDER else None)
        for group in sorted(groups, key=len, reverse=True):
            file.move(group, group[: -len(OLD_FOLDER)] + "layers")


def could_not_rebuild(summary: ModelSummary, error: Exception) -> InputError:
    """The refusal of a model that the preflight passed and tf-keras cannot make."""
    return InputError(
        "tf-keras could not rebuild the model",
        code="LOAD_FAILED",
        place=summary.name,
        received=_first_line(error),
        fix="Load and save it once with the Keras version that made it, and bring the new file.",
    )


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
