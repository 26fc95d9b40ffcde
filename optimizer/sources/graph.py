"""A model's layers and how they feed each other, as its config describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """One output of one call of a layer: `layer` is its name within the graph, `call` and `index` count from 0."""

    layer: str
    call: int = 0
    index: int = 0


@dataclass(frozen=True, kw_only=True)
class Call:
    """One use of a layer: the tensors that enter it, and its constant arguments.

    `masks` are positions among the inputs of those that say which values count: no rule of shapes has a place for them.
    """

    inputs: tuple[Tensor, ...] = ()
    masks: frozenset[int] = frozenset()
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Node:
    """A layer of the graph; `graph` is its inside where it is a model itself.

    `implied` marks the input of a Sequential model that the config does not list; `build_shape` is the input shape that a .keras
    archive builds the layer with before it is called.
    """

    name: str
    class_name: str
    config: Mapping[str, Any]
    calls: tuple[Call, ...]
    graph: Graph | None = None
    implied: bool = False
    build_shape: tuple[int | None, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Graph:
    """Layers in the order of the config; `inputs` are names of its InputLayers, `outputs` the tensors that leave it."""

    name: str
    class_name: str
    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[Tensor, ...]

    def leaves(self, prefix: str = "") -> list[tuple[str, Node]]:
        """All layers that are no models, with their names as "outer/inner"; implied inputs are left out."""
        found: list[tuple[str, Node]] = []
        for node in self.nodes:
            if node.graph is not None:
                found += node.graph.leaves(f"{prefix}{node.name}/")
            elif not node.implied:
                found.append((prefix + node.name, node))
        return found
