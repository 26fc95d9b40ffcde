"""From graph, shapes and weights to the summary that pages and techniques read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optimizer.sources.graph import Graph, Node, Tensor
from optimizer.sources.preflight.architecture import input_shape
from optimizer.sources.preflight.weights import Shapes, parameter_count
from optimizer.sources.shapes import Inference
from optimizer.sources.summary import LayerSummary, ModelSummary

TRAINING_KEYS = ("loss", "metrics", "loss_weights", "weighted_metrics")


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """What was read from a model file: its graph, what was inferred of it, and the weights of each layer by full name.

    `output_names` are the keys of a dictionary that the model gives; `keras_version` is the Keras 3 that wrote the file, empty where tf-keras
    did; `notes` are for the person.
    """

    graph: Graph
    inference: Inference
    weights: Mapping[str, Shapes]
    training: Mapping[str, Any]
    output_names: tuple[str, ...] = ()
    keras_version: str = ""
    notes: tuple[str, ...] = ()


def summarize(parsed: Parsed, *, name: str, sha256: str, file_format: str, size_bytes: int) -> ModelSummary:
    """The summary of a whole model, nested models flattened to "outer/inner"."""
    graph = parsed.graph
    sources: dict[str, tuple[str, ...]] = {}
    _collect_sources(graph, "", (), sources)
    inputs = {node.name: node for node in graph.nodes}
    makers = _makers(graph, "")
    layers = [_layer(full, node, parsed, sources.get(full, ())) for full, node in graph.leaves()]
    return ModelSummary(
        name=name,
        sha256=sha256,
        format=file_format,
        size_bytes=size_bytes,
        class_name=graph.class_name,
        layers=tuple(layers),
        input_shapes=tuple(input_shape(inputs[n], name) for n in graph.inputs),
        output_shapes=parsed.inference.outputs,
        output_layers=tuple(_pick(makers[tensor.layer], tensor) for tensor in graph.outputs),
        input_dtypes=tuple(_dtype(inputs[n]) for n in graph.inputs),
        input_names=tuple(graph.inputs),
        output_names=parsed.output_names,
        keras_version=parsed.keras_version,
        notes=parsed.notes,
        training_config=plain_json({key: parsed.training[key] for key in TRAINING_KEYS if key in parsed.training}),
    )


def _layer(full: str, node: Node, parsed: Parsed, inbound: tuple[str, ...]) -> LayerSummary:
    known = parsed.inference.layers.get(full)
    shapes = parsed.weights.get(full, {})
    return LayerSummary(
        name=full,
        class_name=node.class_name.removeprefix("Custom>"),
        config=plain_json(node.config),
        weight_shapes=shapes,
        inbound=inbound,
        output_shape=None if known is None else known.output,
        parameters=parameter_count(shapes),
        macs=None if known is None else known.macs,
        calls=1 if known is None else max(known.calls, 1),
        reads=max((len(call.inputs) for call in node.calls), default=1),
    )


def _dtype(node: Node) -> str:
    dtype = node.config.get("dtype")
    return dtype if isinstance(dtype, str) and dtype else "float32"


def _makers(graph: Graph, prefix: str) -> dict[str, list[str]]:
    """For each layer of the graph, the full names of the layers that make its outputs (its own, or those inside a nested model)."""
    found: dict[str, list[str]] = {}
    for node in graph.nodes:
        if node.graph is None:
            found[node.name] = [prefix + node.name]
        else:
            inner = _makers(node.graph, f"{prefix}{node.name}/")
            found[node.name] = [_pick(inner[tensor.layer], tensor) for tensor in node.graph.outputs]
    return found


def _pick(makers: list[str], tensor: Tensor) -> str:
    return makers[min(tensor.index, len(makers) - 1)]


def _collect_sources(graph: Graph, prefix: str, feeding: tuple[str, ...], sources: dict[str, tuple[str, ...]]) -> None:
    """Fill in what feeds each leaf; `feeding` are the full names that feed the graph's own inputs, one an input."""
    makers = _makers(graph, prefix)
    implied = {node.name for node in graph.nodes if node.implied}
    for position, name in enumerate(graph.inputs):
        if position < len(feeding):
            makers[name] = [feeding[position]] if name in implied else makers[name]
            sources[prefix + name] = (feeding[position],)
    for node in graph.nodes:
        if node.name in graph.inputs:
            continue
        tensors = [t for call in node.calls for t in call.inputs if t.layer not in implied or feeding]
        names = tuple(dict.fromkeys(_pick(makers[tensor.layer], tensor) for tensor in tensors))
        if node.graph is None:
            sources[prefix + node.name] = names
        else:
            first = tuple(_pick(makers[t.layer], t) for t in node.calls[0].inputs if t.layer not in implied or feeding)
            _collect_sources(node.graph, f"{prefix}{node.name}/", first, sources)


def plain_json(config: Mapping[str, Any]) -> dict[str, Any]:
    """A copy in strict JSON: infinities and NaN become text."""
    return {str(key): _plain(item) for key, item in config.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return plain_json(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
