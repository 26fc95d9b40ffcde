"""Layers that a model calls as in training at all times: no .tflite computes what they do, and two runs differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optimizer.errors import InputError
from optimizer.sources.graph import Call, Graph

BY_BATCH = frozenset({"BatchNormalization", "BatchNormalizationV1", "BatchNormalizationV2", "SyncBatchNormalization"})
"""In training these go by the mean and variance of the batch that they are given; a file is given one sample."""
BY_CHANCE = frozenset(
    {
        "AlphaDropout",
        "Dropout",
        "GaussianDropout",
        "GaussianNoise",
        "RandomBrightness",
        "RandomContrast",
        "RandomCrop",
        "RandomFlip",
        "RandomHeight",
        "RandomRotation",
        "RandomTranslation",
        "RandomWidth",
        "RandomZoom",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "SpatialDropout3D",
    }
)


def check_called_for_inference(graph: Graph, place: str, *, prefix: str = "", training: bool = False) -> None:
    """Refuse a model of tf-keras with a call `layer(x, training=True)` that makes the layer compute something else.

    Args:
        graph: The model, or one inside it.
        place: Name of the file for errors.
        prefix: Names of the models around it, "outer/".
        training: What the models around it are called with; it holds for every layer that is not told otherwise.

    Raises:
        InputError: UNSUPPORTED_MODEL with the layer's name.
    """
    for node in graph.nodes:
        trains = any(_trains(call, training) for call in node.calls)
        if node.graph is not None:
            check_called_for_inference(node.graph, place, prefix=f"{prefix}{node.name}/", training=trains)
        elif trains and (cause := _goes_by(node.class_name, node.config)):
            raise InputError(
                f"{node.class_name} is called with training=True, so that what it gives depends on {cause}",
                code="UNSUPPORTED_MODEL",
                place=f"{place}, layer {prefix}{node.name}",
                fix="Call the layer, and the model that it is in, without training=True, and save the model again.",
            )


def _trains(call: Call, around: bool) -> bool:
    told = call.arguments.get("training")
    return around if told is None else bool(told)


def _goes_by(class_name: str, config: Mapping[str, Any]) -> str:
    """What the layer goes by in training alone, in words; empty where training changes nothing."""
    if class_name in BY_BATCH:
        # A frozen one goes by its own statistics whatever it is called with.
        return "" if config.get("trainable") is False else "the batch"
    if class_name in BY_CHANCE or config.get("dropout") or config.get("recurrent_dropout"):
        return "chance"
    inner = config.get("layer")
    if isinstance(inner, Mapping) and isinstance(inner.get("config"), Mapping):
        return _goes_by(str(inner.get("class_name")), inner["config"])
    return ""
