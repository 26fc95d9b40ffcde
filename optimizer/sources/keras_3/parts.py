"""What a translator is given, and what it gives back: one layer of Keras 3 with its calls, and the tf-keras layers that do the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optimizer.errors import InputError
from optimizer.sources.naming import snake_case
from optimizer.sources.summary import Shape


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """One output of one call of a layer of Keras 3; `call` and `index` count from 0, `shape` has the batch axis first."""

    layer: str
    call: int = 0
    index: int = 0
    shape: Shape | None = None
    dtype: str = "float32"


@dataclass(frozen=True, kw_only=True)
class Inner:
    """The output of another part of the same translation, in the same call."""

    part: str
    index: int = 0


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """One call: positional and named arguments, tensors among constants, in lists, tuples and dictionaries."""

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SourceLayer:
    """A layer or an operation of Keras 3. `place` names it for errors; `module` is where its class comes from, as
    the file says; `build_shape` is the input shape it was built with."""

    name: str
    class_name: str
    config: Mapping[str, Any]
    calls: tuple[Arguments, ...]
    place: str
    module: str = ""
    is_operation: bool = False
    build_shape: Shape | None = None

    def refuse(self, reason: str, fix: str = "") -> InputError:
        """The refusal of a layer that tf-keras cannot express."""
        kind = "operation" if self.is_operation else "layer"
        return InputError(
            f"The {kind} {self.class_name} of Keras 3 {reason}",
            code="NOT_TRANSLATABLE",
            place=self.place,
            fix=fix or "Replace it by layers that Keras 2 has too, and save the model again.",
        )

    @property
    def call(self) -> Arguments:
        """The one call that a translator is asked for."""
        return self.calls[0]

    def input_shape(self) -> Shape:
        """Shape of the first tensor of the first call. Raises InputError where the file does not say it."""
        for value in flat((self.call.args, self.call.kwargs)):
            if isinstance(value, Tensor) and value.shape is not None:
                return value.shape
        if self.build_shape is None:
            raise self.refuse("does not say the shape of its input", "Call the model once on a batch, and save it again.")
        return self.build_shape


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where Keras 3 keeps the weights of one tf-keras layer.

    Args:
        folders: For each level of nesting, the folder by the class ("conv2d_1") and by the layer's own name.
        part: Folder below that, "" for the layer's own.
        reshaped: Whether they hold the same values in another shape.
        ignored: Names of weights of the layer, or of their folders, that nothing needs.
        inside: The same of the layers of a model that the layer wraps, by their full names in it.
    """

    folders: tuple[tuple[str, str], ...]
    part: str = ""
    reshaped: bool = False
    ignored: tuple[str, ...] = ()
    inside: Mapping[str, Origin] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Part:
    """One layer of tf-keras.

    `suffix` tells it from the other parts of the same translation; the part without one keeps the layer's name. `calls` are one an
    original call: the first argument, and the others by name. `weights` is the folder of its weights below the original layer's, None
    where it has none; `reshaped` says that they have the same values in another shape; `inside` is where the layers of a model that it
    wraps have theirs.
    """

    class_name: str
    config: dict[str, Any]
    calls: tuple[Arguments, ...]
    suffix: str = ""
    weights: str | None = None
    reshaped: bool = False
    inside: Mapping[str, Origin] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts that stand for one layer, in the order of work; the last one gives the outputs.

    `note` is for the person; `ignored` are names of stored weights that nothing needs.
    """

    parts: tuple[Part, ...]
    note: str = ""
    ignored: tuple[str, ...] = ()


Translator = Callable[[SourceLayer], Parts]
LAYERS: dict[str, Translator] = {}
"""Translators of layers that need more than their settings renamed."""
OPERATIONS: dict[str, Translator] = {}
"""Translators of Keras 3 operations (keras.ops calls that became nodes)."""


def layer(*class_names: str) -> Callable[[Translator], Translator]:
    """Register a translator of these layer classes."""

    def register(function: Translator) -> Translator:
        LAYERS.update(dict.fromkeys(class_names, function))
        return function

    return register


def operation(*class_names: str) -> Callable[[Translator], Translator]:
    """Register a translator of these operations."""

    def register(function: Translator) -> Translator:
        OPERATIONS.update(dict.fromkeys(class_names, function))
        return function

    return register


class Builder:
    """Gathers the parts that stand for one call of a layer; each takes tensors, or what an earlier part gave."""

    def __init__(self, source: SourceLayer, note: str = "", beside: Sequence[Part] = ()) -> None:
        """`beside` are parts of the same translation that were gathered elsewhere: new ones take other names."""
        self.source, self._note, self._parts = source, note, list[Part]()
        self._named = {part.suffix for part in beside}

    def operator(self, function: str, first: Any, **arguments: Any) -> Inner:
        """A TensorFlow function as a layer; `first` is its first argument, the others are by name."""
        kind = "SlicingOpLambda" if function == "__operators__.getitem" else "TFOpLambda"
        call = Arguments(args=(first,), kwargs=arguments)
        return self._add(
            Part(class_name=kind, config={"function": function}, calls=(call,), suffix=function.split(".")[-1].strip("_"))
        )

    def layer(self, class_name: str, inputs: Any, weights: str | None = None, **config: Any) -> Inner:
        """A layer of tf-keras; `inputs` is one tensor or a list."""
        call = Arguments(args=(inputs,))
        return self._add(
            Part(class_name=class_name, config=config, calls=(call,), suffix=snake_case(class_name), weights=weights)
        )

    def scaled(self, x: Tensor | Inner, rank: int, trainable: bool = True) -> Inner:
        """`x` times the layer's one weight, a factor for each channel of the last axis: a depthwise convolution of one pixel.

        LiteRT has a kernel for that, while an einsum would become a product of matrices.
        """
        if rank not in (3, 4):
            raise self.source.refuse(f"works on {rank} axes", "Reshape its input to 3 or 4 axes.")
        config: dict[str, Any] = {"kernel_size": 1, "use_bias": False}
        if not trainable:
            config["trainable"] = False
        call = Arguments(args=(x,))
        return self._add(Part(class_name=f"DepthwiseConv{rank - 2}D", config=config, calls=(call,), weights="", reshaped=True))

    def own(
        self, class_name: str, config: Mapping[str, Any], call: Arguments, inside: Mapping[str, Origin] | None = None
    ) -> Inner:
        """The layer that stands for the original itself: it keeps its name, its weights and all arguments of the call."""
        self._parts.append(Part(class_name=class_name, config=dict(config), calls=(call,), weights="", inside=inside or {}))
        return Inner(part="")

    def _add(self, part: Part) -> Inner:
        taken = self._named | {other.suffix for other in self._parts}
        names = (part.suffix, *(f"{part.suffix}_{n}" for n in range(1, len(taken) + 2)))
        suffix = next(name for name in names if name not in taken)
        self._parts.append(dataclasses.replace(part, suffix=suffix))
        return Inner(part=suffix)

    def done(self, note: str = "") -> Parts:
        """All parts, the last one being the output."""
        return Parts(parts=tuple(self._parts), note=note or self._note)


def merged(translations: Sequence[Parts], source: SourceLayer) -> Parts:
    """One translation of several calls from one of each. Raises InputError where the calls need different layers."""
    first = translations[0]
    for other in translations[1:]:
        if [(p.class_name, p.config, p.suffix) for p in other.parts] != [(p.class_name, p.config, p.suffix) for p in first.parts]:
            raise source.refuse("is called on inputs of different shapes, which needs different layers of tf-keras")
    calls = [tuple(call for other in translations for call in other.parts[n].calls) for n in range(len(first.parts))]
    parts = tuple(dataclasses.replace(part, calls=calls[n]) for n, part in enumerate(first.parts))
    return Parts(parts=parts, note=first.note)


def flat(value: Any) -> list[Any]:
    """Everything in nested lists, tuples and dictionaries; the keys of a dictionary in alphabetical order, as Keras 3 has it."""
    if isinstance(value, Mapping):
        return [item for key in sorted(value, key=str) for item in flat(value[key])]
    if isinstance(value, list | tuple):
        return [item for entry in value for item in flat(entry)]
    return [value]


def tensors(value: Any) -> list[Tensor]:
    """All tensors in nested arguments, in Keras 3's order."""
    return [item for item in flat(value) if isinstance(item, Tensor)]
