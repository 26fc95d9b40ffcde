"""Loading a model with tf-keras, after the preflight has passed it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py

from optimizer.errors import InputError
from optimizer.sources.preflight.archive import CONFIG, WEIGHTS
from optimizer.sources.preflight.weights import OLD_FOLDER
from optimizer.sources.summary import ModelSummary

if TYPE_CHECKING:
    import tf_keras

DEEPEST_CALLS = 10_000
"""tf-keras follows a model from its outputs layer by layer, one call within the other: Python's usual 1,000 end at some 400 layers."""


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
    _allow_deep_models()
    if summary.keras_version:
        from optimizer.sources.keras_3.rebuilding import rebuild

        return rebuild(path, summary)
    with tempfile.TemporaryDirectory() as folder:
        unpacked = _unpacked(path, summary.format, Path(folder))
        # Rebuilding runs the constructors of all layers: any exception can come out, and each means the same to the person.
        try:
            return _built(unpacked)
        except Exception as error:
            raise could_not_rebuild(summary, error) from error


def load_our_own(path: Path) -> tf_keras.Model:
    """Load a .keras that an earlier run wrote; the result is not compiled."""
    _allow_deep_models()
    with tempfile.TemporaryDirectory() as folder:
        return _built(_unpacked(path, "keras", Path(folder)))


def _allow_deep_models() -> None:
    """For the rest of the process: techniques rebuild the model in the same way."""
    sys.setrecursionlimit(max(sys.getrecursionlimit(), DEEPEST_CALLS))


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


@dataclass(frozen=True, kw_only=True)
class _Unpacked:
    """A model file in parts that tf-keras reads quickly: the text of its config, empty where that is in the .h5, and the .h5."""

    config: str
    weights: Path


def _unpacked(path: Path, form: str, folder: Path) -> _Unpacked:
    """Copy a model file, or what is in it, into a folder.

    tf_keras.models.load_model would read the weights of a .keras through the archive, from the front again at each step back, which is most
    of the time for a large model (benchmarks/translation.py). Of a .h5 it goes by the extension, and files in the object store have none.
    A copy and no link: a confined process may not make links, for those who take its files in should not meet any.
    """
    if form != "keras":
        shutil.copyfile(path, folder / "model.h5")
        return _Unpacked(config="", weights=folder / "model.h5")
    with zipfile.ZipFile(path) as archive:
        config = archive.read(CONFIG).decode()
        with archive.open(WEIGHTS) as source, (folder / WEIGHTS).open("wb") as target:
            shutil.copyfileobj(source, target, 1024**2)
    return _Unpacked(config=config, weights=folder / WEIGHTS)


def _built(unpacked: _Unpacked) -> Any:
    import tf_keras
    from tf_keras.src.saving.serialization_lib import ObjectSharingScope, SafeModeScope, deserialize_keras_object

    with SafeModeScope(True), tf_keras.utils.custom_object_scope(_application_layers()):
        if not unpacked.config:
            return tf_keras.models.load_model(unpacked.weights, compile=False, safe_mode=True)
        _modernize(unpacked.weights)
        with ObjectSharingScope():
            model = deserialize_keras_object({**json.loads(unpacked.config), "compile_config": None}, safe_mode=True)
        model.load_weights(unpacked.weights)
        return model


def _modernize(weights: Path) -> None:
    """Move the weights of Keras 2.12 or 2.13 to where later versions look for them."""
    with h5py.File(weights, "r") as file:
        if OLD_FOLDER not in file:
            return
    with h5py.File(weights, "r+") as file:
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
