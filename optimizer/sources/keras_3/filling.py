"""The values of a file that Keras 3 wrote, put into the variables of the translated tf-keras model, one layer at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from optimizer.sources.keras_3.parts import Origin
from optimizer.sources.keras_3.stored_weights import Located, layer_folders
from optimizer.sources.naming import snake_case
from optimizer.sources.preflight.hdf5 import checkpoint_weights
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
            _fill(layer, file, where, located.inside[full], f"{place}, layer {full}")
        elif layer.weights:
            reshaped = any(origin.reshaped for origin in located.inside.get(full, {}).values())
            _assign(layer.weights, [file[path] for path in where or []], f"{place}, layer {full}", reshaped=reshaped)
        # A Normalization works with what it makes of its statistics here.
        layer.finalize_state()


def _leaves(model: Any, prefix: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for layer in model.layers:
        name = prefix + layer.name
        found += _leaves(layer, name + "/") if _is_model(layer) else [(name, layer)]
    return found


def _is_model(layer: Any) -> bool:
    return hasattr(layer, "layers") and hasattr(layer, "get_layer")


def _fill(layer: Any, file: h5py.File, folder: str, inside: Mapping[str, Origin], place: str) -> None:
    """Set a layer's own weights from folder/vars, and those of the layers within it from the folders beside.

    `inside` tells where the layers of a model that it wraps have theirs: they may be others than Keras 3 has there.
    """
    if _is_model(layer):
        places = layer_folders(inside, checkpoint_weights(file[folder]) if folder in file else {})
        for name, inner in _leaves(layer, ""):
            where = f"{place}, {inner.name}"
            if name in places:
                _fill(inner, file, f"{folder}/{places[name]}", inside[name].inside, where)
            else:
                _assign(inner.weights, [], where)
        return
    own = list(layer._trainable_weights) + list(layer._non_trainable_weights)
    group = file.get(f"{folder}/vars")
    _assign(own, [] if group is None else [group[str(number)] for number in sorted(int(key) for key in group)], place)
    _fill_cells(getattr(layer, "cells", None) or [], file, f"{folder}/cells", place)
    for attribute, folders in CHILDREN.items():
        child = getattr(layer, attribute, None)
        if child is not None and hasattr(child, "weights"):
            inner = next((name for name in folders if f"{folder}/{name}" in file), folders[0])
            _fill(child, file, f"{folder}/{inner}", inside, f"{place}, {child.name}")


def _fill_cells(cells: list[Any], file: h5py.File, folder: str, place: str) -> None:
    counts: dict[str, int] = {}
    for cell in cells:
        kind = snake_case(type(cell).__name__)
        number = counts.get(kind, 0)
        counts[kind] = number + 1
        _fill(cell, file, f"{folder}/{kind}" + (f"_{number}" if number else ""), {}, f"{place}, {cell.name}")


def _assign(variables: list[Any], stored: list[h5py.Dataset], place: str, *, reshaped: bool = False) -> None:
    """Set variables to stored values of the same shapes; of one weight alone, or where `reshaped`, as many values in another shape do.

    One weight of another shape has passed the preflight: it is reshaped on purpose.
    """
    wanted, received = [tuple(variable.shape) for variable in variables], [tuple(item.shape) for item in stored]
    reshaped = reshaped or len(wanted) == 1
    if wanted != received and not (
        reshaped and [math.prod(shape) for shape in wanted] == [math.prod(shape) for shape in received]
    ):
        raise mismatch(place, ", ".join(map(str, wanted)) or "no weights", ", ".join(map(str, received)) or "no weights")
    for variable, item in zip(variables, stored, strict=True):
        values: npt.NDArray[Any] = np.asarray(item[()], dtype=variable.dtype.as_numpy_dtype)
        variable.assign(values.reshape(variable.shape))
