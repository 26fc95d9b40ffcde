"""Layers around layers: wrappers, and recurrent layers around cells."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optimizer.sources.keras_3.calls import plain_call
from optimizer.sources.keras_3.layers import check_neutral, general_settings, translate_layer
from optimizer.sources.keras_3.parts import Arguments, Builder, Origin, Parts, SourceLayer, Tensor, layer
from optimizer.sources.keras_3.serialized import plain_setting
from optimizer.sources.naming import scope_name
from optimizer.sources.preflight.allowlist import MODELS

INSIDE = ("layer", "backward_layer", "cell")
KEPT = frozenset(["merge_mode", "return_sequences", "return_state", "go_backwards", "stateful", "unroll", "zero_output_for_mask"])


@layer("Bidirectional", "TimeDistributed", "RNN", "StackedRNNCells")
def wrapper(source: SourceLayer) -> Parts:
    """The settings of the wrapper, and the translation of what it wraps."""
    config = general_settings(source)
    inside: Mapping[str, Origin] = {}
    for key, value in source.config.items():
        if key in INSIDE and value is not None:
            inner = wrapped(value, source)
            config[key], inside = inner.record, {**inside, **inner.inside}
        elif key in INSIDE:
            config[key] = None
        elif key == "cells" and isinstance(value, list):
            config[key] = [wrapped(item, source).record for item in value]
        elif key in KEPT:
            config[key] = plain_setting(value)
        elif key not in ("name", "trainable", "dtype"):
            check_neutral(key, value, source)
    builder = Builder(source)
    builder.own(source.class_name, config, plain_call(source), inside)
    return builder.done()


@layer("SpectralNormalization")
def spectral_normalization(source: SourceLayer) -> Parts:
    """The layer inside: the norm is kept in training, in the stored kernel itself, and tf-keras cannot rebuild models with this layer."""
    record = source.config.get("layer")
    if not isinstance(record, Mapping) or not isinstance(record.get("config"), Mapping):
        raise source.refuse("does not say what it wraps")
    inner = dataclasses.replace(source, class_name=str(record.get("class_name")), config=record["config"])
    parts = tuple(
        part if part.weights is None else dataclasses.replace(part, weights=f"layer/{part.weights}".rstrip("/"))
        for part in translate_layer(inner).parts
    )
    note = "SpectralNormalization acts in training only: the layer inside is kept, without further normalization."
    return Parts(parts=parts, note=note, ignored=("vars", "vector_u"))


@dataclass(frozen=True, kw_only=True)
class Wrapped:
    """A wrapped layer as tf-keras has it, and where the weights of its layers are if it is a model or wraps one."""

    record: dict[str, Any]
    inside: Mapping[str, Origin]


def wrapped(record: Any, source: SourceLayer) -> Wrapped:
    """A wrapped layer in tf-keras. Raises InputError where it takes more than one layer there."""
    if not isinstance(record, Mapping) or not isinstance(record.get("config"), Mapping):
        raise source.refuse("does not say what it wraps")
    class_name, config = str(record.get("class_name")), record["config"]
    if class_name in MODELS:
        from optimizer.sources.keras_3.translation import translate

        model = translate(record, source.place)
        return Wrapped(record=model.config, inside=model.origins)
    name = str(config.get("name") or class_name)
    inner = dataclasses.replace(
        source,
        name=name,
        class_name=class_name,
        config=config,
        calls=(Arguments(args=(Tensor(layer=name),)),),
        place=f"{source.place}, {name}",
        build_shape=None,
    )
    parts = translate_layer(inner).parts
    if len(parts) > 1:
        raise source.refuse(f"wraps {class_name}, which takes several layers in tf-keras", "Take it out of the wrapper.")
    record = {"class_name": parts[0].class_name, "config": {**parts[0].config, "name": scope_name(name)}}
    return Wrapped(record=record, inside=parts[0].inside)
