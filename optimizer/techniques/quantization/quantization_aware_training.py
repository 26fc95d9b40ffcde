"""Quantization-aware training."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from optimizer.context import RunContext
from optimizer.conversion import configure_trained, convert
from optimizer.environment import Host
from optimizer.errors import RunError
from optimizer.kernels import kernel_variables
from optimizer.litert_file import LiteRTFile
from optimizer.model import Model
from optimizer.promises import StoredType
from optimizer.sources.summary import Finding, LayerSummary, ModelSummary, Verdict
from optimizer.speed import int8_in_words
from optimizer.surgery.batch_normalization import fold_batch_normalization
from optimizer.surgery.fake_quantization import calibrate, eight_bit_scheme, output_only
from optimizer.surgery.wrapping import without_activity_penalties
from optimizer.technique import SizeEstimate, Technique, param, technique
from optimizer.training import Schedule, fit, held_projections

QUANTIZABLE = frozenset(
    {
        "Activation",
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
"""A BatchNormalization right after a convolution is trained with it and folded by the converter; after a dense layer it is folded before,
since the converter leaves such a dense kernel float. Elsewhere TFMOT raises."""

MERGING = frozenset({"Add", "Concatenate"})
USED_TWICE = "it is used at several places, which TFMOT cannot quantize"
ROUNDED_AT_THE_EXIT = frozenset(
    {
        "BatchNormalization",
        "ELU",
        "LayerNormalization",
        "MaxPooling1D",
        "MaxPooling3D",
        "PReLU",
        "Rescaling",
        "UpSampling1D",
        "ZeroPadding3D",
    }
)
"""Float layers of one input and one output, whose output can be rounded for a quantized layer that reads it."""
ROUNDED_BY_THE_CONVERTER = frozenset({"Conv1D", "Conv3D", "Conv1DTranspose", "SeparableConv1D", "SeparableConv2D"})
"""Layers that train without rounding and are stored in int8 all the same once what they read and give is rounded."""
TFMOT_ERRORS = (ValueError, RuntimeError, AttributeError, TypeError, LookupError, NameError, AssertionError)
"""What TFMOT raises, by construction or by accident, on graphs that it does not know."""
CALIBRATION_SAMPLES = 256
CALIBRATION_BATCH = 64


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
        readers = [name for other in model.layers for name in other.inbound]
        inbound = [(model.layer(name).class_name, model.layer(name).activation, readers.count(name)) for name in layer.inbound]
        reason = self._obstacle(layer.name, layer.class_name, layer.activation, inbound)
        if not reason and len(layer.inbound) > 1 and layer.class_name not in MERGING:
            reason = USED_TWICE
        if not reason:
            return Finding(layer=layer.name, verdict=Verdict.WORKS)
        fix = "" if layer.name in self.skip_layers else "Nothing to do: the layers around it are quantized all the same."
        return Finding(layer=layer.name, verdict=Verdict.LEFT, reason=f"stays float: {reason}", fix=fix)

    def _obstacle(self, name: str, class_name: str, activation: str, inbound: Sequence[tuple[str, str, int]]) -> str:
        """Why a layer stays float; empty where it is quantized. `inbound` holds (class, activation, readers) of the layers before it."""
        if name in self.skip_layers:
            return "named in skip_layers"
        if class_name == "BatchNormalization":
            follows = len(inbound) == 1 and inbound[0][0] in BEFORE_NORMALIZATION and inbound[0][1:] == ("linear", 1)
            return "" if follows else "a BatchNormalization that does not directly follow a convolution or dense layer of its own"
        if class_name not in QUANTIZABLE:
            later = "; the converter rounds its kernel where it can" if class_name in ROUNDED_BY_THE_CONVERTER else ""
            return f"TFMOT cannot quantize {class_name}{later}"
        if activation not in ACTIVATIONS:
            return f"TFMOT cannot quantize the activation {activation}"
        return ""

    def cautions(self, model: ModelSummary, host: Host) -> list[str]:
        """The file is one of int8 weights and activations."""
        return int8_in_words(model, host)

    def apply(self, model: Model, context: RunContext) -> Model:
        """Annotate what can be annotated, insert the fake quantization, train."""
        plain, folded = fold_batch_normalization(model.keras, ("Dense",))
        if folded:
            context.note(
                f"{', '.join(folded)}: folded into the dense layer before, since the converter cannot do so after this training."
            )
        floats = self._layers_left_float(plain)
        for name, reason in floats.items():
            context.note(f"{name} stays float: {reason}.")
        per_tensor = model.shares_values
        if per_tensor:
            context.note("Kernels get one scale each instead of one a channel, so that shared values stay shared.")
        prepared, refused = _prepared(plain, set(floats), per_tensor=per_tensor)
        for name in refused:
            context.note(f"{name} stays float: TFMOT cannot quantize it where it stands.")
        plan = Schedule(epochs=self.epochs, batch_size=self.batch_size, learning_rate=self.learning_rate)
        calibrate(prepared, _calibration_batches(context), steps=plan.steps(len(context.data.dataset.train)))
        treated = [key for key in kernel_variables(plain) if key.split("/")[0] not in {*floats, *refused}]
        quantized = _stored_as_integers(prepared, treated, per_tensor=per_tensor) if floats or refused else treated
        for key in sorted(set(treated) - set(quantized)):
            context.note(f"{key} trains with rounding, but the converter keeps it float between layers that stay float.")
        fit(prepared, context, plan, projections=held_projections(model, prepared))
        promise = StoredType(technique=self.name, kernels=tuple(quantized), dtypes=("INT8",))
        return model.changed(keras=prepared, quantization_aware=True, promises=(promise,))

    def _layers_left_float(self, keras_model: Any) -> Mapping[str, str]:
        floats = {}
        for layer in keras_model.layers:
            if type(layer).__name__ == "InputLayer":
                continue
            before = [b for node in layer.inbound_nodes for b in _as_list(node.inbound_layers)]
            inbound = [(type(b).__name__, _activation(b), len(b.outbound_nodes)) for b in before]
            reason = self._obstacle(layer.name, type(layer).__name__, _activation(layer), inbound)
            if not reason and len(layer.inbound_nodes) > 1:
                reason = USED_TWICE
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


def _prepared(keras_model: Any, floats: set[str], *, per_tensor: bool) -> tuple[Any, list[str]]:
    """A copy of the model with fake quantization around every layer not in `floats`, and the layers that TFMOT refused all the same.

    Raises:
        RunError: NOT_QUANTIZABLE with TFMOT's own words where it accepts no layer at all.
    """
    wanted = [layer.name for layer in keras_model.layers if layer.name not in floats and type(layer).__name__ != "InputLayer"]
    if not wanted:
        raise _refusal("none of the layers can be quantized")
    try:
        return _with_fake_quantization(keras_model, wanted, per_tensor=per_tensor), []
    except TFMOT_ERRORS as error:
        reason = f"{type(error).__name__}: {error}"
    accepted = _accepted(keras_model, wanted, [], per_tensor=per_tensor)
    if not accepted:
        raise _refusal(reason)
    prepared = _with_fake_quantization(keras_model, accepted, per_tensor=per_tensor)
    return prepared, [name for name in wanted if name not in accepted]


def _accepted(keras_model: Any, names: list[str], before: list[str], *, per_tensor: bool) -> list[str]:
    """`before` and as many of `names` as TFMOT takes together with them: the refused ones are found by halving."""
    try:
        _with_fake_quantization(keras_model, before + names, per_tensor=per_tensor)
    except TFMOT_ERRORS:
        if len(names) == 1:
            return before
        middle = len(names) // 2
        first = _accepted(keras_model, names[:middle], before, per_tensor=per_tensor)
        return _accepted(keras_model, names[middle:], first, per_tensor=per_tensor)
    return before + names


def _with_fake_quantization(keras_model: Any, names: Sequence[str], *, per_tensor: bool) -> Any:
    import tensorflow as tf
    from tensorflow_model_optimization.quantization.keras import quantize_annotate_layer, quantize_apply, quantize_scope

    # Between rounded tensors the converter rounds a float kernel too, one scale a channel: shared values would be torn apart.
    exits = ROUNDED_AT_THE_EXIT if per_tensor else ROUNDED_AT_THE_EXIT | ROUNDED_BY_THE_CONVERTER
    boundary = _float_layers_before(keras_model, set(names), exits)

    def annotate(layer: Any) -> Any:
        if layer.name in boundary:
            return quantize_annotate_layer(layer, output_only())
        return quantize_annotate_layer(layer) if layer.name in names else layer

    annotated = tf.keras.models.clone_model(without_activity_penalties(keras_model), clone_function=annotate)
    with quantize_scope({"Default8BitOutputQuantizeConfig": type(output_only())}):
        prepared = quantize_apply(annotated, eight_bit_scheme(per_tensor=per_tensor))
    for layer in prepared.layers:
        # TFMOT copies weights by value, and a Normalization layer computes with numbers that it derives from them.
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
    return prepared


def _float_layers_before(keras_model: Any, quantized: set[str], exits: Collection[str]) -> set[str]:
    """Names of float layers that feed a quantized one: their output is rounded, or the converter would leave both sides float."""
    found = set()
    for layer in keras_model.layers:
        if layer.name in quantized:
            before = {b.name: b for node in layer.inbound_nodes for b in _as_list(node.inbound_layers)}
            found |= {name for name, b in before.items() if name not in quantized and type(b).__name__ in exits}
    return found


def _calibration_batches(context: RunContext) -> list[Any]:
    import tensorflow as tf

    inputs = context.data.inputs(context.data.dataset.calibration.x[:CALIBRATION_SAMPLES])
    return [tf.constant(inputs[start : start + CALIBRATION_BATCH]) for start in range(0, len(inputs), CALIBRATION_BATCH)]


def _stored_as_integers(prepared: Any, keys: Sequence[str], *, per_tensor: bool) -> list[str]:
    """Which kernels the converter really stores in int8: where float layers stand around, only a trial tells."""
    file = LiteRTFile(convert(prepared, lambda converter: configure_trained(converter, per_tensor=per_tensor)))
    variables = kernel_variables(prepared)
    stored = {key: file.locate(variables[key].numpy()) for key in keys if key in variables}
    return [key for key, tensor in stored.items() if tensor is not None and tensor.dtype == "INT8"]


def _refusal(reason: str) -> RunError:
    return RunError(
        "TFMOT cannot prepare this model for quantization-aware training",
        code="NOT_QUANTIZABLE",
        received=reason,
        fix="Use post_training_quantization instead.",
    )
