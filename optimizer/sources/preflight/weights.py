"""Stored weights matched to layers, and held against what the architecture asks for."""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Mapping

from optimizer.errors import InputError
from optimizer.sources.graph import Graph, Node
from optimizer.sources.layer_rules import LayerCall
from optimizer.sources.limits import MAX_PARAMETERS
from optimizer.sources.naming import snake_case
from optimizer.sources.preflight.hdf5 import Stored
from optimizer.sources.shapes import Inference, layer_facts

Shapes = dict[str, tuple[int, ...]]

PARTS = {
    "forward_layer": "forward",
    "backward_layer": "backward",
    "_query_dense": "query",
    "_key_dense": "key",
    "_value_dense": "value",
    "_output_dense": "attention_output",
    "query_dense": "query",
    "key_dense": "key",
    "value_dense": "value",
    "output_dense": "attention_output",
    "cell": "",
    "layer": "",
}
"""What the parts of a composite layer are called in a .keras archive, and in our names of weights."""

OLD_FOLDER = "_layer_checkpoint_dependencies"
"""Where .keras archives of Keras 2.12 and 2.13 keep the weights of layers; later ones have "layers"."""

NON_TRAINABLE = ("moving_mean", "moving_variance", "mean", "variance", "count")


def check_size(graph: Graph, inference: Inference, place: str) -> None:
    """Refuse an architecture whose weights would not fit. Raises InputError TOO_LARGE.

    tf-keras builds a layer with the shape in its `build_config` first, whatever the layers before it give out: that counts too.
    """
    total = 0
    for name, node in graph.leaves():
        layer = inference.layers.get(name)
        wanted = parameter_count(layer.weights or {}) if layer is not None else 0
        if node.build_shape is not None:
            facts = layer_facts(node, LayerCall(inputs=(node.build_shape,)), f"{place}, layer {name}")
            wanted = max(wanted, parameter_count(facts.weights or {}))
        total += wanted
        if total > MAX_PARAMETERS:
            raise InputError(
                "The model has too many parameters",
                code="TOO_LARGE",
                place=f"{place}, layer {name}",
                received=f"at least {total:,}",
                limit=f"{MAX_PARAMETERS:,}",
            )


def match_legacy(graph: Graph, stored: Mapping[str, Stored], inference: Inference, place: str) -> dict[str, Shapes]:
    """Weights of every layer of a .h5, by full layer name. Raises InputError WEIGHTS_MISMATCH."""
    names = {node.name for node in graph.nodes}
    for group, weights in stored.items():
        if weights and group not in names:
            raise mismatch(f"{place}, layer {group}", "no such layer in the architecture", f"{len(weights)} weights")
    found: dict[str, Shapes] = {}
    for node in graph.nodes:
        weights = stored.get(node.name, {})
        if node.graph is None:
            found[node.name] = legacy_leaf(node, list(weights.items()), inference, node.name, place)
        else:
            found.update(_legacy_nested(node, weights, inference, place))
    return found


def _legacy_nested(node: Node, weights: Stored, inference: Inference, place: str) -> dict[str, Shapes]:
    """Weights of a nested model, which its one HDF5 group holds side by side."""
    leaves = [] if node.graph is None else node.graph.leaves(node.name + "/")
    by_name: dict[str, list[tuple[str, tuple[int, ...]]]] = {full: [] for full, _ in leaves}
    order = {leaf.name: full for full, leaf in leaves}
    for name, shape in weights.items():
        owner = next((order[part] for part in reversed(name.split("/")[:-1]) if part in order), None)
        if owner is None:
            return _nested_in_order(leaves, list(weights.values()), inference, f"{place}, layer {node.name}")
        by_name[owner].append((name, shape))
    return {full: legacy_leaf(leaf, by_name[full], inference, full, place) for full, leaf in leaves}


def _nested_in_order(
    leaves: list[tuple[str, Node]], shapes: list[tuple[int, ...]], inference: Inference, where: str
) -> dict[str, Shapes]:
    """Weights whose names do not tell their layer: Keras stores all trainable ones first, then the others."""
    trainable: list[tuple[str, str, tuple[int, ...]]] = []
    others: list[tuple[str, str, tuple[int, ...]]] = []
    for full, leaf in leaves:
        for name, shape in (inference.layers[full].weights or {}).items():
            frozen = name.split("/")[-1] in NON_TRAINABLE or leaf.config.get("trainable") is False
            (others if frozen else trainable).append((full, name, shape))
    wanted = trainable + others
    if [shape for _, _, shape in wanted] != shapes:
        raise mismatch(where, _in_words([shape for _, _, shape in wanted]), _in_words(shapes))
    found: dict[str, Shapes] = {full: {} for full, _ in leaves}
    for full, name, shape in wanted:
        found[full][name] = shape
    return found


def legacy_leaf(node: Node, weights: list[tuple[str, tuple[int, ...]]], inference: Inference, full: str, place: str) -> Shapes:
    """Weights of one layer of a .h5, by name. Raises InputError WEIGHTS_MISMATCH."""
    expected = inference.layers[full].weights if full in inference.layers else None
    shapes = [shape for _, shape in weights]
    if expected is None:
        return _unique([(_base_name(name), shape) for name, shape in weights])
    if list(expected.values()) != shapes:
        raise mismatch(f"{place}, layer {full} ({node.class_name})", _in_words(list(expected.values())), _in_words(shapes))
    return dict(expected)


def _base_name(name: str) -> str:
    return re.sub(r":\d+$", "", name.split("/")[-1])


def match_checkpoint(graph: Graph, stored: Stored, inference: Inference, place: str) -> dict[str, Shapes]:
    """Weights of every layer of a .keras archive, by full layer name. Raises InputError WEIGHTS_MISMATCH."""
    roots = [root for root in ("layers", OLD_FOLDER) if any(path.startswith(root + "/") for path in stored)]
    root = roots[0] if roots else "layers"
    used: set[str] = set()
    found = _checkpoint_graph(graph, root, stored, inference, "", place, used)
    for path in stored:
        if path.startswith(root + "/") and path not in used:
            raise mismatch(f"{place}, {path}", "no such weight in the architecture", f"shape {stored[path]}")
    return found


def _checkpoint_graph(
    graph: Graph, folder: str, stored: Stored, inference: Inference, prefix: str, place: str, used: set[str]
) -> dict[str, Shapes]:
    """Follow tf-keras's naming: a list of layers is stored under its classes' names in snake case, numbered from the second."""
    found: dict[str, Shapes] = {}
    counts: dict[str, int] = {}
    for node in graph.nodes:
        if node.class_name == "InputLayer":
            found[prefix + node.name] = {}
            continue
        kind = snake_case("Functional" if node.class_name == "Model" else node.class_name)
        number = counts.get(kind, 0)
        counts[kind] = number + 1
        path = f"{folder}/{kind}" + (f"_{number}" if number else "")
        if node.graph is not None:
            inner = f"{path}/{folder.split('/')[-1]}"
            found.update(_checkpoint_graph(node.graph, inner, stored, inference, f"{prefix}{node.name}/", place, used))
        else:
            weights = below(path + "/", stored)
            used.update(f"{path}/{key}" for key in weights)
            found[prefix + node.name] = checkpoint_leaf(node, weights, inference, prefix + node.name, place)
    return found


def below(folder: str, stored: Stored) -> Stored:
    """Weights under a folder, by the rest of their path; `stored` is sorted by path."""
    paths = list(stored)
    start = bisect.bisect_left(paths, folder)
    found: Stored = {}
    for path in itertools.takewhile(lambda path: path.startswith(folder), itertools.islice(paths, start, None)):
        found[path[len(folder) :]] = stored[path]
    return found


def checkpoint_leaf(node: Node, weights: Stored, inference: Inference, full: str, place: str) -> Shapes:
    """Weights of one layer of a .keras archive, by name. Raises InputError WEIGHTS_MISMATCH."""
    parts: dict[str, list[tuple[int, tuple[int, ...]]]] = {}
    for key, shape in weights.items():
        *folders, _, number = ["", *key.split("/")]
        names = [PARTS.get(folder, folder) for folder in folders if folder]
        part = "/".join(name for name in names if name)
        parts.setdefault(part, []).append((int(number) if number.isdigit() else 0, shape))
    by_part = {part: [shape for _, shape in sorted(items, key=lambda item: item[0])] for part, items in parts.items()}
    expected = inference.layers[full].weights if full in inference.layers else None
    if expected is None:
        return _unique([(f"{part}/weight" if part else "weight", shape) for part, shapes in by_part.items() for shape in shapes])
    wanted: dict[str, list[tuple[int, ...]]] = {}
    for name, shape in expected.items():
        wanted.setdefault(name.rpartition("/")[0], []).append(shape)
    if wanted != by_part:
        received = _in_words([shape for shapes in by_part.values() for shape in shapes])
        raise mismatch(f"{place}, layer {full} ({node.class_name})", _in_words(list(expected.values())), received)
    return dict(expected)


def _unique(items: list[tuple[str, tuple[int, ...]]]) -> Shapes:
    found: Shapes = {}
    for name, shape in items:
        number, unique = 1, name
        while unique in found:
            unique, number = f"{name}_{number}", number + 1
        found[unique] = shape
    return found


def _count(shape: tuple[int, ...]) -> int:
    total = 1
    for length in shape:
        total *= length
    return total


def parameter_count(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Number of values in all weights of a layer."""
    return sum(_count(shape) for shape in shapes.values())


def _in_words(shapes: list[tuple[int, ...]]) -> str:
    return ", ".join(str(shape) for shape in shapes) or "no weights"


def mismatch(place: str, expected: str, received: str) -> InputError:
    """The refusal of weights that do not fit their layer."""
    return InputError(
        "The stored weights do not fit the architecture",
        code="WEIGHTS_MISMATCH",
        place=place,
        expected=expected,
        received=received,
        fix="Save the whole model again with model.save(...).",
    )
