"""The tf-keras config of a model from its translated layers: names, inbound nodes, inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from optimizer.sources.keras_3.parts import Arguments, Inner, Part, Parts, SourceLayer, Tensor, flat
from optimizer.sources.keras_3.reading import CONSTANT, fault
from optimizer.sources.naming import scope_name
from optimizer.sources.preflight.allowlist import MODELS

OPERATORS = ("TFOpLambda", "SlicingOpLambda")
Translated = list[tuple[SourceLayer, Parts]]


class Names:
    """Names of the tf-keras layers of one model, and which of them gives the output of an original layer."""

    def __init__(self, taken: Iterable[str]) -> None:
        originals = list(taken)
        self._taken = {name for name in originals if scope_name(name) == name}
        self._own = {name: name if name in self._taken else self._free(scope_name(name)) for name in originals}
        self._names: dict[tuple[str, str], str] = {}
        self._outputs: dict[str, tuple[str, int, int]] = {}
        self._inputs: set[str] = set()

    def add(self, source: SourceLayer, parts: Parts) -> None:
        """Name the parts of one layer. The last keeps the layer's name where no part claims it."""
        claimed = any(part.suffix == "" for part in parts.parts)
        for number, part in enumerate(parts.parts):
            last = number == len(parts.parts) - 1
            name = self.own(source.name)
            if part.suffix and (claimed or not last):
                name = self._free(f"{name}_{part.suffix}")
            self._names[source.name, part.suffix] = name
        self._outputs[source.name] = (
            self.of(source.name, parts.parts[-1].suffix),
            max(len(source.calls), 1),
            int(parts.parts[-1].class_name in MODELS),
        )
        if source.class_name == "Functional":
            self._inputs.add(source.name)

    def _free(self, wanted: str) -> str:
        name, number = wanted, 1
        while name in self._taken:
            name, number = f"{wanted}_{number}", number + 1
        self._taken.add(name)
        return name

    def own(self, layer: str) -> str:
        """The layer's own name, changed where TensorFlow cannot take it: Keras 3 allows any text."""
        return self._own[layer]

    def of(self, layer: str, suffix: str) -> str:
        """The name of one part."""
        return self._names[layer, suffix]

    def reference(self, tensor: Tensor, place: str, *, end: bool = False) -> list[Any]:
        """[layer, call, index] as tf-keras has it. Raises InputError BAD_CONFIG.

        tf-keras counts the calls of a nested model from 1; so does Keras 3 of a functional one where it names outputs.
        """
        if tensor.layer not in self._outputs:
            raise fault("The layer is fed by a layer that is not there", tensor.layer, place)
        name, calls, offset = self._outputs[tensor.layer]
        call = tensor.call - 1 if end and tensor.layer in self._inputs and tensor.call > 0 else tensor.call
        if call >= calls:
            raise fault("The layer is fed by a call that is not there", [tensor.layer, tensor.call], place)
        return [name, call + offset, tensor.index]


def emit(record: Mapping[str, Any], translated: Translated, ends: tuple[Any, Any], names: Names, place: str) -> dict[str, Any]:
    """The record of a model. A Sequential stays one as long as each layer feeds the next alone."""
    config = record["config"]
    if record["class_name"] == "Sequential" and all(_is_chain(source, parts) for source, parts in translated):
        layers = [_layer(part, names.of(source.name, part.suffix)) for source, parts in translated for part in parts.parts]
        return {"class_name": "Sequential", "config": {"name": scope_name(config.get("name", "sequential")), "layers": layers}}
    records = []
    for source, parts in translated:
        for part in parts.parts:
            emitted = _layer(part, names.of(source.name, part.suffix))
            nodes = [_node(part, call, number, source, names) for number, call in enumerate(part.calls)]
            records.append({**emitted, "name": emitted["config"]["name"], "inbound_nodes": nodes})
    inputs, outputs = ([names.reference(tensor, place, end=True) for tensor in flat(end)] for end in ends)
    name = scope_name(config.get("name", "model"))
    settings: dict[str, Any] = {"name": name, "layers": records, "input_layers": inputs, "output_layers": outputs}
    if config.get("trainable") is False:
        settings["trainable"] = False
    return {"class_name": "Functional", "config": settings}


def _layer(part: Part, name: str) -> dict[str, Any]:
    return {"class_name": part.class_name, "config": {**part.config, "name": name}}


def _is_chain(source: SourceLayer, parts: Parts) -> bool:
    """Whether each part takes the output of the one before, and nothing else."""
    before: object = None
    for part in parts.parts:
        if part.class_name in OPERATORS:
            return False
        for call in part.calls:
            first = call.args[0]
            fed = isinstance(first, Tensor) if before is None else first == Inner(part=str(before))
            if call.kwargs or not fed:
                return False
        before = part.suffix
    return True


def _node(part: Part, call: Arguments, number: int, source: SourceLayer, names: Names) -> list[Any]:
    """One inbound node: every tensor of the first argument with the other arguments beside it."""

    def reference(value: Any) -> Any:
        if isinstance(value, Tensor):
            return names.reference(value, source.place)
        if isinstance(value, Inner):
            return [names.of(source.name, value.part), number, value.index]
        if isinstance(value, list | tuple):
            return [reference(item) for item in value]
        if isinstance(value, Mapping):
            return {key: reference(item) for key, item in value.items()}
        return value

    named = {key: reference(value) for key, value in call.kwargs.items()}

    def entry(value: Any) -> list[Any]:
        if isinstance(value, Tensor | Inner):
            return [*reference(value), named]
        return [CONSTANT, -1, value, named]

    first = call.args[0]
    several = isinstance(first, list | tuple) and any(isinstance(item, Tensor | Inner) for item in first)
    if several:
        return [entry(item) for item in first]
    node = entry(first)
    return node if part.class_name in OPERATORS else [node]
