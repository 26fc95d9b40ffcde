"""Where fewer bits and zeros make inference faster, and where they do not, told from a model's layers before anything runs.

The conditions are those of XNNPACK, LiteRT's library of CPU kernels (its README, section "Sparse Inference"), and of measurements with
ResNet-8, MobileNetV1 and dense nets on processors with and without integer dot products. Whatever is said here is a rule of thumb: the
run measures.
"""

from __future__ import annotations

from optimizer.environment import Host
from optimizer.sources.summary import LayerSummary, ModelSummary

ENOUGH_ZEROS = "above two thirds of zeros"
"""XNNPACK takes its sparse kernel for a convolution with more zeros than this."""
CHANNEL_STEP = 8
"""Output channels that the kernels compute at once; some take 16."""
DEPTHWISE = ("DepthwiseConv2D", "DepthwiseConv1D", "SeparableConv1D", "SeparableConv2D")
SPLIT_UP = frozenset(
    {"LayerNormalization", "GroupNormalization", "UnitNormalization", "MultiHeadAttention", "Attention", "AdditiveAttention"}
)
"""Layers that the file computes by a dozen operators each."""
WIDE_UNITS = 256
FEW_PARAMETERS = 2000
POOLED = ("GlobalAveragePooling2D",)
CONVOLUTIONS = ("Conv1D", "Conv2D", "Conv3D", "Dense", "SeparableConv2D", "Conv2DTranspose")


def depthwise_layers(model: ModelSummary) -> list[LayerSummary]:
    """Layers that compute each channel by itself."""
    return [layer for layer in model.layers if layer.kind in DEPTHWISE]


def counted_layers(layers: list[LayerSummary]) -> str:
    """ "1 layer is", "12 layers are"."""
    return "1 layer is" if len(layers) == 1 else f"{len(layers)} layers are"


def int8_in_words(model: ModelSummary, host: Host) -> list[str]:
    """Where int8 weights and activations may be slower than float32 here."""
    return [*_many_small_operators_in_words(model), *_dot_products_in_words(model, host)]


def _many_small_operators_in_words(model: ModelSummary) -> list[str]:
    # Transformer blocks of 128 units took 1.5 times as long in int8 as in float32 on a processor with integer dot products, and 0.6 times
    # with 256 units; without their normalizations and attentions 0.3 times.
    kinds = dict.fromkeys(
        layer.class_name for layer in model.layers if layer.class_name in SPLIT_UP and _channels(layer) < WIDE_UNITS
    )
    if not kinds:
        return []
    return [
        f"May be slower than float32: each {' and each '.join(kinds)} becomes many small operators, which take longer with integers; "
        f"dense layers make up for it from some {WIDE_UNITS} units on."
    ]


def small_model_in_words(model: ModelSummary) -> list[str]:
    """Where fewer bits a weight do not make the file smaller."""
    if model.parameters >= FEW_PARAMETERS:
        return []
    return [
        f"Not much smaller, or larger: of {model.parameters:,} weights little can be saved, and each operator and channel gets a scale of "
        "its own, which the file holds too."
    ]


def _dot_products_in_words(model: ModelSummary, host: Host) -> list[str]:
    if host.integer_dot_product:
        return []
    if depthwise_layers(model):
        return [
            f"May be slower than float32 on this machine ({host.processor}), which has no instructions for integer dot products: "
            f"{counted_layers(depthwise_layers(model))} depthwise. Phones since about 2019, a Raspberry Pi 5 and microcontrollers gain."
        ]
    return [
        f"Gains less speed on this machine ({host.processor}), which has no instructions for integer dot products, than on newer ones."
    ]


def sparse_kernels_in_words(model: ModelSummary, host: Host) -> str:
    """Whether zeros will be skipped: XNNPACK does so on processors without AVX, in float, for whole nets of 1x1 convolutions."""
    missing = missing_for_sparse_kernels(model)
    if host.avx:
        here = "Not faster on this machine: on x86 processors with AVX no kernel skips zeros"
        return here + (
            f", nor would it be on ARM, where those kernels need what this model lacks: {', '.join(missing)}."
            if missing
            else f"; on ARM they may, in float32 or float16, {ENOUGH_ZEROS}."
        )
    if missing:
        return f"Not faster: kernels that skip zeros need what this model lacks: {', '.join(missing)}."
    return f"May be faster in float32 or float16, whose kernels for 1x1 convolutions skip zeros {ENOUGH_ZEROS}; not in int8."


def missing_for_sparse_kernels(model: ModelSummary) -> list[str]:
    """What of the model's layers keeps XNNPACK from its sparse kernels, in words; empty where nothing does."""
    convolutions = [layer for layer in model.layers if layer.class_name == "Conv2D"]
    if not convolutions:
        return ["1x1 convolutions"]
    missing = []
    if not any(_kernel(layer) == (1, 1) for layer in convolutions):
        missing.append("1x1 convolutions")
    if _kernel(convolutions[0]) != (3, 3) or _strides(convolutions[0]) != (2, 2):
        missing.append("a first convolution of 3x3 with stride 2")
    if not any(layer.class_name in POOLED for layer in model.layers):
        missing.append("a global average pooling at the end")
    return missing


def odd_channels(model: ModelSummary) -> list[LayerSummary]:
    """Layers whose output channels are no multiple of CHANNEL_STEP, those that make the outputs left out."""
    endings = _makers_of_outputs(model)
    return [
        layer
        for layer in model.layers
        if layer.kind in CONVOLUTIONS and layer.name not in endings and _channels(layer) % CHANNEL_STEP
    ]


def _makers_of_outputs(model: ModelSummary) -> set[str]:
    """The layers that make the outputs, and where those hold no weights (a softmax of its own), the layers before them."""
    layers = {layer.name: layer for layer in model.layers}
    found: set[str] = set()
    pending = list(model.output_layers)
    while pending:
        name = pending.pop()
        if name not in found and name in layers:
            found.add(name)
            pending += () if layers[name].weight_shapes else layers[name].inbound
    return found


def odd_channels_in_words(model: ModelSummary) -> list[str]:
    """What odd channel counts cost; empty where there are none."""
    odd = odd_channels(model)
    if not odd:
        return []
    named = ", ".join(f"{layer.name} ({_channels(layer)})" for layer in odd[:4]) + (
        f" and {len(odd) - 4} more" if len(odd) > 4 else ""
    )
    return [
        f"Channel counts that are no multiple of {CHANNEL_STEP}: {named}. Kernels compute {CHANNEL_STEP} or 16 channels at once, so that "
        "one more, up to the next multiple, costs no time, and a few less save none."
    ]


def _channels(layer: LayerSummary) -> int:
    shape = layer.output_shape
    return int(shape[-1] or 0) if shape else 0


def _kernel(layer: LayerSummary) -> tuple[int, ...]:
    return tuple(layer.weight_shapes.get("kernel", ())[:2])


def _strides(layer: LayerSummary) -> tuple[int, ...]:
    strides = layer.config.get("strides", 1)
    return (strides, strides) if isinstance(strides, int) else tuple(strides)
