"""Operations of neural networks."""

from __future__ import annotations

from typing import Any

from optimizer.sources.keras_3.operands import axes_of, given, known_shape, tensor
from optimizer.sources.keras_3.parts import Builder, Parts, SourceLayer, operation


@operation("Softmax", "LogSoftmax")
def softmax(source: SourceLayer) -> Parts:
    """Softmax along an axis."""
    arguments = given(source, "x", "axis")
    axes = axes_of(arguments.get("axis", -1))
    if axes is None or len(axes) != 1:
        raise source.refuse("runs over several axes", "Reshape them into one.")
    builder = Builder(source)
    x = tensor(arguments, "x", source)
    if source.class_name == "Softmax":
        builder.layer("Softmax", x, axis=axes[0])
    else:
        builder.operator("nn.log_softmax", x, axis=axes[0])
    return builder.done()


@operation("MaxPool", "AveragePool")
def pool(source: SourceLayer) -> Parts:
    """Pooling as a layer."""
    arguments = given(source, "inputs", "pool_size", "strides", "padding", "data_format")
    x = tensor(arguments, "inputs", source)
    rank = len(known_shape(x, source)) - 2
    kind = "MaxPooling" if source.class_name == "MaxPool" else "AveragePooling"
    settings: dict[str, Any] = {
        "pool_size": arguments["pool_size"],
        "strides": arguments.get("strides"),
        "padding": arguments.get("padding", "valid"),
        "data_format": arguments.get("data_format") or "channels_last",
    }
    builder = Builder(source)
    builder.layer(f"{kind}{rank}D", x, **settings)
    return builder.done()


@operation("Resize")
def resize(source: SourceLayer) -> Parts:
    """Images in another size."""
    arguments = given(source, "images", "size", "interpolation", "antialias")
    unlike = [key for key in ("antialias", "crop_to_aspect_ratio", "pad_to_aspect_ratio") if arguments.get(key)]
    if unlike or arguments.get("data_format") == "channels_first":
        raise source.refuse(f"has {', '.join(unlike) or 'channels first'}")
    builder = Builder(source)
    height, width = arguments["size"]
    x = tensor(arguments, "images", source)
    method = str(arguments.get("interpolation", "bilinear"))
    builder.layer("Resizing", x, height=int(height), width=int(width), interpolation=method)
    return builder.done()
