"""Which weights of a Keras model are kernels, under names that survive TFMOT's wrappers."""

from __future__ import annotations

from typing import Any

MINIMUM_RANK = 2


def unwrapped(layer: Any) -> Any:
    """The layer inside TFMOT's pruning, clustering and quantization wrappers; the layer itself where it has none."""
    while type(layer).__name__ in (
        "PruneLowMagnitude",
        "ClusterWeights",
        "ClusterWeightsMHA",
        "ClusterWeightsRNN",
        "QuantizeWrapper",
        "QuantizeWrapperV2",
        "RoundedSeparable",
    ):
        layer = layer.layer
    return layer


def kernel_variables(model: Any) -> dict[str, Any]:
    """Every weight of rank 2 or more that training changes, biases left out, as {"layer/weight": tf.Variable}.

    Keys are the layer's name and the weight's path inside it ("conv2d/kernel", "lstm/lstm_cell/recurrent_kernel"): the same before, during and
    after a TFMOT wrapper is around the layer.
    """
    return {key: variable for kernels in kernels_by_layer(model).values() for key, variable in kernels.items()}


def kernels_by_layer(model: Any) -> dict[str, dict[str, Any]]:
    """`kernel_variables`, as {layer's name: {key: tf.Variable}}; layers without kernels are left out."""
    found: dict[str, dict[str, Any]] = {}
    for outer in model.layers:
        layer = unwrapped(outer)
        # Of the wrapper, for clustering puts a tensor where the layer had its kernel; a frozen kernel is one too.
        for variable in outer.weights:
            if len(variable.shape) >= MINIMUM_RANK and variable.dtype.is_floating and not _is_bookkeeping(variable.name):
                found.setdefault(layer.name, {})[kernel_key(layer.name, variable.name)] = variable
    return found


def kernel_key(layer_name: str, variable_name: str) -> str:
    """ "conv2d/kernel" from a layer's name and a variable's, which may repeat the layer's or a wrapper's name in front."""
    path = "/" + variable_name.removesuffix(":0")
    _, found, inside = path.rpartition(f"/{layer_name}/")
    return f"{layer_name}/{inside if found else path[1:]}"


def _is_bookkeeping(variable_name: str) -> bool:
    last = variable_name.removesuffix(":0").rsplit("/", 1)[-1]
    # A GRU's bias and those of attention heads have two axes; a bias is no kernel.
    return last == "bias" or last.startswith(("mask", "cluster_centroids", "moving_", "pulling_indices"))
