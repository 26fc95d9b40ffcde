"""Masks of sequences, which tensors carry along by one set of rules in Keras 3 and by another in tf-keras.

A merge of a tensor that has a mask and one that has none gives none in Keras 3, and keeps the one in tf-keras; two masks are joined by "or"
in Keras 3, by "and" in tf-keras; Identity, Rescaling and Normalization hand masks on in Keras 3 only; where several tf-keras layers stand for
one, a function among them may drop it; in Keras 3 a MultiHeadAttention takes the masks off the tensors that it reads, and a recurrent layer
that is given a state goes by no mask. So both are followed, and where they differ, functions before the layer that goes by the mask tell it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optimizer.sources.keras_3.calls import MASKED, plain_call
from optimizer.sources.keras_3.emission import OPERATORS
from optimizer.sources.keras_3.operands import cast
from optimizer.sources.keras_3.parts import Arguments, Builder, Inner, Part, Parts, SourceLayer, Tensor, flat, tensors
from optimizer.sources.masks import RECURRENT_LAYERS, hands_masks_on, makes_a_mask
from optimizer.sources.preflight.allowlist import MODELS

ATTENTION = "MultiHeadAttention"
CONSUMERS = (MASKED - {"BatchNormalization"}) | {ATTENTION}
"""Layers that compute otherwise where a mask is given. A BatchNormalization goes by it in training only."""
MERGES = frozenset(["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"])
HANDED_ON_BY_KERAS_3 = frozenset(["Identity", "Rescaling", "Normalization"])
GIVING_THE_SAME = frozenset(
    ["Dropout", "SpatialDropout1D", "GaussianDropout", "GaussianNoise", "AlphaDropout", "ActivityRegularization", "Identity"]
)
WITHOUT_MASKS = frozenset(["GroupQueryAttention", "GroupedQueryAttention"])
"""Layers whose translation knows no masks."""
WRITTEN = ("mask", "attention_mask")
"""Arguments that are masks themselves."""
Source = tuple[str, int]
"""A layer and one of its calls, whose output has a mask of its own."""
Mask = frozenset[Source]
"""The masks that are joined into the one of a tensor; empty where it has none."""
NONE: Mask = frozenset()


def makes_masks(value: Any) -> bool:
    """Whether a layer anywhere in a model says which steps count."""
    if isinstance(value, Mapping):
        return makes_a_mask(str(value.get("class_name")), value) or any(map(makes_masks, value.values()))
    return isinstance(value, list) and any(map(makes_masks, value))


def with_one_mask(builder: Builder, call: Arguments) -> Arguments:
    """The call of a MultiHeadAttention with the masks of value and key, of (batch, keys), in that of (batch, queries, keys).

    A query_mask that is given does nothing in Keras 3: it goes by the one that the query carries.
    """
    kwargs = dict(call.kwargs)
    kwargs.pop("query_mask", None)
    joined = kwargs.pop("attention_mask", None)
    for name in ("value_mask", "key_mask"):
        mask = kwargs.pop(name, None)
        if mask is not None:
            joined = _both(builder, builder.operator("expand_dims", _as_bool(builder, mask), axis=1), joined)
    return Arguments(args=call.args, kwargs=kwargs if joined is None else {**kwargs, "attention_mask": joined})


def _both(builder: Builder, mask: Inner, other: Any) -> Inner:
    return mask if other is None else builder.operator("math.logical_and", mask, y=_as_bool(builder, other))


def _as_bool(builder: Builder, mask: Any) -> Any:
    return cast(builder, mask, "bool") if isinstance(mask, Tensor) and mask.dtype != "bool" else mask


def without_mask(parts: Parts) -> Parts:
    """Operations of Keras 3 drop masks, as functions do in tf-keras; layers that stand for them would hand them on."""
    last = parts.parts[-1]
    if last.class_name in OPERATORS:
        return parts
    calls = tuple(Arguments(args=(Inner(part=last.suffix),)) for _ in last.calls)
    end = Part(class_name="TFOpLambda", config={"function": "identity"}, calls=calls, suffix="identity")
    return dataclasses.replace(parts, parts=(*parts.parts, end))


@dataclass(frozen=True, kw_only=True)
class CarriedMasks:
    """The masks on the inputs of each layer of one model: in Keras 3, and in the tf-keras model that stands for it.

    Args:
        keras_3: By layer and call, one for each tensor of the call that is no mask; several in one are joined by "or".
        tf_keras: The same, joined by "and".
        sources: The layers by name.
    """

    keras_3: Mapping[Source, list[Mask]]
    tf_keras: Mapping[Source, list[Mask]]
    sources: Mapping[str, SourceLayer]

    @classmethod
    def of(cls, translated: Sequence[tuple[SourceLayer, Parts]], *, fed: bool) -> CarriedMasks:
        """Follow the masks through one model; `fed` says whether its inputs may carry some (those of a nested model)."""
        dropping = {source.name for source, parts in translated if parts.parts[-1].class_name in OPERATORS}
        sources = {source.name: source for source, _ in translated}
        return cls(
            keras_3=_followed(sources, fed, _in_keras_3, as_in_keras_3=True),
            tf_keras=_followed(sources, fed, lambda source, given: _in_tf_keras(source, given, dropping), as_in_keras_3=False),
            sources=sources,
        )

    def told(self, source: SourceLayer, parts: Parts) -> Parts:
        """The layer with the masks that it goes by in Keras 3. Raises InputError NOT_TRANSLATABLE where that takes more than functions."""
        if source.class_name in WITHOUT_MASKS and any(any(self.keras_3[source.name, n]) for n in range(len(source.calls))):
            raise source.refuse("is given masks", "Use MultiHeadAttention.")
        if source.is_operation:
            return self._without_carried(source, parts)
        if source.class_name not in CONSUMERS | {"Concatenate"} or all(
            self._agrees(source, number) for number in range(len(source.calls))
        ):
            return parts
        if len(source.calls) > 1:
            raise source.refuse("is called several times, with masks that tf-keras carries otherwise", "Make it several layers.")
        own = next(part for part in parts.parts if part.suffix == "")
        builder = Builder(source, beside=parts.parts)
        call = self._told(source, own.calls[0], builder)
        told = tuple(dataclasses.replace(part, calls=(call,)) if part is own else part for part in parts.parts)
        at = parts.parts.index(own)
        return dataclasses.replace(parts, parts=(*told[:at], *builder.done().parts, *told[at:]))

    def _agrees(self, source: SourceLayer, number: int) -> bool:
        if source.class_name == "Concatenate":
            # tf-keras cannot join steps that have a mask with steps that have none.
            return _joins_features(source) or len({bool(mask) for mask in self.tf_keras[source.name, number]}) < 2
        if "mask" in plain_call(dataclasses.replace(source, calls=(source.calls[number],))).kwargs:
            return True  # tf-keras takes the one that is given, too.
        there, here = self.keras_3[source.name, number], self.tf_keras[source.name, number]
        return there == here and all(len(mask) < 2 for mask in there)

    def _told(self, source: SourceLayer, call: Arguments, builder: Builder) -> Arguments:
        """The one call with inputs that carry nothing, and masks as arguments."""
        kwargs = dict(call.kwargs)
        given, there = _inputs(source, source.calls[0]), self.keras_3[source.name, 0]
        here = dict(zip(given, self.tf_keras[source.name, 0], strict=True))
        if source.class_name == ATTENTION:
            joined = kwargs.pop("attention_mask", None)
            for carried, axis in zip(there, (2, 1, 1), strict=False):
                mask = self._built(carried, source, builder)
                if mask is not None:
                    joined = _both(builder, builder.operator("expand_dims", mask, axis=axis), joined)
            kwargs.update({} if joined is None else {"attention_mask": joined})
        elif source.class_name in CONSUMERS:
            by_tensor = dict(zip(given, there, strict=True))
            masks = [self._built(by_tensor.get(x, NONE), source, builder) for x in flat(call.args[0])]
            if any(mask is not None for mask in masks):
                if source.class_name in MODELS:
                    raise source.refuse(
                        "is given a mask that tf-keras carries otherwise", "Give it the mask as an input of its own."
                    )
                kwargs["mask"] = masks if isinstance(call.args[0], list | tuple) else masks[0]
        return _masks_taken_off(builder, here, Arguments(args=call.args, kwargs=kwargs))

    def _without_carried(self, source: SourceLayer, parts: Parts) -> Parts:
        """An operation, which knows no masks, where a layer stands for it that would go by them: softmax, or a join of steps."""
        here = dict(zip(_inputs(source, source.calls[0]), self.tf_keras[source.name, 0], strict=True))
        going = [part for part in parts.parts if part.class_name in CONSUMERS | {"Concatenate"}]
        if not going or not any(here.values()):
            return parts
        builder = Builder(source, beside=parts.parts)
        told = [
            dataclasses.replace(part, calls=(_masks_taken_off(builder, here, part.calls[0]),)) if part in going else part
            for part in parts.parts
        ]
        return dataclasses.replace(parts, parts=(*builder.done().parts, *told))

    def _built(self, carried: Mask, source: SourceLayer, builder: Builder) -> Inner | None:
        """A mask of Keras 3 as functions of what it is made of, bool of (batch, steps)."""
        joined: Inner | None = None
        for name, number in sorted(carried):
            maker = self.sources[name]
            if not makes_a_mask(maker.class_name, maker.config):
                raise source.refuse(f"goes by the mask of {name}, which tf-keras carries otherwise", "Give it as an argument.")
            x = tensors(maker.calls[number].args)[0]
            padding = 0 if maker.class_name == "Embedding" else float(maker.config.get("mask_value", 0))
            mask = builder.operator("math.not_equal", x, y=padding)
            if maker.class_name == "Masking":
                mask = builder.operator("math.reduce_any", mask, axis=[-1])
            joined = mask if joined is None else builder.operator("math.logical_or", joined, y=mask)
        return joined


def _masks_taken_off(builder: Builder, carried: Mapping[Tensor, Mask], call: Arguments) -> Arguments:
    """The call with an identity, a function, around each tensor that carries a mask, but for those that are masks."""
    plain: dict[Tensor, Inner] = {}

    def bare(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [bare(item) for item in value]
        if not isinstance(value, Tensor) or not carried.get(value):
            return value
        if value not in plain:
            plain[value] = builder.operator("identity", value)
        return plain[value]

    kwargs = {key: value if key in WRITTEN else bare(value) for key, value in call.kwargs.items()}
    return Arguments(args=tuple(bare(value) for value in call.args), kwargs=kwargs)


Rule = Callable[[SourceLayer, list[Mask]], Mask]
"""The masks that a layer gives on, from those of the tensors that it is called on."""


def _followed(sources: Mapping[str, SourceLayer], fed: bool, rule: Rule, *, as_in_keras_3: bool) -> dict[Source, list[Mask]]:
    """The masks on the inputs of each layer in each of its calls.

    In Keras 3, a tensor has no mask any more once a MultiHeadAttention has read it, and a recurrent layer that begins at a given state goes
    by none, which `told` takes from it in tf-keras too. Layers come in the order in which they run; one that is called several times may
    come before what feeds it, so this goes on until nothing changes.
    """
    masks: dict[Source, Mask] = {}
    seen: dict[Source, list[Mask]] = {}
    # What feeds itself, as no model does that was ever built, might go on for ever.
    for _ in range(sum(len(source.calls) for source in sources.values()) + 2):
        before, forgotten = dict(masks), set[Source]()
        for source in sources.values():
            if source.class_name == "InputLayer":
                masks[source.name, 0] = frozenset([(source.name, 0)]) if fed else NONE
            for number, call in enumerate(source.calls):
                own, inputs = (source.name, number), _inputs(source, call)
                read = [_itself(tensor, sources) for tensor in inputs]
                given = [
                    NONE if same in forgotten else masks.get((tensor.layer, tensor.call), NONE)
                    for same, tensor in zip(read, inputs, strict=True)
                ]
                masks[own] = _given_on(source, own, given, rule)
                if as_in_keras_3 and source.class_name == ATTENTION:
                    forgotten.update(read)
                    given = _without_replaced(source, call, given)
                elif _goes_by_no_mask(source, call):
                    if as_in_keras_3:
                        given = [NONE] * len(given)
                    else:
                        masks[own] = NONE
                seen[own] = given
        if masks == before:
            break
    return seen


def _given_on(source: SourceLayer, own: Source, given: list[Mask], rule: Rule) -> Mask:
    """The mask of what a layer gives."""
    if makes_a_mask(source.class_name, source.config):
        return frozenset([own])
    if source.is_operation:
        return NONE
    if source.class_name in MODELS:
        # What it gives on is made inside.
        return frozenset([own]) if any(given) or makes_masks(source.config) else NONE
    if source.class_name == "Concatenate" and not _joins_features(source):
        return rule(source, given) and frozenset([own])
    told = tensors(source.calls[own[1]].kwargs.get("mask"))
    if told and not any(given) and hands_masks_on(source.class_name, source.config):
        return frozenset([own])
    return rule(source, given)


def _joins_features(source: SourceLayer) -> bool:
    """Whether a Concatenate joins the last axis; along another the mask becomes as long as what is joined."""
    axis = source.config.get("axis", -1)
    shapes = [tensor.shape for tensor in tensors(source.calls[0].args)]
    return axis == -1 or any(shape is not None and axis == len(shape) - 1 for shape in shapes)


def _goes_by_no_mask(source: SourceLayer, call: Arguments) -> bool:
    """Whether Keras 3 leaves the mask aside that the sequences carry: it looks for one only where they are all that a layer is given."""
    if source.class_name not in RECURRENT_LAYERS:
        return False
    named = plain_call(dataclasses.replace(source, calls=(call,))).kwargs
    return "mask" not in named and bool(tensors(named))


def _without_replaced(source: SourceLayer, call: Arguments, given: list[Mask]) -> list[Mask]:
    """The masks on query, value and key; one that is given as an argument stands for what the value or the key carries."""
    named = plain_call(dataclasses.replace(source, calls=(call,))).kwargs
    return [NONE if name in named else mask for name, mask in zip(("", "value_mask", "key_mask"), given, strict=False)]


def _itself(tensor: Tensor, sources: Mapping[str, SourceLayer]) -> Source:
    """The layer and call that made a tensor: outside training, some layers of Keras 3 give the very tensor that they are given."""
    passed = set[Tensor]()
    while tensor.layer in sources and sources[tensor.layer].class_name in GIVING_THE_SAME and tensor not in passed:
        passed.add(tensor)
        tensor = next(iter(_inputs(sources[tensor.layer], sources[tensor.layer].calls[tensor.call])), tensor)
    return tensor.layer, tensor.call


def _in_keras_3(source: SourceLayer, given: list[Mask]) -> Mask:
    if source.class_name in MERGES:
        # One mask of "true" everywhere is none; steps without one count where steps are joined.
        joins_steps = source.class_name == "Concatenate" and not _joins_features(source)
        return frozenset().union(*given) if all(given) or joins_steps else NONE
    handed_on = source.class_name in HANDED_ON_BY_KERAS_3 or hands_masks_on(source.class_name, source.config)
    return given[0] if handed_on and given else NONE


def _in_tf_keras(source: SourceLayer, given: list[Mask], dropping: set[str]) -> Mask:
    if source.name in dropping or not hands_masks_on(source.class_name, source.config) or not given:
        return NONE
    if source.class_name == "Concatenate" and not _joins_features(source) and not all(given):
        return NONE
    return frozenset().union(*given) if source.class_name in MERGES else given[0]


def _inputs(source: SourceLayer, call: Arguments) -> list[Tensor]:
    """The tensors of a call that are no masks: of a MultiHeadAttention query, value and key."""
    if source.class_name == ATTENTION:
        plain = plain_call(dataclasses.replace(source, calls=(call,)))
        return tensors([plain.args[0], plain.kwargs.get("value"), plain.kwargs.get("key")])
    return tensors((call.args, [value for key, value in call.kwargs.items() if not key.endswith("mask")]))
