"""Quantization-aware training."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from optimizer.context import RunContext
from optimizer.conversion import configure_trained, convert
from optimizer.environment import Host
from optimizer.kernel_location import locate, locate_parts
from optimizer.kernels import kernel_variables, kernels_by_layer
from optimizer.litert_file import LiteRTFile
from optimizer.model import Model
from optimizer.notes import left_in_words
from optimizer.promises import SharedValues, StoredType
from optimizer.size_estimate import SizeEstimate
from optimizer.sources.summary import Finding, LayerSummary, ModelSummary, Verdict
from optimizer.sources.wiring import Wiring, wiring_of
from optimizer.speed import int8_in_words
from optimizer.surgery.batch_normalization import FOLDABLE, fold_batch_normalization
from optimizer.surgery.describing import wiring_of_keras
from optimizer.surgery.fake_quantization import calibrate, with_fake_quantization
from optimizer.surgery.integer_layout import (
    TRAINED_WITH_NORMALIZATION,
    Layout,
    Role,
    ends_in_float,
    integer_layout,
)
from optimizer.surgery.wrapping import without_activity_penalties
from optimizer.technique import Technique, param, technique
from optimizer.training import Schedule, fit, held_projections, tensors
from optimizer.training_settings import batch_size_setting, learning_rate_setting

CALIBRATION_SAMPLES = 256
CALIBRATION_BATCH = 64


@technique("quantization_aware_training", family="quantization")
class QuantizationAwareTraining(Technique):
    """Train with 8-bit rounding in the loop, so that the int8 file keeps its accuracy.

    Use it when post-training int8 loses too much. The .tflite has int8 weights and activations; a layer that has no integer operator stays
    float and is named. Zeros and shared values of earlier steps are held after each training step. Jacob et al. 2018, arXiv 1712.05877; the
    fake quantization is made of TFMOT's wrappers and quantizers.
    """

    epochs: int = param(2, low=1, high=200, primary=True, help="Passes over the training data.")
    learning_rate: float = learning_rate_setting(3e-4, low=1e-7)
    batch_size: int = batch_size_setting()
    skip_layers: tuple[str, ...] = param((), help="Names of layers that stay float.")

    def in_words(self) -> str:
        """The step in a few words."""
        return "QAT int8"

    def estimate(self, size: SizeEstimate) -> SizeEstimate:
        """Eight bits a weight."""
        return replace(size, stored_bits=8, activation_bits=8)

    def refusal_after(self, earlier: Sequence[Technique]) -> str:
        """Once is enough."""
        if any(step.name == self.name for step in earlier):
            return "the model is already prepared for quantization; set more epochs on the first one instead"
        return ""

    def check(self, model: ModelSummary) -> list[Finding]:
        """Every layer gets a verdict: layers without weights can break the integer path too."""
        return findings(wiring_of(model), self.skip_layers)

    def cautions(self, model: ModelSummary, host: Host) -> list[str]:
        """The file is one of int8 weights and activations."""
        return int8_in_words(model, host)

    def apply(self, model: Model, context: RunContext) -> Model:
        """Insert the fake quantization, calibrate it, train."""
        per_tensor = model.shares_values
        plain = self._folded(model, context, per_tensor=per_tensor)
        if per_tensor:
            context.note("Kernels get one scale each instead of one a channel, so that shared values stay shared.")
        wiring = wiring_of_keras(plain)
        layout = integer_layout(wiring, self.skip_layers)
        for note in left_in_words(findings(wiring, self.skip_layers), one="stays float", many="stay float"):
            context.note(note)
        if not layout.rounds:
            context.note("None of the layers can be quantized: nothing is trained, and the file stays float32.")
            return model.changed(promises=(StoredType(technique=self.name, kernels=(), dtypes=("INT8",)),))
        prepared = with_fake_quantization(plain, layout, per_tensor=per_tensor)
        plan = Schedule(epochs=self.epochs, batch_size=self.batch_size, learning_rate=self.learning_rate)
        calibrate(prepared, _calibration_batches(context), steps=plan.steps(len(context.data.dataset.train)))
        fit(prepared.keras, context, plan, projections=held_projections(model, prepared.keras))
        trial = convert(prepared.keras, lambda converter: configure_trained(converter, per_tensor=per_tensor))
        file = LiteRTFile(trial)
        if per_tensor and any(layer.calls > 1 and layer.has_kernel for layer in wiring.layers.values()):
            model = _without_torn_values(model, prepared.keras, file, context)
        stored = _stored_as_integers(prepared.keras, layout, file, context)
        promise = StoredType(technique=self.name, kernels=tuple(stored), dtypes=("INT8",))
        return model.changed(keras=prepared.keras, quantization_aware=True, promises=(promise,), trial=trial)

    def _folded(self, model: Model, context: RunContext, *, per_tensor: bool) -> Any:
        """A copy without activity penalties, and without the BatchNormalization layers that the converter could not fold afterwards."""
        kinds = FOLDABLE if per_tensor else FOLDABLE - TRAINED_WITH_NORMALIZATION
        plain, folded = fold_batch_normalization(model.keras, kinds)
        if folded:
            context.note(
                f"{', '.join(folded)}: folded into the layer before, since the converter cannot do so after this training."
            )
        return without_activity_penalties(plain)


def _stored_as_integers(prepared: Any, layout: Layout, file: LiteRTFile, context: RunContext) -> list[str]:
    """Which kernels the converter really stored in int8: where float layers stand around, only the file tells."""
    rounded = {name for name, role in layout.roles.items() if role is Role.KERNEL}
    treated = {
        key: variable for name, found in kernels_by_layer(prepared).items() if name in rounded for key, variable in found.items()
    }
    if not layout.reasons:
        return sorted(treated)
    located = {key: locate(file, variable.numpy()) for key, variable in treated.items()}
    stored = sorted(key for key, tensor in located.items() if tensor is not None and tensor.dtype == "INT8")
    for key in sorted(set(treated) - set(stored)):
        context.note(f"{key} trained with rounding, but the converter keeps it float between layers that stay float.")
    return stored


def _without_torn_values(model: Model, prepared: Any, file: LiteRTFile, context: RunContext) -> Model:
    """The model without promises of shared values that its file cannot keep.

    The converter gives the kernel of a convolution that is called several times one scale a channel, whatever it is told.
    """
    variables = kernel_variables(prepared)
    kept = []
    for promise in model.promises:
        if isinstance(promise, SharedValues):
            stored = {key: locate_parts(file, variables[key].numpy()) for key in promise.kernels}
            torn = {
                key
                for key, number in promise.kernels.items()
                if promise.fault_of_parts([part.values for part in stored[key]], number)
            }
            for key in sorted(torn):
                context.note(
                    f"{key}: called several times, so that the converter splits its scale, and its values do not stay shared."
                )
            promise = replace(promise, kernels={k: n for k, n in promise.kernels.items() if k not in torn})
        kept.append(promise)
    return replace(model, promises=tuple(kept))


def findings(wiring: Wiring, skipped: Collection[str]) -> list[Finding]:
    """A verdict on each layer of a model."""
    layout = integer_layout(wiring, skipped)
    return [_finding(layer, wiring, layout, skipped) for layer in wiring.layers.values()]


def _finding(layer: LayerSummary, wiring: Wiring, layout: Layout, skipped: Collection[str]) -> Finding:
    reason = layout.reasons.get(layer.name, "")
    if reason:
        fix = "" if layer.name in skipped else "Nothing to do: the layers around it are quantized all the same."
        return Finding(layer=layer.name, verdict=Verdict.LEFT, reason=reason, fix=fix)
    if layer.class_name == "BatchNormalization":
        return Finding(layer=layer.name, verdict=Verdict.WORKS, reason="becomes part of the layer before it")
    if layout.roles[layer.name] is Role.KERNEL and ends_in_float(layer):
        reason = f"its kernel is rounded; the activation {layer.activation} is computed in float"
    return Finding(layer=layer.name, verdict=Verdict.WORKS, reason=reason)


def _calibration_batches(context: RunContext) -> list[Any]:
    samples = context.data.dataset.calibration.x[:CALIBRATION_SAMPLES]
    starts = range(0, len(samples), CALIBRATION_BATCH)
    return [tensors(context.data.inputs(samples[start : start + CALIBRATION_BATCH])) for start in starts]
