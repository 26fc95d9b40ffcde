"""Where the weights of each translated layer lie in a file that Keras 3 wrote, and whether they have the shapes that tf-keras expects."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from optimizer.sources.graph import Graph
from optimizer.sources.keras_3.parts import Origin
from optimizer.sources.preflight.hdf5 import Stored
from optimizer.sources.preflight.weights import PARTS, Shapes, below, checkpoint_leaf, legacy_leaf, mismatch
from optimizer.sources.shapes import Inference

ROOT = "layers"
WITHOUT_VALUES = ("seed_generator", "generator", "_random_generator", "_seed_generators")
"""Folders of random states, which tf-keras does not keep among the weights."""


@dataclass(frozen=True, kw_only=True)
class Located:
    """Weights of the leaves of a graph, by full name: their shapes in tf-keras's order, and where they are stored.

    `places` are folders of a .keras archive, or lists of data sets of a .h5 in tf-keras's order. `inside` tells where the layers of wrapped
    models are.
    """

    shapes: dict[str, Shapes]
    places: dict[str, str | list[str]]
    inside: Mapping[str, Mapping[str, Origin]]


def locate_checkpoint(graph: Graph, origins: Mapping[str, Origin], stored: Stored, inference: Inference, place: str) -> Located:
    """Weights in the .weights.h5 of a .keras archive. Raises InputError WEIGHTS_MISMATCH."""
    stored = {path: stored[path] for path in sorted(stored) if not set(path.split("/")) & set(WITHOUT_VALUES)}
    folders = layer_folders(origins, stored)
    shapes: dict[str, Shapes] = {}
    used: set[str] = set()
    for full, node in graph.leaves():
        if full not in folders:
            shapes[full] = {}
            continue
        weights = below(folders[full] + "/", stored)
        used.update(f"{folders[full]}/{key}" for key in weights)
        if origins[full].reshaped:
            weights = _reshaped(full, weights, inference)
        shapes[full] = checkpoint_leaf(node, weights, inference, full, place)
        outside = folders[full].removesuffix("/" + origins[full].part)
        used.update(path for name in origins[full].ignored for path in stored if path.startswith(f"{outside}/{name}/"))
    for path, shape in stored.items():
        if path.startswith(ROOT + "/") and path not in used:
            raise mismatch(f"{place}, {path}", "no such weight in the architecture", f"shape {shape}")
    inside = {full: origin.inside for full, origin in origins.items()}
    return Located(shapes=shapes, places={full: folders[full] for full in shapes if full in folders}, inside=inside)


def _reshaped(full: str, weights: Stored, inference: Inference) -> Stored:
    """Stored shapes as tf-keras has them, where the values are as many."""
    expected = list((inference.layers[full].weights or {}).values())
    if len(expected) != len(weights):
        return weights
    same = {
        key: wanted
        for (key, shape), wanted in zip(weights.items(), expected, strict=True)
        if math.prod(shape) == math.prod(wanted)
    }
    return {**weights, **same}


def layer_folders(origins: Mapping[str, Origin], stored: Stored) -> dict[str, str]:
    """The folder of each layer of a model, below the model's own.

    Versions of Keras 3 differ: folders are named by the class and a number, or by the layer.
    """
    present: dict[str, set[str]] = {}
    for path in stored:
        steps = path.split("/")
        for depth, step in enumerate(steps[:-1]):
            if step == ROOT:
                present.setdefault("/".join(steps[: depth + 1]), set()).add(steps[depth + 1])
    by_class: dict[tuple[tuple[str, str], ...], set[str]] = {}
    for origin in origins.values():
        for depth in range(len(origin.folders)):
            by_class.setdefault(origin.folders[:depth], set()).add(origin.folders[depth][0])
    found = {}
    for full, origin in origins.items():
        path = ""
        for depth, (class_folder, name) in enumerate(origin.folders):
            path = f"{path}/{ROOT}" if path else ROOT
            numbered = present.get(path, set()) <= by_class[origin.folders[:depth]]
            path = f"{path}/{class_folder if numbered else name}"
        if origin.part:
            # Keras 3 stores attributes without a public name under their private one.
            public = any(step.startswith(f"{path}/{origin.part}/") for step in stored)
            path = f"{path}/{origin.part}" if public else f"{path}/_{origin.part}"
        found[full] = path
    return _with_shared(found, origins, stored)


def _with_shared(found: dict[str, str], origins: Mapping[str, Origin], stored: Stored) -> dict[str, str]:
    """Folders where layers that several models share find theirs too: Keras 3 stores them in the model that it comes to first."""
    filled = {folder for path in stored for folder in itertools.accumulate(path.split("/"), "{}/{}".format)}
    same: dict[tuple[str, str], set[str]] = {}
    for full, folder in found.items():
        if folder in filled:
            same.setdefault(_identity(origins[full]), set()).add(folder)
    shared = {}
    for full, folder in found.items():
        elsewhere = same.get(_identity(origins[full]), set())
        shared[full] = next(iter(elsewhere)) if folder not in filled and len(elsewhere) == 1 else folder
    return shared


def _identity(origin: Origin) -> tuple[str, str]:
    """Name and kind of a layer."""
    class_folder, name = origin.folders[-1]
    return name, re.sub(r"_\d+$", "", class_folder)


def locate_legacy(
    graph: Graph, origins: Mapping[str, Origin], stored: Mapping[str, Stored], inference: Inference, place: str
) -> Located:
    """Weights in a .h5. Raises InputError WEIGHTS_MISMATCH."""
    owned: dict[str, list[tuple[str, tuple[int, ...]]]] = {full: [] for full in origins}
    places: dict[str, str | list[str]] = {}
    for group, weights in stored.items():
        inside = {full: origin for full, origin in origins.items() if origin.folders[0][1] == group}
        for name, shape in weights.items():
            owner = _owner(name, inside)
            if owner is not None and name.split("/")[-1] in origins[owner].ignored:
                continue
            if owner is None:
                where = f"{place}, layer {group}"
                raise mismatch(where, "weights that belong to one layer each", f"{name} of shape {shape}")
            owned[owner].append((name, shape))
            entry = places.setdefault(owner, [])
            if isinstance(entry, list):
                entry.append(f"{group}/{name}")
    for full, origin in origins.items():
        if origin.reshaped:
            owned[full] = list(_reshaped(full, dict(owned[full]), inference).items())
    shapes = {full: legacy_leaf(node, owned.get(full, []), inference, full, place) for full, node in graph.leaves()}
    return Located(shapes=shapes, places=places, inside={full: origin.inside for full, origin in origins.items()})


def _owner(name: str, inside: Mapping[str, Origin]) -> str | None:
    """The layer of a top layer's group that a weight belongs to, by the names in its path."""
    steps = name.split("/")[:-1]
    parts = {PARTS.get(step, step) for step in steps}
    fitting: dict[str, int] = {}
    for full, origin in inside.items():
        chain = [layer for _, layer in origin.folders]
        if PARTS.get(origin.part, origin.part) not in {"", *parts}:
            continue
        if len(chain) == 1 or set(chain[-1].split("/")) <= set(steps):
            fitting[full] = len(set(chain) & set(steps))
    best = max(fitting.values(), default=0)
    owners = [full for full, score in fitting.items() if score == best]
    return owners[0] if len(owners) == 1 else None
