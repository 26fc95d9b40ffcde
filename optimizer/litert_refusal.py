"""Why a .tflite or SavedModel that a person brought cannot be quantized so, told from its summary alone."""

from __future__ import annotations

from optimizer.sources.summary import ROUNDED, ModelSummary
from optimizer.technique import Refusal

REDUCED = frozenset({"INT8", "INT4", "INT2", "FLOAT16"})
WITH_KERNELS = frozenset({"Conv2D", "DepthwiseConv2D", "Conv2DTranspose", "Dense", "Embedding"})
BRING_FLOAT = "Bring the float .tflite (converted without optimizations), or the Keras model that it was made from."


TRAINED_FOR_INT8 = "the SavedModel was trained to be quantized to int8, and rounds its weights itself"
TAKE_INT8 = "Set weights and activations to int8, or bring the model as it was before that training."


def trained_for_int8(model: ModelSummary) -> bool:
    """Whether a SavedModel rounds its weights as int8 does, so that no other type can be stored."""
    return any(layer.class_name.startswith(ROUNDED) for layer in model.layers)


def tflite_refusal(model: ModelSummary, activations: str) -> Refusal | None:
    """Why litert-quantizer cannot quantize this .tflite; None where it can.

    Args:
        model: Summary of the .tflite.
        activations: "float32", "int16" or "int8": what operators are to compute with.
    """
    if len(model.input_shapes) > 1 and any(None in shape[1:] for shape in model.input_shapes):
        reason = "a .tflite of several inputs that leaves their size open can be neither calibrated nor measured"
        return Refusal(code="UNSUPPORTED_MODEL", reason=reason, fix="Convert it again with inputs of fixed shape.")
    stored = sorted({kind for layer in model.layers for kind in layer.config.get("stored", {}).values()} & REDUCED)
    if stored:
        reason = f"the .tflite is quantized already: it stores weights as {' and '.join(stored)}"
        return Refusal(code="ALREADY_QUANTIZED", reason=reason, fix=BRING_FLOAT)
    if any(layer.class_name == "QUANTIZE" for layer in model.layers) or any(model.input_quantization):
        return Refusal(
            code="ALREADY_QUANTIZED", reason="the .tflite is quantized already: it computes with integers", fix=BRING_FLOAT
        )
    if not any(layer.kind in WITH_KERNELS and layer.weight_shapes for layer in model.layers):
        return Refusal(
            code="NOTHING_TO_QUANTIZE",
            reason="the .tflite holds no convolution, dense or embedding operator, whose kernels alone are stored in fewer bits",
            fix="Bring the Keras model that it was made from.",
        )
    if activations != "float32" and any("subgraph" in layer.config for layer in model.layers):
        return Refusal(
            code="LOOP_NOT_QUANTIZABLE",
            reason="ranges of activations cannot be calibrated in a .tflite of several graphs (loops, branches, signatures)",
            fix="Set activations to float32, or bring the Keras model.",
        )
    return None
