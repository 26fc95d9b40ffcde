"""What a Keras model may hold and LiteRT has no operator for: refused before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optimizer.errors import InputError
from optimizer.sources.graph import Graph

WITHOUT_OPERATOR: Mapping[str, str] = {
    "math.cumprod": "Use exp(cumsum(log(x))) where all values are positive.",
}
"""Functions (TFOpLambda) by name, with what can take their place."""
OUTSIDE = "Do this to the data before they enter the model."
LAYERS_WITHOUT_OPERATOR: Mapping[str, str] = {"CategoryEncoding": OUTSIDE, "HashedCrossing": OUTSIDE, "Hashing": OUTSIDE}
INTERPOLATIONS = ("bilinear", "nearest")
CHANNELS_FIRST = frozenset({"Conv1D", "Conv3D", "Conv1DTranspose", "Conv3DTranspose", "SeparableConv1D", "SeparableConv2D"})


def check_convertible(graph: Graph, place: str) -> None:
    """Refuse a model with a layer that no .tflite can hold. Raises InputError UNSUPPORTED_OP with the layer's name."""
    for name, node in graph.leaves():
        found = _obstacle(node.class_name, node.config)
        if found is not None:
            what, fix = found
            raise InputError(
                f"LiteRT has no operator for {what}",
                code="UNSUPPORTED_OP",
                place=f"{place}, layer {name}",
                fix=fix or "Replace the layer, and save the model again.",
            )


def _obstacle(class_name: str, config: Mapping[str, Any]) -> tuple[str, str] | None:
    """What has no operator, and what mends it; None where there is nothing."""
    inner = config.get("layer")
    if (
        class_name in ("TimeDistributed", "Bidirectional")
        and isinstance(inner, Mapping)
        and isinstance(inner.get("config"), Mapping)
    ):
        return _obstacle(str(inner.get("class_name")), inner["config"])
    function = str(config.get("function", ""))
    if class_name == "TFOpLambda" and function in WITHOUT_OPERATOR:
        return f"tf.{function}", WITHOUT_OPERATOR[function]
    if class_name in LAYERS_WITHOUT_OPERATOR:
        return class_name, LAYERS_WITHOUT_OPERATOR[class_name]
    interpolation = config.get("interpolation", INTERPOLATIONS[0])
    if class_name in ("Resizing", "UpSampling2D") and interpolation not in INTERPOLATIONS:
        return f"{class_name} with interpolation={interpolation!r}", "Use interpolation='bilinear' or 'nearest'."
    if class_name in CHANNELS_FIRST and config.get("data_format") == "channels_first":
        return f"{class_name} with the channels first", "Build the model with data_format='channels_last'."
    dilated = config.get("dilation_rate", 1) not in (1, [1], [1, 1], [1, 1, 1], (1,), (1, 1), (1, 1, 1))
    if class_name in ("Conv1DTranspose", "Conv3D") and dilated:
        return f"a dilated {class_name}", "Use dilation_rate=1."
    if class_name == "Conv3D" and config.get("groups", 1) != 1:
        return "a Conv3D in groups", "Use groups=1."
    return None
