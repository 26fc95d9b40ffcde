"""The model that trains within TFMOT's wrappers for pruning and clustering computes what the model that comes of it computes.

The cells of the matrix compare a .tflite with the model without its wrappers, and would not see what a wrapper itself loses.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import zoo

from optimizer.surgery.clustering import quick_clustering
from optimizer.surgery.flattening import flattened
from optimizer.surgery.wrapping import with_layers_wrapped, with_weights_of
from optimizer.techniques.pruning.magnitude_pruning import MagnitudePruning
from optimizer.techniques.sharing.weight_clustering import WeightClustering, _stripped

MEMBERS = ("masked_words", "masked_mean", "mask_dropped_on_the_way", "masked_steps", "plain_convolutions", "transformer")
"""What wrappers have lost, and two that they never harmed: a slice of the zoo, all of which was tried by hand."""


def made(name: str) -> tuple[Any, Any]:
    """A member of the zoo, flat, and samples for it: of models with masks most end in padding."""
    model, (x, _) = zoo.MODELS[name]()
    original = flattened(model)
    return original, x[: model.inputs[0].shape[0] or 16].astype(original.inputs[0].dtype.name)


@pytest.mark.parametrize("name", MEMBERS)
def test_until_the_first_mask_pruning_changes_nothing(name: str) -> None:
    from tensorflow_model_optimization.sparsity.keras import ConstantSparsity, prune_low_magnitude

    original, x = made(name)
    schedule = ConstantSparsity(0.5, begin_step=1)
    wrapped = with_layers_wrapped(
        original, MagnitudePruning()._names(original), lambda layer: prune_low_magnitude(layer, pruning_schedule=schedule)
    )
    np.testing.assert_allclose(wrapped(x, training=False), original(x, training=False), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", MEMBERS)
def test_clustering_trains_the_function_that_comes_of_it(name: str) -> None:
    original, x = made(name)
    step = WeightClustering(number_of_clusters=8, initialization="linear")
    chosen, _ = step._chosen(original)
    with quick_clustering():
        wrapped = with_layers_wrapped(original, chosen, step._wrapper(preserve_sparsity=False))
    trained = wrapped(x, training=False)
    result = with_weights_of(original, _stripped(wrapped))
    np.testing.assert_allclose(trained, result(x, training=False), rtol=1e-4, atol=1e-6)
