"""From a checked config to a graph of layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optimizer.errors import InputError
from optimizer.sources.graph import Call, Graph, Node, Tensor
from optimizer.sources.limits import MAX_LAYERS, MAX_NAME_LENGTH
from optimizer.sources.preflight import allowlist
from optimizer.sources.preflight.config import OPERATOR_LAYERS
from optimizer.sources.summary import Shape

CONSTANT = "_CONSTANT_VALUE"
"""Name that Keras writes in place of a layer where an argument of a call is a constant."""
MASKS = frozenset({"mask", "attention_mask", "query_mask", "value_mask", "key_mask"})
"""Arguments of Keras layers that say which values count."""


def build_graph(config: Mapping[str, Any], place: str) -> Graph:
    """The graph of a whole model's config ({"class_name", "config", ...}).

    Raises:
        InputError: SUBCLASSED where the model has no readable architecture, BAD_CONFIG, TOO_LARGE.
    """
    return _Builder(place).graph(config, "model")


class _Builder:
    """Counts layers over all nested models while it reads."""

    def __init__(self, place: str) -> None:
        self._place, self._layers = place, 0

    def graph(self, record: Mapping[str, Any], fallback_name: str) -> Graph:
        class_name, config = record.get("class_name"), record.get("config")
        if not isinstance(class_name, str):
            raise self._fault("The architecture names no class of model", class_name)
        if class_name == "Sequential" and isinstance(config, list):
            config = {"name": fallback_name, "layers": config}
        if class_name not in allowlist.MODELS or not isinstance(config, Mapping) or not isinstance(config.get("layers"), list):
            raise InputError(
                "The model is a subclass of keras.Model: the file does not say what layers it has",
                code="SUBCLASSED",
                place=self._place,
                received=class_name,
                fix="Rebuild it with keras.Model(inputs, outputs) or as a Sequential, load its weights, and save that.",
            )
        name = self._name(config.get("name", fallback_name))
        if class_name == "Sequential":
            return self._sequential(name, config, record)
        return self._functional(name, class_name, config)

    def _fault(self, what: str, received: object = "", layer: str = "") -> InputError:
        place = f"{self._place}, layer {layer}" if layer else self._place
        return InputError(what, code="BAD_CONFIG", place=place, received=repr(received) if received != "" else "")

    def _name(self, value: object) -> str:
        if not isinstance(value, str) or not value or len(value) > MAX_NAME_LENGTH:
            raise self._fault("A layer has no usable name", value)
        return value

    def _layer_records(self, config: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
        """(name, record) of each layer of one model. Raises InputError."""
        found: list[tuple[str, Mapping[str, Any]]] = []
        for record in config["layers"]:
            self._layers += 1
            if self._layers > MAX_LAYERS:
                raise InputError("The model has too many layers", code="TOO_LARGE", place=self._place, limit=f"{MAX_LAYERS:,}")
            if not isinstance(record, Mapping) or not isinstance(record.get("class_name"), str):
                raise self._fault("A layer is not an object with a class", record)
            inner = record.get("config")
            inner_name = inner.get("name") if isinstance(inner, Mapping) else None
            found.append((self._name(record.get("name") or inner_name or f"layer_{self._layers}"), record))
        names = [name for name, _ in found]
        if len(set(names)) < len(names):
            raise self._fault("Two layers have one name", next(name for name in names if names.count(name) > 1))
        if not found:
            raise self._fault("The model has no layers")
        return found

    def _node(self, name: str, record: Mapping[str, Any], calls: tuple[Call, ...]) -> Node:
        class_name, config = str(record["class_name"]), record.get("config")
        if class_name in allowlist.MODELS:
            inner = self.graph(record, name)
            return Node(name=name, class_name=class_name, config={}, calls=calls, graph=inner)
        if class_name not in allowlist.LAYERS:
            raise self._fault("This is not a layer", class_name, name)
        if not isinstance(config, Mapping):
            raise self._fault("The layer's config is not an object", config, name)
        return Node(name=name, class_name=class_name, config=config, calls=calls, build_shape=_build_shape(record))

    def _sequential(self, name: str, config: Mapping[str, Any], record: Mapping[str, Any]) -> Graph:
        records = self._layer_records(config)
        nodes: list[Node] = []
        if records[0][1]["class_name"] != "InputLayer":
            nodes.append(self._implied_input(records[0], config, record))
        for layer_name, layer in records:
            inputs = (Tensor(layer=nodes[-1].name),) if nodes else ()
            if nodes and nodes[-1].graph is not None:
                inputs = (Tensor(layer=nodes[-1].name, call=1),)
            nodes.append(self._node(layer_name, layer, (Call(inputs=inputs),)))
        last = Tensor(layer=nodes[-1].name, call=0 if nodes[-1].graph is None else 1)
        return Graph(name=name, class_name="Sequential", nodes=tuple(nodes), inputs=(nodes[0].name,), outputs=(last,))

    def _implied_input(self, first: tuple[str, Mapping[str, Any]], config: Mapping[str, Any], record: Mapping[str, Any]) -> Node:
        """The input of a Sequential whose config lists none, from the places where Keras keeps its shape."""
        first_config, build = first[1].get("config"), record.get("build_config")
        shape, dtype = None, "float32"
        if isinstance(first_config, Mapping):
            shape, dtype = first_config.get("batch_input_shape"), first_config.get("dtype", dtype)
        if shape is None:
            shape = config.get("build_input_shape") or (build.get("input_shape") if isinstance(build, Mapping) else None)
        settings = {"batch_input_shape": shape, "dtype": dtype}
        return Node(name=f"{first[0]}_input", class_name="InputLayer", config=settings, calls=(Call(),), implied=True)

    def _functional(self, name: str, class_name: str, config: Mapping[str, Any]) -> Graph:
        records = self._layer_records(config)
        names = {layer_name for layer_name, _ in records}
        nodes = [self._node(n, record, self._calls(n, record, names)) for n, record in records]
        inputs = [tensor.layer for tensor in _tensors(config.get("input_layers"), names)]
        outputs = _tensors(config.get("output_layers"), names)
        if not inputs or not outputs:
            raise self._fault("The model does not name its inputs and outputs", layer=name)
        input_layers = {node.name for node in nodes if node.class_name == "InputLayer"}
        if not set(inputs) <= input_layers:
            raise self._fault("An input of the model is not an InputLayer", next(n for n in inputs if n not in input_layers))
        return Graph(name=name, class_name=class_name, nodes=tuple(nodes), inputs=tuple(inputs), outputs=tuple(outputs))

    def _calls(self, name: str, record: Mapping[str, Any], names: set[str]) -> tuple[Call, ...]:
        stored = record.get("inbound_nodes", [])
        if not isinstance(stored, list):
            raise self._fault("The layer's inbound_nodes is not a list", stored, name)
        if record["class_name"] == "InputLayer":
            return (Call(),)
        if not stored:
            raise self._fault("Nothing feeds the layer", layer=name)
        calls = [_call(item, names) for item in stored]
        if any(not call.inputs for call in calls) and record["class_name"] in OPERATOR_LAYERS:
            raise InputError(
                "The file does not say what the function takes: tf-keras writes down tensors only where the first argument is one",
                code="UNSUPPORTED_MODEL",
                place=f"{self._place}, layer {name}",
                fix="Use EinsumDense, Dot or tf.matmul in place of tf.einsum, and save the model again.",
            )
        if any(not call.inputs for call in calls):
            raise self._fault("The layer is fed by a layer that is not there", stored, name)
        return tuple(calls)


def _build_shape(record: Mapping[str, Any]) -> tuple[int | None, ...] | None:
    build = record.get("build_config")
    shape = build.get("input_shape") if isinstance(build, Mapping) else None
    if not isinstance(shape, list) or not shape or not all(n is None or (isinstance(n, int) and n > 0) for n in shape):
        return None
    return tuple(shape)


def _reference(value: Any, names: set[str]) -> Tensor | None:
    """[layer, call, index] or [layer, call, index, arguments] as a tensor; None for anything else."""
    if not isinstance(value, list) or len(value) not in (3, 4) or not isinstance(value[0], str) or value[0] not in names:
        return None
    if not all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n < MAX_LAYERS for n in value[1:3]):
        return None
    return Tensor(layer=value[0], call=value[1], index=value[2])


def _tensors(value: Any, names: set[str]) -> list[Tensor]:
    """All tensor references in nested lists and dictionaries, in order; dictionaries in that of their keys, as Keras flattens them."""
    tensor = _reference(value, names)
    if tensor is not None:
        return [tensor]
    items = [value[key] for key in sorted(value)] if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return [found for item in items for found in _tensors(item, names)]


def _call(value: Any, names: set[str]) -> Call:
    """One inbound node: its tensors (those among the keyword arguments too) and its constant arguments, None for a tensor in a list."""
    references = [value] if isinstance(value, list) and value and isinstance(value[0], str) else value
    inputs: list[Tensor] = []
    masks: set[int] = set()
    arguments: dict[str, Any] = {}
    for item in references if isinstance(references, list) else _tensors(references, names):
        if isinstance(item, Tensor):
            inputs.append(item)
            continue
        tensor = _reference(item, names)
        if tensor is not None:
            inputs.append(tensor)
        elif isinstance(item, list) and len(item) >= 3 and item[0] == CONSTANT:
            arguments["_constant"] = item[2]
        if isinstance(item, list) and len(item) == 4 and isinstance(item[3], Mapping):
            for key, argument in item[3].items():
                tensors = _tensors(argument, names)
                if key in MASKS:
                    masks.update(range(len(inputs), len(inputs) + len(tensors)))
                inputs.extend(tensors)
                if not tensors:
                    arguments[key] = argument
                elif isinstance(argument, list) and _reference(argument, names) is None:
                    arguments[key] = [None if _reference(entry, names) else entry for entry in argument]
    return Call(inputs=tuple(inputs), masks=frozenset(masks), arguments=arguments)


def names_of_outputs(config: Mapping[str, Any]) -> tuple[str, ...]:
    """What a model that gives a dictionary calls its outputs, in the order in which Keras flattens them; nothing for any other model."""
    inner = config.get("config")
    stored = inner.get("output_layers") if isinstance(inner, Mapping) else None
    if not isinstance(stored, Mapping) or not all(
        isinstance(item, list) and item and isinstance(item[0], str) for item in stored.values()
    ):
        return ()
    return tuple(sorted(stored)) if all(len(name) <= MAX_NAME_LENGTH for name in stored) else ()


def input_shape(node: Node, place: str) -> Shape:
    """Shape of an input, batch axis first. Raises InputError BAD_CONFIG, UNSUPPORTED_MODEL where the file does not say it."""
    shape = node.config.get("batch_input_shape", node.config.get("batch_shape"))
    if isinstance(shape, Mapping):
        shape = shape.get("items", shape.get("config"))
    if shape is None:
        raise InputError(
            "The model does not know the shape of its input",
            code="UNSUPPORTED_MODEL",
            place=place,
            fix="Give the first layer an input shape, or call the model once on a batch, and save it again.",
        )
    good = isinstance(shape, list | tuple) and len(shape) >= 1
    if not good or any(n is not None and (isinstance(n, bool) or not isinstance(n, int) or n < 1) for n in shape):
        raise InputError(
            "The shape of the input is impossible", code="BAD_CONFIG", place=f"{place}, layer {node.name}", received=repr(shape)
        )
    return (None, *shape[1:])
