"""Layers that tf-keras lacks, expressed by those it has: normalizations, scales, grouped attention, adaptive pooling."""

from __future__ import annotations

import dataclasses
from typing import Any

from optimizer.sources.keras_3.calls import plain_call
from optimizer.sources.keras_3.layers import general_settings, same_layer
from optimizer.sources.keras_3.operands import axes_of
from optimizer.sources.keras_3.parts import Arguments, Builder, Inner, Parts, SourceLayer, Tensor, layer
from optimizer.sources.keras_3.serialized import plain_setting


def own_classes(source: SourceLayer, module: str) -> None:
    """Raises InputError where a class has the name of one of Keras's applications, and is somebody else's."""
    if source.module != module:
        raise source.refuse(
            f"is not the one of {module}",
            "Litesmith has no code for custom objects: rebuild this part with ordinary Keras layers, and save the model as .keras.",
        )


@layer("RMSNormalization")
def rms_normalization(source: SourceLayer) -> Parts:
    """x * rsqrt(mean(x^2) + epsilon) * scale."""
    x, shape = plain_call(source).args[0], source.input_shape()
    builder = Builder(source)
    _last_axis(source, len(shape))
    mean = builder.operator("math.reduce_mean", builder.operator("math.square", x), axis=[-1], keepdims=True)
    _scale(builder, x, mean, shape, source)
    return builder.done()


@layer("LayerNormalization")
def layer_normalization(source: SourceLayer) -> Parts:
    """With rms_scaling, x * rsqrt(variance + epsilon) * gamma."""
    if not source.config.get("rms_scaling"):
        return same_layer(source)
    x, shape = plain_call(source).args[0], source.input_shape()
    builder = Builder(source)
    _last_axis(source, len(shape))
    if not source.config.get("scale", True):
        raise source.refuse("has rms_scaling without a scale")
    _scale(builder, x, builder.operator("math.reduce_variance", x, axis=[-1], keepdims=True), shape, source)
    return builder.done()


def _last_axis(source: SourceLayer, rank: int) -> None:
    axes = axes_of(plain_setting(source.config.get("axis", -1))) or []
    if [axis % rank for axis in axes] != [rank - 1]:
        raise source.refuse(f"works along {axes}", "Let it work along the last axis.")


def _scale(builder: Builder, x: Any, spread: Inner, shape: tuple[int | None, ...], source: SourceLayer) -> None:
    """x / sqrt(spread + epsilon) times the layer's weight."""
    spread = builder.operator("math.add", spread, y=float(source.config.get("epsilon") or 1e-7))
    normal: Inner = builder.operator("math.multiply", x, y=builder.operator("math.rsqrt", spread))
    trainable = source.config.get("trainable") is not False
    if len(shape) == 2:
        row = builder.layer("Reshape", normal, target_shape=[1, shape[-1]])
        builder.layer("Reshape", builder.scaled(row, 3, trainable), target_shape=[shape[-1]])
    else:
        builder.scaled(normal, len(shape), trainable)


@layer("LayerScale")
def layer_scale(source: SourceLayer) -> Parts:
    """x * gamma (ConvNeXt)."""
    own_classes(source, "keras.src.applications.convnext")
    builder = Builder(source)
    builder.scaled(plain_call(source).args[0], len(source.input_shape()), source.config.get("trainable") is not False)
    return builder.done()


@layer("StochasticDepth")
def stochastic_depth(source: SourceLayer) -> Parts:
    """Drops whole samples in training (ConvNeXt): a Dropout with one chance a sample."""
    own_classes(source, "keras.src.applications.convnext")
    noise_shape = [None] + [1] * (len(source.input_shape()) - 1)
    builder = Builder(source)
    call = plain_call(source)
    builder.own("Dropout", {"rate": source.config.get("drop_path_rate", 0.0), "noise_shape": noise_shape}, call)
    return builder.done()


@layer("CustomScaleLayer")
def custom_scale(source: SourceLayer) -> Parts:
    """First input plus the second times a constant (InceptionResNetV2)."""
    own_classes(source, "keras.src.applications.inception_resnet_v2")
    first, second = plain_call(source).args[0]
    builder = Builder(source)
    builder.layer("Add", [first, builder.operator("math.multiply", second, y=float(source.config["scale"]))])
    return builder.done()


@layer("GroupQueryAttention", "GroupedQueryAttention")
def grouped_query_attention(source: SourceLayer) -> Parts:
    """Attention whose keys and values serve several heads each, step by step."""
    config = source.config
    unlike = [key for key in ("use_gate", "sliding_window") if config.get(key)]
    call = plain_call(source)
    if unlike or set(call.kwargs) - {"value", "key", "training"}:
        raise source.refuse(f"has {', '.join(unlike) or 'masks, or gives its scores'}")
    heads, groups, width = (int(config[key]) for key in ("num_query_heads", "num_key_value_heads", "head_dim"))
    query, value = call.args[0], call.kwargs["value"]
    key = call.kwargs.get("key", value)
    if not isinstance(query, Tensor) or query.shape is None or query.shape[-1] is None:
        raise source.refuse("does not say the shape of its input")
    builder = Builder(source)
    bias = "bc" if config.get("use_bias", True) else None

    def project(x: Any, name: str, count: int) -> Inner:
        settings = {**general_settings(source), "output_shape": [None, count, width], "bias_axes": bias}
        return builder.layer("EinsumDense", x, weights=name, equation="xym,mbc->xybc", **settings)

    q = builder.layer("Permute", project(query, "query_dense", heads), dims=[2, 1, 3])
    sides = []
    for x, name in ((key, "key_dense"), (value, "value_dense")):
        repeated = builder.operator("repeat", project(x, name, groups), repeats=heads // groups, axis=2)
        sides.append(builder.layer("Permute", repeated, dims=[2, 1, 3]))
    scores = builder.operator("math.multiply", q, y=width**-0.5)
    weights = builder.layer("Softmax", builder.operator("linalg.matmul", scores, b=sides[0], transpose_b=True), axis=-1)
    if config.get("dropout"):
        weights = builder.layer("Dropout", weights, rate=config["dropout"])
    joined = builder.layer("Permute", builder.operator("linalg.matmul", weights, b=sides[1]), dims=[2, 1, 3])
    settings = {**general_settings(source), "output_shape": [None, query.shape[-1]], "bias_axes": "m" if bias else None}
    builder.layer("EinsumDense", joined, weights="output_dense", equation="xybc,bcm->xym", **settings)
    return builder.done()


@layer(*(f"Adaptive{kind}Pooling{rank}D" for kind in ("Average", "Max") for rank in (1, 2, 3)))
def adaptive_pooling(source: SourceLayer) -> Parts:
    """Pooling to a given size: ordinary pooling where the input's size is a multiple of it."""
    rank, shape = int(source.class_name[-2]), source.input_shape()
    wanted = axes_of(plain_setting(source.config.get("output_size"))) or []
    wanted = wanted * rank if len(wanted) == 1 else wanted
    first = source.config.get("data_format") == "channels_first"
    sides = shape[2:] if first else shape[1:-1]
    if len(sides) != len(wanted) or any(side is None or side % count for side, count in zip(sides, wanted, strict=True)):
        raise source.refuse(f"makes {wanted} of {list(sides)}", "Choose an output size that divides the size of the input.")
    size = [(side or 0) // count for side, count in zip(sides, wanted, strict=True)]
    kind = "AveragePooling" if "Average" in source.class_name else "MaxPooling"
    builder = Builder(source)
    settings: dict[str, Any] = {
        "pool_size": size,
        "strides": size,
        "padding": "valid",
        "data_format": source.config.get("data_format"),
    }
    builder.layer(f"{kind}{rank}D", plain_call(source).args[0], **settings)
    return builder.done()


@layer("ReversibleEmbedding")
def reversible_embedding(source: SourceLayer) -> Parts:
    """An Embedding, as long as nobody turns it round."""
    call = source.call
    if any(value for key, value in call.kwargs.items() if key == "reverse") or any(call.args[1:]):
        raise source.refuse("is called with reverse=True", "Put a Dense layer in its place.")
    if not source.config.get("tie_weights", True):
        raise source.refuse("has weights for both directions", "Put an Embedding and a Dense layer in its place.")
    dropped = ("tie_weights", "reverse_dtype", "logit_soft_cap")
    config = {key: value for key, value in source.config.items() if key not in dropped}
    plain = Arguments(args=call.args[:1])
    return same_layer(dataclasses.replace(source, class_name="Embedding", config=config, calls=(plain,)))
