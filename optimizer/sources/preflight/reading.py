"""The whole preflight of a model file: format, architecture, weights, in this order, without TensorFlow."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.errors import InputError
from optimizer.sources.graph import Graph
from optimizer.sources.limits import MAX_METADATA_BYTES
from optimizer.sources.preflight import hdf5
from optimizer.sources.preflight.allowlist import KERAS_3, MODELS
from optimizer.sources.preflight.architecture import build_graph, input_shape, names_of_outputs
from optimizer.sources.preflight.archive import CONFIG, METADATA, WEIGHTS, opened_archive
from optimizer.sources.preflight.config import check_config, parse_config
from optimizer.sources.preflight.convertible import check_convertible
from optimizer.sources.preflight.hdf5_texts import AttributeTexts
from optimizer.sources.preflight.litert import check_tflite
from optimizer.sources.preflight.litert_summary import summarize_tflite
from optimizer.sources.preflight.saved_model import check_saved_model
from optimizer.sources.preflight.saved_model_summary import summarize_saved_model
from optimizer.sources.preflight.signature import detect_format, is_keras_3
from optimizer.sources.preflight.summarizing import Parsed, summarize
from optimizer.sources.preflight.training_mode import check_called_for_inference
from optimizer.sources.preflight.weights import OLD_FOLDER, check_size, match_checkpoint, match_legacy
from optimizer.sources.shapes import Inference, infer
from optimizer.sources.summary import ModelSummary

if TYPE_CHECKING:
    from optimizer.sources.keras_3.translation import Translation


def read_model_summary(path: Path, *, name: str) -> ModelSummary:
    """Check a model file and say what is in it. Nothing of the file is run.

    Args:
        path: The file.
        name: What the person calls it; its extension must agree with the content.

    Raises:
        InputError: The file is not acceptable; the codes are in docs and in the modules of this package.
    """
    found = detect_format(path, name)
    sha256 = _sha256(path)
    if found == "saved_model":
        graphs = check_saved_model(path, name)
        return summarize_saved_model(graphs, name=name, sha256=sha256, size_bytes=path.stat().st_size)
    if found == "tflite":
        check_tflite(path, name)
        return summarize_tflite(path, name=name, sha256=sha256)
    read = _read_h5 if found == "h5" else _read_keras
    return summarize(read(path, name), name=name, sha256=sha256, file_format=found, size_bytes=path.stat().st_size)


def _read_h5(path: Path, place: str) -> Parsed:
    texts = AttributeTexts(path, place)
    with hdf5.opened(path, place) as file:
        text = texts.one(file, "model_config")
        if text is None:
            raise _without_architecture(file, place)
        version = texts.one(file, "keras_version", MAX_METADATA_BYTES) or ""
        if "model_weights" not in file:
            raise InputError(
                "The file lacks the weights",
                code="MISSING_PART",
                place=place,
                fix="Save the whole model with model.save('model.h5').",
            )
        stored = hdf5.legacy_weights(file["model_weights"], texts)
        training_text = texts.one(file, "training_config")
    config = parse_config(text, place)
    training = parse_config(training_text, place) if training_text else {}
    if is_keras_3(version):
        from optimizer.sources.keras_3.stored_weights import locate_legacy

        graph, inference, translated = _translated(config, place)
        found = locate_legacy(graph, translated.origins, stored, inference, place)
        return Parsed(
            graph=graph,
            inference=inference,
            weights=found.shapes,
            training=training,
            output_names=names_of_outputs(config),
            keras_version=version,
            notes=translated.notes,
        )
    graph, inference = understand(config, place)
    weights = match_legacy(graph, stored, inference, place)
    return Parsed(graph=graph, inference=inference, weights=weights, training=training, output_names=names_of_outputs(config))


def _without_architecture(file: Any, place: str) -> InputError:
    keys = set(file.keys())
    if "layer_names" in file.attrs or keys & {"layers", OLD_FOLDER, "model_weights"}:
        return InputError(
            "The file holds weights only, without the architecture",
            code="NO_ARCHITECTURE",
            place=place,
            fix="Save the whole model with model.save('model.keras') in place of model.save_weights(...).",
        )
    return InputError(
        "The HDF5 file is not a Keras model", code="NOT_A_MODEL", place=place, expected="a file written by model.save(...)"
    )


def _read_keras(path: Path, place: str) -> Parsed:
    with opened_archive(path, place) as archive:
        metadata = parse_config(archive.text(METADATA), f"{place}, {METADATA}")
        version = str(metadata.get("keras_version", ""))
        config = parse_config(archive.text(CONFIG), f"{place}, {CONFIG}")
        translated = None
        if is_keras_3(version):
            graph, inference, translated = _translated(config, place)
        else:
            graph, inference = understand(config, place)
        with archive.unpacked(WEIGHTS) as member, hdf5.opened(member, f"{place}, {WEIGHTS}") as file:
            stored = hdf5.checkpoint_weights(file)
    stated = config.get("compile_config")
    training = stated if isinstance(stated, Mapping) else {}
    if translated is None:
        weights = match_checkpoint(graph, stored, inference, place)
        return Parsed(graph=graph, inference=inference, weights=weights, training=training, output_names=names_of_outputs(config))
    from optimizer.sources.keras_3.stored_weights import locate_checkpoint

    weights = locate_checkpoint(graph, translated.origins, stored, inference, place).shapes
    return Parsed(
        graph=graph,
        inference=inference,
        weights=weights,
        training=training,
        output_names=names_of_outputs(config),
        keras_version=version,
        notes=translated.notes,
    )


def _translated(config: Mapping[str, Any], place: str) -> tuple[Graph, Inference, Translation]:
    """Check a config that Keras 3 wrote, translate it, and check the result as if tf-keras had written it. Raises InputError."""
    # Files of tf-keras, the most by far, need none of the translation's modules.
    from optimizer.sources.keras_3.translation import translate

    _refuse_subclassed(config, place)
    check_config({key: value for key, value in config.items() if key != "compile_config"}, place, KERAS_3)
    translation = translate(config, place)
    return *understand(translation.config, place), translation


def _refuse_subclassed(config: Mapping[str, Any], place: str) -> None:
    inner = config.get("config")
    layers = inner if config.get("class_name") == "Sequential" else inner.get("layers") if isinstance(inner, Mapping) else None
    # A damaged name may be of any type, also one that no set takes.
    if str(config.get("class_name")) not in MODELS and layers is None:
        build_graph(config, place)


def understand(config: Mapping[str, Any], place: str) -> tuple[Graph, Inference]:
    """Check the architecture and follow its shapes."""
    _refuse_subclassed(config, place)
    # How the model was compiled is never loaded (compile=False), so a loss of the person's own is no reason to refuse.
    check_config({key: value for key, value in config.items() if key != "compile_config"}, place)
    graph = build_graph(config, place)
    inputs = {node.name: node for node in graph.nodes}
    inference = infer(graph, [input_shape(inputs[name], place) for name in graph.inputs], place)
    check_size(graph, inference, place)
    check_convertible(graph, place)
    check_called_for_inference(graph, place)
    return graph, inference


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
