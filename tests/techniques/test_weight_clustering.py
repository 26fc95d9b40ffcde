"""Clustering where normalization layers stand around the kernels."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from optimizer.context import Event, RunContext
from optimizer.conversion import convert
from optimizer.kernel_location import locate
from optimizer.kernels import kernel_variables
from optimizer.litert_file import LiteRTFile
from optimizer.model import Model
from optimizer.surgery.clustering import quick_clustering
from optimizer.techniques.sharing.weight_clustering import WeightClustering


def with_model(context: RunContext, *inner: Any) -> tuple[RunContext, list[str]]:
    import tensorflow as tf

    layers = tf.keras.layers
    tf.keras.utils.set_random_seed(0)
    model = tf.keras.Sequential([layers.Input((8, 8, 1)), *inner, layers.Flatten(), layers.Dense(10, activation="softmax")])
    random = np.random.default_rng(0)
    # Factors that differ between channels, as training makes them.
    for layer in model.layers:
        if hasattr(layer, "gamma"):
            layer.gamma.assign(random.uniform(0.5, 1.5, layer.gamma.shape))
    notes: list[str] = []

    def keep(event: Event) -> None:
        if event.kind == "note":
            notes.append(str(event.data["text"]))

    return dataclasses.replace(context, original=Model(keras=model), report=keep), notes


def test_a_separable_convolution_shares_values_through_its_normalization(context: RunContext) -> None:
    import tensorflow as tf

    layers = tf.keras.layers
    separable = layers.SeparableConv2D(8, 3, use_bias=False, name="separable")
    context, _ = with_model(context, separable, layers.BatchNormalization(), layers.ReLU())
    result = WeightClustering(number_of_clusters=4, epochs=1).apply(context.original, context)
    kernel = kernel_variables(result.keras)["separable/pointwise_kernel"].numpy()
    stored = locate(LiteRTFile(convert(result.keras)), kernel)
    assert stored is not None
    assert stored.distinct_values <= 4


def test_a_kernel_that_the_converter_scales_is_named_and_not_promised(context: RunContext) -> None:
    import tensorflow as tf

    layers = tf.keras.layers
    inner = (layers.Dense(6), layers.LayerNormalization(), layers.Dense(8, activation="relu", name="after"))
    context, notes = with_model(context, *inner)
    result = WeightClustering(number_of_clusters=4, epochs=1).apply(context.original, context)
    assert [note for note in notes if note.startswith("after/kernel")]
    (promise,) = result.promises
    assert promise.check_litert(LiteRTFile(convert(result.keras)), result.keras).holds is True


def test_biases_of_two_axes_are_no_kernels() -> None:
    import tensorflow as tf

    layers = tf.keras.layers
    model = tf.keras.Sequential([layers.Input((4, 2)), layers.GRU(3, name="gru")])
    assert set(kernel_variables(model)) == {"gru/gru_cell/kernel", "gru/gru_cell/recurrent_kernel"}


@pytest.mark.parametrize("start", ["kmeans++", "density", "linear"])
def test_the_quick_search_gives_each_weight_the_centroid_that_tfmot_gives_it(start: str) -> None:
    import tensorflow as tf
    from tensorflow_model_optimization.clustering.keras import CentroidInitialization, cluster_weights

    kinds = {"kmeans++": "KMEANS_PLUS_PLUS", "density": "DENSITY_BASED", "linear": "LINEAR"}
    settings = {"number_of_clusters": 7, "cluster_centroids_init": CentroidInitialization[kinds[start]]}

    def clustered() -> Any:
        wrapper = cluster_weights(
            tf.keras.layers.Dense(30, kernel_initializer=tf.keras.initializers.RandomNormal(seed=0)), **settings
        )
        wrapper(np.zeros((1, 40), np.float32))
        return wrapper.layer.kernel.numpy()

    slow = clustered()
    with quick_clustering():
        quick = clustered()
    assert len(np.unique(quick)) > 3
    assert np.array_equal(slow, quick)
    assert np.array_equal(clustered(), slow)
