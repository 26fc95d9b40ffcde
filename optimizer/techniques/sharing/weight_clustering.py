"""Weight clustering: a few shared values a kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from optimizer.context import RunContext
from optimizer.conversion import convert
from optimizer.environment import Host
from optimizer.kernel_location import locate
from optimizer.kernels import kernel_variables, kernels_by_layer
from optimizer.litert_file import LiteRTFile
from optimizer.model import Model
from optimizer.notes import left_in_words
from optimizer.promises import SharedValues, Sparsity
from optimizer.size_estimate import SizeEstimate
from optimizer.sources.summary import Finding, LayerSummary, ModelSummary, Verdict
from optimizer.sources.wiring import Wiring, wiring_of
from optimizer.surgery.batch_normalization import fold_batch_normalization, foldable_pairs
from optimizer.surgery.clustering import quick_clustering
from optimizer.surgery.describing import wiring_of_keras
from optimizer.surgery.integer_layout import PASSINGS
from optimizer.surgery.wrapping import with_layers_wrapped, with_weights_of
from optimizer.technique import Technique, param, technique
from optimizer.training import Schedule, fit, held_projections
from optimizer.training_settings import batch_size_setting, epochs_setting, learning_rate_setting, skip_layers_setting

CLUSTERABLE = frozenset(
    {
        "Conv1D",
        "Conv1DTranspose",
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

MULTIPLYING = frozenset({"BatchNormalization", "LayerNormalization", "GroupNormalization", "Normalization", "Rescaling"})
"""Layers that multiply by constants; the converter moves such factors into a kernel that follows."""
TORN = "in the file its values may not stay shared, for the converter may multiply them by the factors of the layer before it"


@technique("weight_clustering", family="sharing")
class WeightClustering(Technique):
    """Let the weights of each kernel share a few values, and train those values.

    Use it when the file travels compressed or is stored with a codebook: 16 shared values need 4 bits a weight. BatchNormalization layers are
    folded into the convolutions first, because folding later would multiply the values. Han, Mao & Dally 2016, arXiv 1510.00149; the
    clustering is TFMOT's cluster_weights.
    """

    number_of_clusters: int = param(
        16, low=2, high=256, primary=True, help="Different values that a kernel may hold, zero among them."
    )
    initialization: str = param(
        "kmeans++",
        choices=("kmeans++", "density", "linear"),
        help="Where the values start: k-means++ follows the weights closely, density follows their distribution, linear spaces them evenly.",
    )
    epochs: int = epochs_setting()
    learning_rate: float = learning_rate_setting(1e-4)
    batch_size: int = batch_size_setting()
    skip_layers: tuple[str, ...] = skip_layers_setting()

    def in_words(self) -> str:
        """The step in a few words."""
        return f"{self.number_of_clusters} clusters"

    def estimate(self, size: SizeEstimate) -> SizeEstimate:
        """A few values lower the entropy, not the stored bits."""
        fewest = min(self.number_of_clusters, size.distinct_values or self.number_of_clusters)
        return replace(size, distinct_values=fewest)

    def refusal_after(self, earlier: Sequence[Technique]) -> str:
        """Clustering comes before the model is prepared for quantization."""
        if any(step.name == "quantization_aware_training" for step in earlier):
            return "the model is already prepared for quantization; cluster before quantization_aware_training"
        if self.number_of_clusters < 3 and any(step.name == "magnitude_pruning" for step in earlier):
            return "keeping pruned zeros takes one of the clusters; set number_of_clusters to 3 or more"
        return ""

    def check(self, model: ModelSummary) -> list[Finding]:
        """Kernels of convolutions, dense, recurrent and embedding layers can be clustered."""
        return self._findings(wiring_of(model))

    def _findings(self, wiring: Wiring) -> list[Finding]:
        folded = {removed: kept for kept, removed in foldable_pairs(wiring).items()}
        return [self._finding(layer, wiring, folded) for layer in wiring.layers.values() if layer.parameters]

    def _finding(self, layer: LayerSummary, wiring: Wiring, folded: Mapping[str, str]) -> Finding:
        if layer.name in folded:
            return Finding(layer=layer.name, verdict=Verdict.WORKS, reason="is folded into the layer before it first")
        if layer.name in self.skip_layers:
            return Finding(layer=layer.name, verdict=Verdict.LEFT, reason="named in skip_layers")
        if layer.class_name in CLUSTERABLE:
            factors = _factors_before(layer.name, wiring, folded)
            reason = f"{TORN}, {factors}" if factors else ""
            return Finding(layer=layer.name, verdict=Verdict.WORKS, reason=reason)
        if "Depthwise" in layer.class_name:
            reason = "clustering a depthwise kernel costs accuracy that training does not bring back"
        elif layer.has_kernel:
            reason = f"there is no clustering for {layer.class_name}"
        else:
            reason = "has no kernel"
        return Finding(layer=layer.name, verdict=Verdict.LEFT, reason=reason)

    def cautions(self, model: ModelSummary, host: Host) -> list[str]:
        """Shared values shrink what is compressed, and nothing else."""
        return [
            "Not smaller as a plain .tflite, which stores every weight in full; smaller once it is compressed (gzip, Huffman).",
            "Not faster: no runtime computes with an index in place of a weight.",
        ]

    def apply(self, model: Model, context: RunContext) -> Model:
        """Fold, cluster, train the centroids; zeros that an earlier pruning made stay zero."""
        wiring = wiring_of_keras(model.keras)
        for note in left_in_words(finding for finding in self._findings(wiring) if wiring.layers[finding.layer].has_kernel):
            context.note(note)
        folded, names = fold_batch_normalization(model.keras)
        if names:
            context.note(
                f"{len(names)} BatchNormalization layers were folded into the layers before them, so that the shared values survive."
            )
        chosen, few = self._chosen(folded)
        plan = Schedule(epochs=self.epochs, batch_size=self.batch_size, learning_rate=self.learning_rate)
        sparse = any(isinstance(promise, Sparsity) for promise in model.promises)
        frozen = sum(layer.name in chosen and not layer.trainable for layer in folded.layers)
        if frozen:
            context.note(
                f"Frozen layers ({frozen}): sharing moves their values, so that they are trained like the others in this step."
            )
        with quick_clustering():
            wrapped = with_layers_wrapped(folded, chosen, self._wrapper(preserve_sparsity=sparse))
        projections = held_projections(model.changed(promises=(self._promise(few),)), wrapped)
        fit(wrapped, context, plan, projections=projections)
        result = with_weights_of(folded, _stripped(wrapped))
        clustered = few | _clustered_kernels(result, chosen)
        scaled = self._torn_by_the_converter(result, clustered)
        for key in sorted(scaled):
            context.note(
                f"{key}: the converter multiplies it by the factors of a layer before it, so that its values do not stay shared."
            )
        return model.changed(keras=result, promises=(self._promise(clustered - scaled),))

    def _torn_by_the_converter(self, keras_model: Any, keys: set[str]) -> set[str]:
        """Keys of kernels into which the converter works the factors of a layer that stands before them; only a trial tells which."""
        if not any(type(layer).__name__ in MULTIPLYING for layer in keras_model.layers):
            return set()
        file = LiteRTFile(convert(keras_model))
        variables = kernel_variables(keras_model)
        stored = {key: locate(file, variables[key].numpy()) for key in keys}
        return {key for key, tensor in stored.items() if tensor is not None and tensor.distinct_values > self.number_of_clusters}

    def _promise(self, keys: set[str]) -> SharedValues:
        return SharedValues(technique=self.name, kernels=dict.fromkeys(sorted(keys), float(self.number_of_clusters)))

    def _chosen(self, keras_model: Any) -> tuple[set[str], set[str]]:
        """Names of layers to cluster, and keys of kernels that hold few enough values already: those are held as they are."""
        chosen, few = set(), set()
        all_kernels = kernels_by_layer(keras_model)
        for layer in keras_model.layers:
            if type(layer).__name__ not in CLUSTERABLE or layer.name in self.skip_layers:
                continue
            kernels = all_kernels.get(layer.name, {})
            if all(len(np.unique(kernel.numpy())) > self.number_of_clusters for kernel in kernels.values()):
                chosen.add(layer.name)
            else:
                few |= {key for key, kernel in kernels.items() if len(np.unique(kernel.numpy())) <= self.number_of_clusters}
        return chosen, few

    def _wrapper(self, *, preserve_sparsity: bool) -> Any:
        from tensorflow_model_optimization.clustering.keras import CentroidInitialization
        from tensorflow_model_optimization.python.core.clustering.keras.cluster_config import GradientAggregation
        from tensorflow_model_optimization.python.core.clustering.keras.experimental.cluster import cluster_weights

        start = {
            "kmeans++": CentroidInitialization.KMEANS_PLUS_PLUS,
            "density": CentroidInitialization.DENSITY_BASED,
            "linear": CentroidInitialization.LINEAR,
        }[self.initialization]

        def wrap(layer: Any) -> Any:
            # TFMOT finds the kernels among what is trained, and refuses a frozen layer.
            layer.trainable = True
            return cluster_weights(
                layer,
                number_of_clusters=self.number_of_clusters,
                cluster_centroids_init=start,
                preserve_sparsity=preserve_sparsity,
                # Summed gradients grow with the size of a cluster: ResNet-8 then loses 1.4 points where the mean gains 1.4.
                cluster_gradient_aggregation=GradientAggregation.AVG,
            )

        return wrap


def _factors_before(name: str, wiring: Wiring, folded: Mapping[str, str]) -> str:
    """Class of the layer before it that multiplies by constants, with nothing but reshaping between; empty where there is none."""
    before = wiring.only_source(name)
    while before is not None and (before.name in folded or before.class_name in PASSINGS):
        before = wiring.only_source(before.name)
    return before.class_name if before is not None and before.class_name in MULTIPLYING else ""


def _stripped(wrapped: Any) -> Any:
    from tensorflow_model_optimization.clustering.keras import strip_clustering

    return strip_clustering(wrapped)


def _clustered_kernels(keras_model: Any, names: set[str]) -> set[str]:
    """Keys of the kernels that clustering reached: TFMOT clusters only the pointwise kernel of a separable convolution."""
    found = (key for name, kernels in kernels_by_layer(keras_model).items() if name in names for key in kernels)
    return {key for key in found if "depthwise_kernel" not in key}
