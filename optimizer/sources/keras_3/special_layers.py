"""Layers whose settings changed, and layers that tf-keras lacks but can express."""

from __future__ import annotations

import dataclasses
from typing import Any

from optimizer.sources.keras_3.activations import is_known
from optimizer.sources.keras_3.calls import plain_call
from optimizer.sources.keras_3.images import rounded
from optimizer.sources.keras_3.layers import activate_with, general_settings, same_layer, shared_settings
from optimizer.sources.keras_3.masking import with_one_mask
from optimizer.sources.keras_3.operands import is_float
from optimizer.sources.keras_3.parts import Builder, Part, Parts, SourceLayer, Tensor, layer
from optimizer.sources.keras_3.serialized import dtype_name, plain_setting


@layer("InputLayer")
def input_layer(source: SourceLayer) -> Parts:
    """batch_shape is called batch_input_shape in tf-keras."""
    if source.config.get("sparse") or source.config.get("ragged"):
        raise source.refuse("takes sparse or ragged tensors", "Give the model dense inputs, and save it again.")
    shape = plain_setting(source.config.get("batch_shape", source.config.get("batch_input_shape")))
    config = {
        "batch_input_shape": shape,
        "dtype": dtype_name(source.config.get("dtype"), source),
        "sparse": False,
        "ragged": False,
    }
    return Parts(parts=(Part(class_name="InputLayer", config=config, calls=()),))


@layer("LeakyReLU")
def leaky_relu(source: SourceLayer) -> Parts:
    """negative_slope is called alpha in tf-keras."""
    slope = source.config.get("negative_slope", source.config.get("alpha", 0.3))
    builder = Builder(source)
    builder.own("LeakyReLU", {**general_settings(source), "alpha": slope}, plain_call(source))
    return builder.done()


@layer("Activation")
def activation(source: SourceLayer) -> Parts:
    """An activation that tf-keras lacks becomes layers that compute it."""
    function = plain_setting(source.config.get("activation"))
    if is_known(function):
        return same_layer(source)
    builder = Builder(source)
    activate_with(function, builder, plain_call(source).args[0])
    return builder.done()


@layer("Discretization")
def discretization(source: SourceLayer) -> Parts:
    """tf-keras takes boundaries or a number of bins, not both."""
    config: dict[str, Any] = dict(source.config)
    if config.get("bin_boundaries") is not None:
        config["num_bins"] = None
    return same_layer(dataclasses.replace(source, config=config))


@layer("MultiHeadAttention")
def multi_head_attention(source: SourceLayer) -> Parts:
    """tf-keras reads the shapes of query, value and key from the config, and knows one mask that is given, of (batch, queries, keys)."""
    builder = Builder(source)
    call = plain_call(source)
    shapes = {"query": call.args[0], "value": call.kwargs.get("value"), "key": call.kwargs.get("key") or call.kwargs.get("value")}
    config = shared_settings(source)
    for name, value in shapes.items():
        known = value.shape if isinstance(value, Tensor) else None
        config[f"{name}_shape"] = None if known is None else list(known)
    builder.own("MultiHeadAttention", config, with_one_mask(builder, call))
    return builder.done()


@layer("Resizing")
def resizing(source: SourceLayer) -> Parts:
    """Keras 3 rounds what becomes of whole numbers, tf-keras does not. They stay floats here, as the layers after it expect."""
    builder = Builder(source)
    call = plain_call(source)
    config = shared_settings(source)
    resized = builder.own("Resizing", config, call)
    if not is_float(call.args[0]):
        rounded(builder, resized, str(config.get("interpolation", "bilinear")))
    return builder.done()
