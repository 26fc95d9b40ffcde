"""One layer of Keras 3 into tf-keras: by its own translator, or by the list of settings that both have."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optimizer.errors import InputError
from optimizer.sources.keras_3.activations import activate, is_known
from optimizer.sources.keras_3.calls import plain_call
from optimizer.sources.keras_3.parts import (
    LAYERS,
    OPERATIONS,
    Arguments,
    Builder,
    Inner,
    Parts,
    SourceLayer,
    Tensor,
    flat,
    merged,
)
from optimizer.sources.keras_3.reading import fault
from optimizer.sources.keras_3.serialized import dtype_name, plain_setting

_DATA: Mapping[str, Any] = json.loads(Path(__file__).with_name("settings.json").read_text(encoding="utf-8"))
KEPT: Mapping[str, frozenset[str]] = {name: frozenset(g["settings"]) for g in _DATA["kept"] for name in g["classes"]}
"""Settings that a class has in both generations, under one name."""
NEUTRAL: Mapping[str, list[Any]] = _DATA["neutral"]
"""Settings that only Keras 3 has, with the values that change nothing ("*" for any)."""
GENERAL = ("name", "trainable", "dtype", "batch_shape")


def translate_layer(source: SourceLayer) -> Parts:
    """The tf-keras layers that do what `source` does, in all its calls. Raises InputError NOT_TRANSLATABLE."""
    if len(source.calls) < 2:
        return _translate(source)
    return merged([_translate(dataclasses.replace(source, calls=(call,))) for call in source.calls], source)


def _translate(source: SourceLayer) -> Parts:
    try:
        parts = _translated(source)
        if any(isinstance(value, Tensor | Inner) for part in parts.parts for value in flat(part.config)):
            raise source.refuse("takes a tensor where tf-keras needs a constant")
        return parts
    except InputError:
        raise
    # The settings and arguments come from the file: a missing, impossible or misplaced one shows as any of these.
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError) as error:
        raise fault(
            "The layer's settings or its calls cannot be read", f"{type(error).__name__}: {error}", source.place
        ) from error


def _translated(source: SourceLayer) -> Parts:
    if source.is_operation:
        if source.class_name not in OPERATIONS:
            raise source.refuse("has no counterpart in tf-keras")
        return OPERATIONS[source.class_name](source)
    if source.class_name in LAYERS:
        return LAYERS[source.class_name](source)
    return same_layer(source)


def same_layer(source: SourceLayer) -> Parts:
    """A layer that tf-keras has too. An activation that tf-keras lacks becomes layers of its own."""
    builder = Builder(source)
    config = shared_settings(source)
    activation = config.get("activation")
    if "recurrent_activation" in config or source.class_name in ("SimpleRNN", "SimpleRNNCell"):
        _check_recurrent(config, source)
    elif activation is not None and not is_known(activation):
        config["activation"] = "linear"
        activate_with(activation, builder, builder.own(source.class_name, config, plain_call(source)))
        return builder.done()
    builder.own(source.class_name, config, plain_call(source))
    return builder.done()


def activate_with(activation: Any, builder: Builder, x: Tensor | Inner) -> Inner:
    """Apply an activation given by its name, or by the record of a layer such as LeakyReLU."""
    if not isinstance(activation, Mapping):
        return activate(str(activation), builder, x)
    class_name, config = str(activation.get("class_name")), activation.get("config")
    source = dataclasses.replace(
        builder.source,
        class_name=class_name,
        config=config if isinstance(config, Mapping) else {},
        calls=(Arguments(args=(x,)),),
    )
    parts = translate_layer(source).parts
    if class_name == "PReLU" or len(parts) > 1:
        raise builder.source.refuse(f"has the layer {class_name} as its activation")
    return builder.layer(parts[0].class_name, x, **parts[0].config)


def _check_recurrent(config: Mapping[str, Any], source: SourceLayer) -> None:
    for setting in ("activation", "recurrent_activation"):
        activation = config.get(setting)
        if activation is not None and not is_known(activation):
            fix = f"Use {setting}='sigmoid' or 'tanh', train a little, and save the model again."
            raise source.refuse(f"has {setting}={activation!r}, which tf-keras lacks or computes otherwise", fix)


def shared_settings(source: SourceLayer) -> dict[str, Any]:
    """The settings of a layer that tf-keras takes too. Raises InputError where one that it lacks changes something."""
    kept = KEPT.get(source.class_name)
    if kept is None:
        raise source.refuse("has no counterpart in tf-keras")
    config = general_settings(source)
    for key, value in source.config.items():
        if key in kept:
            config[key] = plain_setting(value)
        elif key not in GENERAL:
            check_neutral(key, value, source)
    if isinstance(config.get("seed"), Mapping):
        config["seed"] = None
    return config


def general_settings(source: SourceLayer) -> dict[str, Any]:
    """What all layers have: dtype, and whether they are trained."""
    config: dict[str, Any] = {"dtype": dtype_name(source.config.get("dtype"), source)}
    if source.config.get("trainable") is False:
        config["trainable"] = False
    return config


def check_neutral(key: str, value: Any, source: SourceLayer) -> None:
    """Raises InputError where a setting that only Keras 3 has is not at a value that changes nothing."""
    values = NEUTRAL.get(key)
    if values is None or ("*" not in values and plain_setting(value) not in values):
        raise source.refuse(
            f"has {key}={value!r}, which tf-keras lacks", f"Build the layer without {key}, and save the model again."
        )
