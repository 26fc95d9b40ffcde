"""The tf-keras model of a file that Keras 3 wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py

from optimizer.errors import InputError
from optimizer.sources.keras_3.filling import fill_model
from optimizer.sources.keras_3.stored_weights import Located, locate_checkpoint, locate_legacy
from optimizer.sources.keras_3.translation import Translation, translate
from optimizer.sources.keras_model import could_not_rebuild
from optimizer.sources.preflight import hdf5
from optimizer.sources.preflight.archive import CONFIG, WEIGHTS, opened_archive
from optimizer.sources.preflight.config import parse_config
from optimizer.sources.preflight.hdf5_texts import AttributeTexts
from optimizer.sources.preflight.reading import understand
from optimizer.sources.summary import ModelSummary

if TYPE_CHECKING:
    import tf_keras


def rebuild(path: Path, summary: ModelSummary) -> tf_keras.Model:
    """Build the translated model with tf-keras and set its weights, layer by layer. Nothing in the file is run.

    Call it only with the summary of a passed preflight of this very file.

    Raises:
        InputError: LOAD_FAILED where tf-keras cannot build it, WEIGHTS_MISMATCH where a weight has another shape.
    """
    place = summary.name
    if summary.format == "h5":
        texts = AttributeTexts(path, place)
        with hdf5.opened(path, place) as file:
            translation = translate(parse_config(texts.one(file, "model_config") or "", place), place)
            stored = hdf5.legacy_weights(file["model_weights"], texts)
            graph, inference = understand(translation.config, place)
            located = locate_legacy(graph, translation.origins, stored, inference, place)
            return _filled(_build(translation, summary), file["model_weights"], located, place)
    with opened_archive(path, place) as archive:
        translation = translate(parse_config(archive.text(CONFIG), place), place)
        graph, inference = understand(translation.config, place)
        with archive.unpacked(WEIGHTS) as member, hdf5.opened(member, place) as file:
            located = locate_checkpoint(graph, translation.origins, hdf5.checkpoint_weights(file), inference, place)
            return _filled(_build(translation, summary), file, located, place)


def _filled(model: Any, file: h5py.Group, located: Located, place: str) -> tf_keras.Model:
    fill_model(model, file, located, place)
    return model


def _build(translation: Translation, summary: ModelSummary) -> Any:
    import tf_keras
    from tf_keras.src.saving.serialization_lib import SafeModeScope

    try:
        with SafeModeScope(True):
            return tf_keras.models.model_from_config(translation.config)
    except InputError:
        raise
    # Rebuilding runs the constructors of all layers: any exception can come out, and each means the same to the person.
    except Exception as error:
        raise could_not_rebuild(summary, error) from error
