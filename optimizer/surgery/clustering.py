"""TFMOT's clustering in a fraction of its memory and time; it compares every weight with every centroid at each step."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

ENOUGH_WEIGHTS = 2**20
"""Of larger kernels, as many weights or so decide where k-means++ starts."""


@contextlib.contextmanager
def quick_clustering() -> Iterator[None]:
    """Wrappers of TFMOT that are built within look for the nearest centroid by bisection, and start from a sample of a large kernel."""
    from tensorflow_model_optimization.python.core.clustering.keras import clustering_centroids, clustering_registry
    from tensorflow_model_optimization.python.core.clustering.keras.clustering_algorithm import ClusteringAlgorithm

    registry = clustering_registry.ClusteringLookupRegistry
    start = clustering_centroids.KmeansPlusPlusCentroidsInitialisation
    algorithm_of, centroids_of = registry.__dict__["get_clustering_impl"], start._calculate_centroids_for_interval
    nearest = _nearest_centroid()

    def get_clustering_impl(layer: Any, weight_name: str, cluster_per_channel: bool = False) -> Any:
        own = algorithm_of.__get__(None, registry)(layer, weight_name, cluster_per_channel)
        return nearest if own is ClusteringAlgorithm else own

    def centroids_of_sample(self: Any, weights: Any, number: Any) -> Any:
        import tensorflow as tf

        flat = tf.reshape(weights, [-1])
        # An odd stride: lengths of axes are even as a rule, and an even one would see the same few channels of each row.
        stride = int(tf.size(flat)) // ENOUGH_WEIGHTS // 2 * 2 + 1
        return centroids_of(self, flat[::stride], number)

    registry.get_clustering_impl = staticmethod(get_clustering_impl)
    start._calculate_centroids_for_interval = centroids_of_sample
    try:
        yield
    finally:
        registry.get_clustering_impl = algorithm_of
        start._calculate_centroids_for_interval = centroids_of


def _nearest_centroid() -> type[Any]:
    import tensorflow as tf
    from tensorflow_model_optimization.python.core.clustering.keras.clustering_algorithm import ClusteringAlgorithm

    class NearestCentroid(ClusteringAlgorithm):  # type: ignore[misc]
        """Clustering of whole kernels."""

        def get_pulling_indices(self, weight: Any, centroids: Any = None) -> Any:
            """Number of the nearest centroid for each weight, int64 in the weight's shape; by bisection of what lies between two of them."""
            given = tf.convert_to_tensor(self.cluster_centroids if centroids is None else centroids)
            order = tf.argsort(given)
            ascending = tf.gather(given, order)
            borders = (ascending[1:] + ascending[:-1]) / 2
            place = tf.searchsorted(borders, tf.reshape(weight, [-1]))
            return tf.reshape(tf.gather(tf.cast(order, tf.int64), place), weight.shape)

    return NearestCentroid
