"""The values of a file that Keras 3 wrote, put into the variables of the translated tf-keras model, one layer at a time."""

from __future__ import annotations

import math
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from optimizer.sources.keras_3.stored_weights import ROOT, Located
from optimizer.sources.naming import snake_case
from optimizer.sources.preflight.weights import mismatch

CHILDREN = {
    "forward_layer": ("forward_layer",),
    "backward_layer": ("backward_layer",),
    "cell": ("cell",),
    "layer": ("layer",),
    "_query_dense": ("query_dense", "_query_dense"),
    "_key_dense": ("key_dense", "_key_dense"),
    "_value_dense": ("value_dense", "_value_dense"),
    "_output_dense": ("output_dense", "_output_dense"),
}
"""Attributes of tf-keras layers that hold layers, with the folders that Keras 3 keeps their weights in."""


def fill_model(model: Any, file: h5py.File, located: Located, place: str) -> None:
    """Set all weights of a tf_keras.Model from an open .weights.h5, or from the group `model_weights` of a .h5.

    Raises:
        InputError: WEIGHTS_MISMATCH, naming the layer.
    """
    for full, layer in _leaves(model, ""):
        where = located.places.get(full)
        if isinstance(where, str):
            _fill(layer, file, where, f"{place}, layer {full}")
        elif layer.weights:
            _assign(layer.weights, [file[path] for path in where or []], f"{place}, layer {full}")
        # A Normalization works with what it makes of its statistics here.
        layer.finalize_state()


def _leaves(model: Any, prefix: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for layer in model.layers:
        name = prefix + layer.name
        found += _leaves(layer, name + "/") if hasattr(layer, "layers") and hasattr(layer, "get_layer") else [(name, layer)]
    return found


def _fill(layer: Any, file: h5py.File, folder: str, place: str) -> None:
    """Set a layer's own weights from folder/vars, and those of the layers within it from the folders beside."""
    own = list(layer._trainable_weights) + list(layer._non_trainable_weights)
    group = file.get(f"{folder}/vars")
    _assign(own, [] if group is None else [group[str(number)] for number in sorted(int(key) for key in group)], place)
    if hasattr(layer, "layers") and hasattr(layer, "get_layer"):
        _fill_list(layer.layers, file, f"{folder}/{ROOT}", place)
        return
    _fill_list(getattr(layer, "cells", None) or [], file, f"{folder}/cells", place)
    for attribute, folders in CHILDREN.items():
        child = getattr(layer, attribute, None)
        if child is not None and hasattr(child, "weights"):
            inner = next((name for name in folders if f"{folder}/{name}" in file), folders[0])
            _fill(child, file, f"{folder}/{inner}", f"{place}, {child.name}")


def _fill_list(layers: list[Any], file: h5py.File, folder: str, place: str) -> None:
    counts: dict[str, int] = {}
    for layer in layers:
        kind = snake_case(type(layer).__name__)
        number = counts.get(kind, 0)
        counts[kind] = number + 1
        _fill(layer, file, f"{folder}/{kind}" + (f"_{number}" if number else ""), f"{place}, {layer.name}")


def _assign(variables: list[Any], stored: list[h5py.Dataset], place: str) -> None:
    wanted, received = [tuple(variable.shape) for variable in variables], [tuple(item.shape) for item in stored]
    # One weight of another shape with as many values has passed the preflight: it is reshaped on purpose.
    if wanted != received and not (len(wanted) == len(received) == 1 and math.prod(wanted[0]) == math.prod(received[0])):
        raise mismatch(place, ", ".join(map(str, wanted)) or "no weights", ", ".join(map(str, received)) or "no weights")
    for variable, item in zip(variables, stored, strict=True):
        values: npt.NDArray[Any] = np.asarray(item[()], dtype=variable.dtype.as_numpy_dtype)
        variable.assign(values.reshape(variable.shape))
