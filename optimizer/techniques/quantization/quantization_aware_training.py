"""Quantization-aware training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optimizer.context import RunContext
from optimizer.errors import RunError
from optimizer.kernels import kernel_variables
from optimizer.model import Model, copy_of
from optimizer.promises import StoredType
from optimizer.sources.summary import Finding, LayerSummary, ModelSummary, Verdict
from optimizer.surgery.fake_quantization import eight_bit_scheme
from optimizer.technique import SizeEstimate, Technique, param, technique
from optimizer.training import Schedule, fit, held_projections

QUANTIZABLE = frozenset(
    {
        "Activation",
        "ActivityRegularization",
        "Add",
        "AveragePooling1D",
        "AveragePooling2D",
        "Concatenate",
        "Conv2D",
        "Conv2DTranspose",
        "Cropping1D",
        "Cropping2D",
        "Cropping3D",
        "Dense",
        "DepthwiseConv2D",
        "Dropout",
        "Flatten",
        "GlobalAveragePooling1D",
        "GlobalAveragePooling2D",
        "GlobalAveragePooling3D",
        "GlobalMaxPooling1D",
        "GlobalMaxPooling2D",
        "GlobalMaxPooling3D",
        "LeakyReLU",
        "MaxPooling2D",
        "Permute",
        "ReLU",
        "Reshape",
        "Softmax",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "SpatialDropout3D",
        "UpSampling2D",
        "ZeroPadding1D",
        "ZeroPadding2D",
    }
)
ACTIVATIONS = frozenset({"linear", "relu", "relu6", "softmax", "tanh", "sigmoid", "swish", "hard_swish"})
BEFORE_NORMALIZATION = frozenset({"Conv2D", "DepthwiseConv2D", "Dense"})
"""A BatchNormalization right after one of these is trained with it and folded by the converter; elsewhere TFMOT raises."""


@technique("quantization_aware_training", family="quantization")
class QuantizationAwareTraining(Technique):
    """Train with 8-bit rounding in the loop, so that the int8 file keeps its accuracy.

    Use it when post-training int8 loses too much. The .tflite has int8 weights and activations; a layer that TFMOT cannot handle stays float
    and is named. Zeros and shared values of earlier steps are held after each training step. Jacob et al. 2018, arXiv 1712.05877; the
    fake quantization is TFMOT's quantize_apply.
    """

    epochs: int = param(2, low=1, high=200, primary=True, help="Passes over the training data.")
    learning_rate: float = param(3e-4, low=1e-7, high=0.1, help="Peak learning rate of Adam; it falls along a cosine.")
    batch_size: int = param(64, low=1, high=4096, help="Training samples a step.")
    skip_layers: tuple[str, ...] = param((), help="Names of layers that stay float.")

    def in_words(self) -> str:
        """The step in a few words."""
        return "QAT int8"

    def estimate(self, size: SizeEstimate) -> SizeEstimate:
        """Eight bits a weight."""
        return SizeEstimate(parameters=size.parameters, stored_bits=8, nonzero=size.nonzero, distinct_values=size.distinct_values)

    def refusal_after(self, earlier: Sequence[Technique]) -> str:
        """Once is enough."""
        if any(step.name == self.name for step in earlier):
            return "the model is already prepared for quantization; set more epochs on the first one instead"
        return ""

    def check(self, model: ModelSummary) -> list[Finding]:
        """Every layer gets a verdict: layers without weights can break the integer path too."""
        return [self._finding(layer, model) for layer in model.layers if layer.class_name != "InputLayer"]

    def _finding(self, layer: LayerSummary, model: ModelSummary) -> Finding:
        inbound = [(model.layer(name).class_name, model.layer(name).activation) for name in layer.inbound]
        reason = self._obstacle(layer.name, layer.class_name, layer.activation, inbound)
        if not reason:
            return Finding(layer=layer.name, verdict=Verdict.WORKS)
        fix = "" if layer.name in self.skip_layers else "Nothing to do: the layers around it are quantized all the same."
        return Finding(layer=layer.name, verdict=Verdict.LEFT, reason=f"stays float: {reason}", fix=fix)

    def _obstacle(self, name: str, class_name: str, activation: str, inbound: Sequence[tuple[str, str]]) -> str:
        """Why a layer stays float; empty where it is quantized. `inbound` holds (class, activation) of the layers before it."""
        if name in self.skip_layers:
            return "named in skip_layers"
        if class_name == "BatchNormalization":
            follows = len(inbound) == 1 and inbound[0][0] in BEFORE_NORMALIZATION and inbound[0][1] == "linear"
            return "" if follows else "a BatchNormalization that does not directly follow a convolution or dense layer"
        if class_name not in QUANTIZABLE:
            return f"TFMOT cannot quantize {class_name}"
        if activation not in ACTIVATIONS:
            return f"TFMOT cannot quantize the activation {activation}"
        return ""

    def apply(self, model: Model, context: RunContext) -> Model:
        """Annotate what can be annotated, insert the fake quantization, train."""
        floats = self._layers_left_float(model.keras)
        for name, reason in floats.items():
            context.note(f"{name} stays float: {reason}.")
        per_tensor = model.shares_values
        if per_tensor:
            context.note("Kernels get one scale each instead of one a channel, so that shared values stay shared.")
        prepared = _prepared(model.keras, set(floats), per_tensor=per_tensor)
        plan = Schedule(epochs=self.epochs, batch_size=self.batch_size, learning_rate=self.learning_rate)
        fit(prepared, context, plan, projections=held_projections(model, prepared))
        quantized = tuple(key for key in kernel_variables(model.keras) if key.split("/")[0] not in floats)
        promise = StoredType(technique=self.name, kernels=quantized, dtypes=("INT8",))
        return model.changed(keras=prepared, quantization_aware=True, promises=(promise,))

    def _layers_left_float(self, keras_model: Any) -> Mapping[str, str]:
        floats = {}
        for layer in keras_model.layers:
            if type(layer).__name__ == "InputLayer":
                continue
            before = [b for node in layer.inbound_nodes for b in _as_list(node.inbound_layers)]
            inbound = [(type(b).__name__, _activation(b)) for b in before]
            reason = self._obstacle(layer.name, type(layer).__name__, _activation(layer), inbound)
            if not reason and len(layer.inbound_nodes) > 1:
                reason = "it is used at several places, which TFMOT cannot quantize"
            if reason:
                floats[layer.name] = reason
        for layer in keras_model.layers:
            if type(layer).__name__ == "BatchNormalization" and layer.name not in floats:
                before = _as_list(layer.inbound_nodes[0].inbound_layers)[0]
                if before.name in floats:
                    floats[layer.name] = f"the layer before it, {before.name}, stays float"
        return floats


def _as_list(layers: Any) -> list[Any]:
    return list(layers) if isinstance(layers, list | tuple) else [layers]


def _activation(layer: Any) -> str:
    activation = getattr(layer, "activation", None)
    return getattr(activation, "__name__", "linear") if activation is not None else "linear"


def _prepared(keras_model: Any, floats: set[str], *, per_tensor: bool) -> Any:
    """A copy of the model with fake quantization around every layer not in `floats`.

    Raises:
        RunError: NOT_QUANTIZABLE with TFMOT's own words.
    """
    import tensorflow as tf
    import tensorflow_model_optimization as tfmot

    def annotate(layer: Any) -> Any:
        if layer.name in floats or type(layer).__name__ == "InputLayer":
            return layer
        return tfmot.quantization.keras.quantize_annotate_layer(layer)

    scheme = eight_bit_scheme(per_tensor=per_tensor)
    annotated = tf.keras.models.clone_model(copy_of(keras_model), clone_function=annotate)
    try:
        return tfmot.quantization.keras.quantize_apply(annotated, scheme)
    except (ValueError, RuntimeError, AttributeError, TypeError) as error:
        raise RunError(
            "TFMOT cannot prepare this model for quantization-aware training",
            code="NOT_QUANTIZABLE",
            received=str(error),
            fix="Name the layer in skip_layers, or use post_training_quantization.",
        ) from error
