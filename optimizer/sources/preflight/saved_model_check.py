"""The graphs of a SavedModel held against the allowlist of ops, and what may touch files held against who can run it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from optimizer.errors import InputError
from optimizer.sources.preflight.graph_allowlist import CHECKPOINT, OPERATIONS
from optimizer.sources.preflight.saved_model_graph import GraphNode, MetaGraph

OWN_FUNCTION = "__"
"""How TensorFlow names the functions it traces. No registered op is named so, hence a function cannot pass for an op or hide one."""
FIX = "Take the op out of the model's functions, or build the model from Keras layers, and save it again."


def check_meta_graph(graph: MetaGraph, place: str) -> None:
    """Refuse a graph that could read, write or run anything beyond its own tensors and variables.

    Raises:
        InputError: UNSAFE_OP with the op and its function, UNSAFE_PATH.
    """
    for asset in graph.assets:
        if not _is_plain(asset):
            raise InputError(
                "The name of an asset points outside the model",
                code="UNSAFE_PATH",
                place=place,
                received=asset or "an empty name",
                fix="Save the model again with tf.saved_model.save(...).",
            )
    _check_ops(graph.nodes, "main graph", graph.functions, place)
    for name, nodes in graph.functions.items():
        _check_ops(nodes, f"function {name}", graph.functions, place)
    for kind in ("write", "read"):
        _check_checkpoint_ops(graph, kind, place)


def _is_plain(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return bool(parts) and name == parts[-1] and name not in (".", "..") and not set(name) & set("\\:\0")


def _check_ops(nodes: Iterable[GraphNode], where: str, functions: Mapping[str, object], place: str) -> None:
    for node in nodes:
        if node.op in OPERATIONS or node.op in CHECKPOINT or (node.op in functions and node.op.startswith(OWN_FUNCTION)):
            continue
        raise _unsafe(node.op, where, node.name, place)


def _unsafe(op: str, where: str, node: str, place: str, why: str = "is not accepted") -> InputError:
    return InputError(f"Op {op} {why}", code="UNSAFE_OP", place=f"{place}, {where}, node {node}", fix=FIX)


def _check_checkpoint_ops(graph: MetaGraph, kind: str, place: str) -> None:
    """Only saving may write the variables, only restoring may read them: loading runs initializers, inference the rest.

    Raises:
        InputError: UNSAFE_OP.
    """
    touching = _touching(graph, kind)
    for name in sorted(graph.objects & touching.keys()) + sorted(set(graph.gradients) & touching.keys()):
        op, holder = touching[name]
        raise _unsafe(op, f"function {holder}", f"called by {name}", place, "works on files where the model runs")
    roots = graph.saving if kind == "write" else graph.restoring
    others = (graph.restoring if kind == "write" else graph.saving) | graph.entries
    wanted, unwanted = _ancestors(graph.nodes, roots), _ancestors(graph.nodes, others)
    for node in graph.nodes:
        op, holder = _touched(node, kind, touching)
        if op and (node.name in unwanted or node.name not in wanted):
            raise _unsafe(op, holder, node.name, place, "works on files where the model loads or runs")
    for name, nodes in graph.functions.items():
        names = {node.name for node in nodes}
        for node in nodes:
            # The prefix of the file must come from whoever restores: a constant would be a file of the model's own choice.
            if kind == "read" and CHECKPOINT.get(node.op) == kind and (not node.inputs or node.inputs[0].split(":")[0] in names):
                raise _unsafe(node.op, f"function {name}", node.name, place, "reads a file that the model names")


def _touched(node: GraphNode, kind: str, touching: Mapping[str, tuple[str, str]]) -> tuple[str, str]:
    """The checkpoint op that a node is or leads to, and what holds it; ("", "") for none."""
    if CHECKPOINT.get(node.op) == kind:
        return node.op, "main graph"
    op, holder = next((touching[name] for name in (node.op, *node.calls) if name in touching), ("", ""))
    return op, f"function {holder}, called by the main graph"


def _touching(graph: MetaGraph, kind: str) -> dict[str, tuple[str, str]]:
    """Functions that hold a checkpoint op of this kind, or call one that does, each with the op and the function that holds it."""
    callers: dict[str, list[str]] = {}
    found: dict[str, tuple[str, str]] = {}
    for name, nodes in graph.functions.items():
        for node in nodes:
            if CHECKPOINT.get(node.op) == kind:
                found[name] = (node.op, name)
            for called in (node.op, *node.calls):
                if called in graph.functions:
                    callers.setdefault(called, []).append(name)
    pending = list(found)
    while pending:
        name = pending.pop()
        for caller in callers.get(name, ()):
            if caller not in found:
                found[caller] = found[name]
                pending.append(caller)
    return found


def _ancestors(nodes: Iterable[GraphNode], roots: Iterable[str]) -> set[str]:
    """The nodes `roots` and all that feed them, control inputs too."""
    feeding = {node.name: node.inputs for node in nodes}
    found: set[str] = set()
    pending = list(roots)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += [tensor.removeprefix("^").split(":")[0] for tensor in feeding.get(name, ())]
    return found
