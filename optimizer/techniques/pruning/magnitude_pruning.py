"""Magnitude pruning on a schedule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from optimizer.context import RunContext
from optimizer.environment import Host
from optimizer.kernels import kernel_key, kernel_variables
from optimizer.model import Model
from optimizer.notes import left_in_words
from optimizer.promises import Sparsity
from optimizer.size_estimate import SizeEstimate
from optimizer.sources.summary import Finding, LayerSummary, ModelSummary, Verdict
from optimizer.speed import sparse_kernels_in_words
from optimizer.surgery.describing import wiring_of_keras
from optimizer.surgery.wrapping import with_layers_wrapped, with_weights_of
from optimizer.technique import Technique, layer_findings, param, technique
from optimizer.training import Schedule, fit, held_projections
from optimizer.training_settings import batch_size_setting, epochs_setting, learning_rate_setting, skip_layers_setting

PRUNABLE = frozenset(
    {
        "Conv1D",
        "Conv2D",
        "Conv2DTranspose",
        "Conv3D",
        "Conv3DTranspose",
        "Dense",
        "Embedding",
        "SeparableConv1D",
        "SeparableConv2D",
        "LocallyConnected1D",
        "LocallyConnected2D",
        "LSTM",
        "GRU",
        "SimpleRNN",
    }
)
RAMP_FRACTION = 0.6
"""Share of the steps in which sparsity rises; the rest lets the remaining weights recover."""
UPDATES = 24
"""How often the mask is chosen anew while sparsity rises."""


@technique("magnitude_pruning", family="pruning")
class MagnitudePruning(Technique):
    """Zero the smallest weights of each kernel on a rising schedule while the rest trains on.

    Use it when the file is compressed for transport or stored packed: a .tflite stores zeros like any number, so the plain file
    does not shrink, its gzip does. Zhu & Gupta 2017, arXiv 1710.01878; the masks are TFMOT's prune_low_magnitude.
    """

    final_sparsity: float = param(
        0.5, low=0.0, high=0.98, step=0.05, primary=True, help="Fraction of each kernel's weights that end at zero."
    )
    schedule: str = param(
        "polynomial",
        choices=("polynomial", "constant"),
        help="Polynomial raises the sparsity step by step along a cubic; constant prunes to the full sparsity at once.",
    )
    epochs: int = epochs_setting()
    learning_rate: float = learning_rate_setting(1e-3)
    batch_size: int = batch_size_setting()
    skip_layers: tuple[str, ...] = skip_layers_setting()

    def in_words(self) -> str:
        """The step in a few words."""
        return f"prune {self.final_sparsity:.0%}".replace("%", " %")

    def estimate(self, size: SizeEstimate) -> SizeEstimate:
        """Zeros lower the entropy, not the stored bits."""
        return replace(size, nonzero=min(size.nonzero, 1 - self.final_sparsity))

    def refusal_after(self, earlier: Sequence[Technique]) -> str:
        """Shared values and fake quantization are both undone by pruning."""
        if any(step.name == "weight_clustering" for step in earlier):
            return "pruning moves the values that weight_clustering shared; prune first, then cluster"
        if any(step.name == "quantization_aware_training" for step in earlier):
            return "the model is already prepared for quantization; prune before quantization_aware_training"
        return ""

    def check(self, model: ModelSummary) -> list[Finding]:
        """Kernels of convolutions, dense, recurrent and embedding layers can be pruned."""
        return list(layer_findings(model, self._finding))

    def _finding(self, layer: LayerSummary) -> Finding:
        if layer.name in self.skip_layers:
            return Finding(layer=layer.name, verdict=Verdict.LEFT, reason="named in skip_layers")
        if layer.class_name in PRUNABLE and not layer.has_one_weight:
            return Finding(layer=layer.name, verdict=Verdict.WORKS)
        if layer.class_name in PRUNABLE:
            reason = "its kernel is one weight"
        elif "Depthwise" in layer.class_name:
            reason = "a depthwise kernel has few weights, and each matters"
        elif layer.has_kernel:
            reason = f"there is no pruning for {layer.class_name}"
        else:
            reason = "has no kernel"
        return Finding(layer=layer.name, verdict=Verdict.LEFT, reason=reason)

    def cautions(self, model: ModelSummary, host: Host) -> list[str]:
        """Zeros shrink what is compressed; only some processors skip them."""
        return [
            "Not smaller as a plain .tflite, which stores zeros like any number; smaller once it is compressed (gzip, Huffman).",
            sparse_kernels_in_words(model, host),
            "No sparse tensors are written: a file that has them starts with DENSIFY, which microcontroller runtimes do not know.",
        ]

    def apply(self, model: Model, context: RunContext) -> Model:
        """Train with TFMOT's masks, then zero exactly the promised number of weights and take the wrappers off."""
        import tensorflow_model_optimization as tfmot

        plan = Schedule(epochs=self.epochs, batch_size=self.batch_size, learning_rate=self.learning_rate)
        schedule = self._tfmot_schedule(plan.steps(len(context.data.dataset.train)))
        for note in left_in_words(
            self._finding(layer) for layer in wiring_of_keras(model.keras).layers.values() if layer.has_kernel
        ):
            context.note(note)
        names = self._names(model.keras)
        wrapped = with_layers_wrapped(
            model.keras, names, lambda layer: tfmot.sparsity.keras.prune_low_magnitude(layer, pruning_schedule=schedule)
        )
        wrappers = [layer for layer in wrapped.layers if type(layer).__name__ == "PruneLowMagnitude"]
        for wrapper in wrappers:
            wrapper.pruning_step.assign(0)
        fit(wrapped, context, plan, projections=held_projections(model, wrapped))
        pruned = {kernel_key(w.layer.name, weight.name) for w in wrappers for weight in w.layer.get_prunable_weights()}
        result = with_weights_of(model.keras, wrapped)
        promised = _zero_smallest(result, pruned, self.final_sparsity)
        return model.changed(keras=result, promises=(Sparsity(technique=self.name, kernels=promised),))

    def _names(self, keras_model: Any) -> set[str]:
        layers = wiring_of_keras(keras_model).layers.values()
        return {layer.name for layer in layers if self._finding(layer).verdict is Verdict.WORKS}

    def _tfmot_schedule(self, steps: int) -> Any:
        from tensorflow_model_optimization.sparsity.keras import ConstantSparsity, PolynomialDecay

        frequency = max(1, int(steps * RAMP_FRACTION) // UPDATES)
        if self.schedule == "constant":
            return ConstantSparsity(self.final_sparsity, begin_step=1, frequency=frequency)
        updates = max(1, int(steps * RAMP_FRACTION) // frequency)
        return PolynomialDecay(0.0, self.final_sparsity, begin_step=1, end_step=1 + updates * frequency, frequency=frequency)


def _zero_smallest(keras_model: Any, keys: set[str], sparsity: float) -> dict[str, float]:
    """Zero the smallest weights of each kernel up to `sparsity`, all but the largest; returns the fraction of zeros reached, by kernel.

    TFMOT masks by a threshold, so kernels with equal weights (or very short trainings) can end a little above or below the number.
    """
    reached = {}
    variables = kernel_variables(keras_model)
    for key in keys & variables.keys():
        values = variables[key].numpy()
        # TFMOT's masks leave one weight too: with none, the layer would pass nothing on.
        number = min(math.ceil(values.size * sparsity), values.size - 1)
        flat = values.reshape(-1)
        flat[smallest(np.abs(flat), number)] = 0.0
        variables[key].assign(values)
        reached[key] = number / values.size
    return reached


def smallest(magnitudes: npt.NDArray[np.float32], number: int) -> npt.NDArray[np.bool_]:
    """True for the `number` smallest of the magnitudes (n,), of equal ones for the first; as a stable sort would choose, without one."""
    if number == 0:
        return np.zeros(len(magnitudes), bool)
    magnitudes = np.nan_to_num(magnitudes, nan=np.inf, posinf=np.inf)
    limit = np.partition(magnitudes, number - 1)[number - 1]
    chosen: npt.NDArray[np.bool_] = magnitudes < limit
    chosen[np.flatnonzero(magnitudes == limit)[: number - np.count_nonzero(chosen)]] = True
    return chosen
