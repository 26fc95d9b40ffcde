"""Shapes and multiply-accumulates of every layer of a graph, worked out without TensorFlow.

What cannot be worked out is None, never a guess.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from optimizer.errors import InputError
from optimizer.sources.graph import Call, Graph, Node, Tensor
from optimizer.sources.layer_rules import RULES, UNKNOWN, ConfigError, LayerCall, LayerFacts, UnknownDimensionError
from optimizer.sources.layer_rules.facts import product
from optimizer.sources.layer_rules.functions import SHAPED
from optimizer.sources.limits import MAX_ACTIVATION, MAX_CALLS
from optimizer.sources.summary import Shape


@dataclass
class InferredLayer:
    """What all calls of one layer add up to."""

    output: Shape | None = None
    macs: int | None = 0
    weights: dict[str, tuple[int, ...]] | None = None
    calls: int = 0


@dataclass
class Inference:
    """Everything known about a graph's layers, by full name ("outer/inner"), and the shapes of its outputs."""

    layers: dict[str, InferredLayer] = field(default_factory=dict)
    outputs: tuple[Shape | None, ...] = ()
    calls_left: int = MAX_CALLS
    regrouped: set[str] = field(default_factory=set)
    """Full names of layers whose first axis, or that of a layer before them, no longer counts samples."""


def infer(graph: Graph, input_shapes: Sequence[Shape | None], place: str) -> Inference:
    """Follow shapes through the graph.

    Args:
        graph: The whole model.
        input_shapes: One shape an input, batch axis first.
        place: Name of the file for errors.

    Raises:
        InputError: BAD_CONFIG where a setting or a connection is impossible, TOO_LARGE where a layer gives out more than any
            machine of ours holds.
    """
    inference = Inference()
    inference.outputs = _follow(graph, input_shapes, inference, "", place)
    return inference


def _follow(
    graph: Graph, input_shapes: Sequence[Shape | None], inference: Inference, prefix: str, place: str
) -> tuple[Shape | None, ...]:
    """Evaluate one graph on its inputs; returns the shapes of its outputs."""
    made: dict[tuple[str, int], tuple[Shape | None, ...]] = {}
    for name, shape in zip(graph.inputs, input_shapes, strict=False):
        made[name, 0] = (shape,)
    nodes = {node.name: node for node in graph.nodes}
    for node, number in _in_order(graph, place):
        if (node.name, number) in made:
            _record(inference, prefix + node.name, LayerFacts(outputs=made[node.name, number], macs=0, weights={}))
            continue
        inference.calls_left -= 1
        if inference.calls_left < 0:
            raise InputError("The model has too many layer calls", code="TOO_LARGE", place=place, limit=f"{MAX_CALLS:,}")
        made[node.name, number] = _evaluate(node, node.calls[number], made, nodes, inference, prefix, place)
    return tuple(_shape_of(tensor, made, nodes) for tensor in graph.outputs)


def _shape_of(tensor: Tensor, made: dict[tuple[str, int], tuple[Shape | None, ...]], nodes: dict[str, Node]) -> Shape | None:
    outputs = made.get((tensor.layer, call_number(nodes[tensor.layer], tensor.call)), ())
    return outputs[tensor.index] if tensor.index < len(outputs) else None


def call_number(node: Node, stored: int) -> int:
    """Position in `node.calls` of the call that the config numbers `stored`.

    A model with inputs of its own has a first call that configs leave out, so the calls of a nested model count from 1.
    """
    last = len(node.calls) - 1
    return min(max(0, stored - 1 if node.graph is not None and stored > 0 else stored), max(last, 0))


def _in_order(graph: Graph, place: str) -> list[tuple[Node, int]]:
    """Every call of every layer, each after those that feed it. Raises InputError where calls wait for each other."""
    nodes = {node.name: node for node in graph.nodes}
    waiting: dict[tuple[str, int], int] = {}
    followers: dict[tuple[str, int], list[tuple[str, int]]] = {}
    for node in graph.nodes:
        for number, call in enumerate(node.calls):
            sources = {(t.layer, call_number(nodes[t.layer], t.call)) for t in call.inputs}
            waiting[node.name, number] = len(sources)
            for source in sources:
                followers.setdefault(source, []).append((node.name, number))
    ready = deque(key for key, count in waiting.items() if count == 0)
    order: list[tuple[Node, int]] = []
    while ready:
        key = ready.popleft()
        order.append((nodes[key[0]], key[1]))
        for follower in followers.get(key, ()):
            waiting[follower] -= 1
            if waiting[follower] == 0:
                ready.append(follower)
    if len(order) < len(waiting):
        raise InputError("Layers wait for each other in a circle", code="BAD_CONFIG", place=place)
    return order


def _evaluate(
    node: Node,
    call: Call,
    made: dict[tuple[str, int], tuple[Shape | None, ...]],
    nodes: dict[str, Node],
    inference: Inference,
    prefix: str,
    place: str,
) -> tuple[Shape | None, ...]:
    inputs = [_shape_of(tensor, made, nodes) for number, tensor in enumerate(call.inputs) if number not in call.masks]
    name = prefix + node.name
    if node.graph is not None:
        return _follow(node.graph, inputs, inference, name + "/", place)
    if node.config.get("function") in SHAPED:
        inputs = inputs[:1]
    known = [shape for shape in inputs if shape is not None]
    # No rule follows a tensor without a batch axis.
    if len(known) < len(inputs) or not inputs or () in known:
        facts = UNKNOWN
    else:
        facts = layer_facts(node, LayerCall(inputs=tuple(known), arguments=call.arguments), f"{place}, layer {name}")
    if not facts.per_sample or any(prefix + tensor.layer in inference.regrouped for tensor in call.inputs):
        # How many rows a sample has become is not followed, so that products cannot be counted for one sample.
        inference.regrouped.add(name)
        facts = replace(facts, macs=None if facts.macs else facts.macs)
    _check_size(facts, f"{place}, layer {name}")
    _record(inference, name, facts)
    return facts.outputs


def layer_facts(node: Node, call: LayerCall, place: str) -> LayerFacts:
    """Facts of one call by the rule of its class; UNKNOWN without a rule. Raises InputError BAD_CONFIG."""
    rule = RULES.get(node.class_name)
    if rule is None:
        return UNKNOWN
    try:
        return rule(node.config, call)
    except UnknownDimensionError:
        return UNKNOWN
    except ConfigError as fault:
        raise InputError(
            f"The layer's {fault.setting} is impossible",
            code="BAD_CONFIG",
            place=place,
            expected=fault.expected,
            received=repr(fault.received),
        ) from fault


def _check_size(facts: LayerFacts, place: str) -> None:
    for shape in facts.outputs:
        values = None if shape is None else product(shape[1:])
        if values is not None and values > MAX_ACTIVATION:
            raise InputError(
                "The layer gives out too many values",
                code="TOO_LARGE",
                place=place,
                received=f"{values:,}",
                limit=f"{MAX_ACTIVATION:,}",
            )


def _record(inference: Inference, name: str, facts: LayerFacts) -> None:
    """Add one call to what is known of the layer: MACs add up, a shape that differs between calls is unknown."""
    layer = inference.layers.setdefault(name, InferredLayer())
    output = facts.outputs[0] if facts.outputs else None
    layer.output = output if layer.calls == 0 or layer.output == output else None
    layer.macs = None if layer.macs is None or facts.macs is None else layer.macs + facts.macs
    if facts.weights is not None and layer.weights is None:
        layer.weights = dict(facts.weights)
    layer.calls += 1
