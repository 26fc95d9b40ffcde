"""The whole preflight of a model file: format, architecture, weights, in this order, without TensorFlow."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optimizer.errors import InputError
from optimizer.sources.graph import Graph, Node, Tensor
from optimizer.sources.preflight import hdf5
from optimizer.sources.preflight.architecture import build_graph, input_shape
from optimizer.sources.preflight.archive import CONFIG, METADATA, WEIGHTS, opened_archive
from optimizer.sources.preflight.config import check_config, parse_config
from optimizer.sources.preflight.limits import MAX_METADATA_BYTES
from optimizer.sources.preflight.signature import detect_format, refuse_keras_3
from optimizer.sources.preflight.weights import Shapes, check_size, match_checkpoint, match_legacy, parameter_count
from optimizer.sources.shapes import Inference, infer
from optimizer.sources.summary import LayerSummary, ModelSummary

TRAINING_KEYS = ("loss", "metrics", "loss_weights", "weighted_metrics")


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
    read = _read_h5 if found == "h5" else _read_keras
    graph, inference, weights, training = read(path, name)
    return _summary(graph, inference, weights, training, name=name, sha256=sha256, found=found, size=path.stat().st_size)


Parsed = tuple[Graph, Inference, dict[str, Shapes], Mapping[str, Any]]


def _read_h5(path: Path, place: str) -> Parsed:
    with hdf5.opened(path, place) as file:
        text = hdf5.text_attribute(file, "model_config", place)
        if text is None:
            raise _without_architecture(file, place)
        refuse_keras_3(hdf5.text_attribute(file, "keras_version", place, MAX_METADATA_BYTES) or "", place)
        if "model_weights" not in file:
            raise InputError(
                "The file lacks the weights",
                code="MISSING_PART",
                place=place,
                fix="Save the whole model with model.save('model.h5').",
            )
        stored = hdf5.legacy_weights(file["model_weights"])
        training_text = hdf5.text_attribute(file, "training_config", place)
    config = parse_config(text, place)
    graph, inference = _understand(config, place)
    training = parse_config(training_text, place) if training_text else {}
    return graph, inference, match_legacy(graph, stored, inference, place), training


def _without_architecture(file: Any, place: str) -> InputError:
    keys = set(file.keys())
    if "layer_names" in file.attrs or keys & {"layers", "_layer_checkpoint_dependencies", "model_weights"}:
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
        refuse_keras_3(str(metadata.get("keras_version", "")), place)
        config = parse_config(archive.text(CONFIG), f"{place}, {CONFIG}")
        graph, inference = _understand(config, place)
        with archive.unpacked(WEIGHTS) as member, hdf5.opened(member, f"{place}, {WEIGHTS}") as file:
            stored = hdf5.checkpoint_weights(file)
    training = config.get("compile_config")
    weights = match_checkpoint(graph, stored, inference, place)
    return graph, inference, weights, training if isinstance(training, Mapping) else {}


def _understand(config: Mapping[str, Any], place: str) -> tuple[Graph, Inference]:
    """Check the architecture and follow its shapes."""
    subclassed = config.get("class_name") not in ("Functional", "Model", "Sequential") and "layers" not in (
        config.get("config") or {}
    )
    if subclassed:
        build_graph(config, place)
    # How the model was compiled is never loaded (compile=False), so a loss of the person's own is no reason to refuse.
    check_config({key: value for key, value in config.items() if key != "compile_config"}, place)
    graph = build_graph(config, place)
    inputs = {node.name: node for node in graph.nodes}
    inference = infer(graph, [input_shape(inputs[name], place) for name in graph.inputs], place)
    check_size(inference, place)
    return graph, inference


def _summary(
    graph: Graph,
    inference: Inference,
    weights: Mapping[str, Shapes],
    training: Mapping[str, Any],
    *,
    name: str,
    sha256: str,
    found: str,
    size: int,
) -> ModelSummary:
    nodes = {node.name: node for node in graph.nodes}
    layers = []
    for full, node in graph.leaves():
        known = inference.layers.get(full)
        shapes = weights.get(full, {})
        layers.append(
            LayerSummary(
                name=full,
                class_name=node.class_name,
                config=_plain(node.config),
                weight_shapes=shapes,
                inbound=_inbound(graph, full),
                output_shape=None if known is None else known.output,
                parameters=parameter_count(shapes),
                macs=None if known is None else known.macs,
            )
        )
    return ModelSummary(
        name=name,
        sha256=sha256,
        format=found,
        size_bytes=size,
        class_name=graph.class_name,
        layers=tuple(layers),
        input_shapes=tuple(input_shape(nodes[n], name) for n in graph.inputs),
        output_shapes=inference.outputs,
        output_layers=tuple(_leaf_of(graph, tensor) for tensor in graph.outputs),
        input_dtypes=tuple(str(nodes[n].config.get("dtype") or "float32") for n in graph.inputs),
        training_config=_plain({key: training[key] for key in TRAINING_KEYS if key in training}),
    )


def _leaf_of(graph: Graph, tensor: Tensor, prefix: str = "") -> str:
    """Full name of the layer that makes a tensor, looked for inside nested models."""
    node = next(node for node in graph.nodes if node.name == tensor.layer)
    if node.graph is not None:
        outputs = node.graph.outputs
        return _leaf_of(node.graph, outputs[min(tensor.index, len(outputs) - 1)], f"{prefix}{node.name}/")
    return prefix + node.name


def _inbound(graph: Graph, full: str) -> tuple[str, ...]:
    """Full names of the layers that feed a layer; the inputs of a nested model are fed by what feeds the model."""
    prefix, _, name = full.rpartition("/")
    inner, owners = graph, []
    for part in prefix.split("/") if prefix else []:
        node = next(node for node in inner.nodes if node.name == part)
        owners.append((inner, node))
        inner = node.graph or inner
    node = next(node for node in inner.nodes if node.name == name)
    if node.class_name == "InputLayer" and owners:
        outer, owner = owners[-1]
        position = inner.inputs.index(name) if name in inner.inputs else 0
        outer_prefix = prefix.rpartition("/")[0]
        return _sources(outer, owner, outer_prefix + "/" if outer_prefix else "", position)
    return _sources(inner, node, prefix + "/" if prefix else "")


def _sources(graph: Graph, node: Node, prefix: str, position: int | None = None) -> tuple[str, ...]:
    tensors = [t for call in node.calls for t in (call.inputs if position is None else call.inputs[position : position + 1])]
    implied = {other.name for other in graph.nodes if other.implied}
    return tuple(dict.fromkeys(_leaf_of(graph, tensor, prefix) for tensor in tensors if tensor.layer not in implied))


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """A copy in strict JSON: infinities and NaN become text."""

    def cleaned(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(key): cleaned(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [cleaned(item) for item in value]
        if isinstance(value, float) and not math.isfinite(value):
            return str(value)
        return value

    result: dict[str, Any] = cleaned(config)
    json.dumps(result)
    return result


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
