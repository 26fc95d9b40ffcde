"""Which layer feeds which, inner models opened: the view of a model that techniques decide on, the same for a file and for a model in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optimizer.sources.summary import LayerSummary, ModelSummary


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """Layers by name in the model's order, inputs left out; `inbound` and `readers` name each neighbour once, inputs among them."""

    layers: Mapping[str, LayerSummary]
    inbound: Mapping[str, tuple[str, ...]]
    readers: Mapping[str, tuple[str, ...]]
    outputs: frozenset[str]

    def only_reader(self, name: str) -> LayerSummary | None:
        """The one layer that reads what `name` gives; None where several do, or where it leaves the model."""
        readers = self.readers.get(name, ())
        return self.layers[readers[0]] if len(readers) == 1 and name not in self.outputs else None

    def only_source(self, name: str) -> LayerSummary | None:
        """The one layer that feeds `name`; None where there are several, or an input of the model."""
        sources = self.inbound[name]
        return self.layers.get(sources[0]) if len(sources) == 1 else None


def wiring_of(model: ModelSummary) -> Wiring:
    """The wiring of a model that was read from a file or from memory."""
    return wiring(model.layers, model.output_layers)


def wiring(layers: Sequence[LayerSummary], outputs: Sequence[str]) -> Wiring:
    """The wiring of `layers`; inputs of inner models are bypassed, as flattening bypasses them."""
    bypass = {layer.name: layer.inbound for layer in layers if layer.class_name == "InputLayer" and layer.inbound}

    def real(names: Sequence[str]) -> tuple[str, ...]:
        found: list[str] = []
        for name in names:
            found += real(bypass[name]) if name in bypass else [name]
        return tuple(dict.fromkeys(found))

    kept = {layer.name: layer for layer in layers if layer.class_name != "InputLayer"}
    inbound = {name: real(layer.inbound) for name, layer in kept.items()}
    readers: dict[str, list[str]] = {}
    for name, sources in inbound.items():
        for source in sources:
            readers.setdefault(source, []).append(name)
    return Wiring(
        layers=kept,
        inbound=inbound,
        readers={name: tuple(found) for name, found in readers.items()},
        outputs=frozenset(real(outputs)),
    )
