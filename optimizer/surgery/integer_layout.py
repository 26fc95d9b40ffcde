"""What becomes of each layer under quantization-aware training: decided on the wiring alone, so that it can be said before anything runs.

The rules follow TFMOT's default 8-bit scheme (Jacob et al. 2018, arXiv 1712.05877, section 3): every integer operator needs rounded inputs, rounded
weights and a rounded output, and no rounding between parts that the converter fuses (a convolution, its BatchNormalization, its ReLU).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from optimizer.sources.activations import relu_name
from optimizer.sources.summary import LayerSummary
from optimizer.sources.wiring import Wiring
from optimizer.surgery.batch_normalization import normalized_layer


class Role(StrEnum):
    """KERNEL: its weights and output are rounded. OUTPUT: only what it gives. FIXED: its range is known. PASSING: moves rounded values.

    APART: stays float, and must be kept from the converter, which would round it after the training. FLOAT: stays float.
    """

    KERNEL = "kernel"
    OUTPUT = "output"
    FIXED = "fixed"
    PASSING = "passing"
    APART = "apart"
    FLOAT = "float"


ROUNDED = frozenset({Role.KERNEL, Role.OUTPUT, Role.FIXED, Role.PASSING})
KERNELS = frozenset(
    {
        "Conv1D",
        "Conv1DTranspose",
        "Conv2D",
        "Conv2DTranspose",
        "Dense",
        "DepthwiseConv1D",
        "DepthwiseConv2D",
        "Embedding",
        "SeparableConv1D",
        "SeparableConv2D",
    }
)
OUTPUTS = frozenset(
    {
        "Add",
        "Concatenate",
        "GlobalAveragePooling1D",
        "GlobalAveragePooling2D",
        "GlobalAveragePooling3D",
        "LeakyReLU",
        "Multiply",
        "PReLU",
        "ReLU",
        "Subtract",
    }
)
# Average pooling and resizing are among these because their operators take one scale for what they read and give.
PASSINGS = frozenset(
    {
        "ActivityRegularization",
        "AlphaDropout",
        "AveragePooling1D",
        "AveragePooling2D",
        "Cropping1D",
        "Cropping2D",
        "Dropout",
        "Flatten",
        "GaussianDropout",
        "GaussianNoise",
        "GlobalMaxPooling1D",
        "GlobalMaxPooling2D",
        "Identity",
        "MaxPooling1D",
        "MaxPooling2D",
        "Permute",
        "RepeatVector",
        "Reshape",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "UpSampling2D",
        "ZeroPadding1D",
        "ZeroPadding2D",
    }
)
PASSING_FUNCTIONS = frozenset(
    {"compat.v1.transpose", "expand_dims", "identity", "reshape", "split", "squeeze", "stop_gradient", "transpose"}
)
RECURRENT = frozenset({"Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "GRU", "LSTM", "RNN", "SimpleRNN"})
FIXED_ACTIVATIONS = frozenset({"sigmoid", "softmax", "tanh"})
FUSED_ACTIVATIONS = frozenset({"relu", "relu6"})
INTEGER_ACTIVATIONS = FIXED_ACTIVATIONS | FUSED_ACTIVATIONS | {"gelu", "linear", "silu", "swish"}
FUSING = frozenset({"Add", "Multiply", "Subtract"})
"""Layers that take a ReLU after them into their own operator."""
ONE_SCALE = frozenset({"Maximum", "Minimum"})
ONE_SCALE_FUNCTIONS = frozenset({"concat", "math.add_n", "math.maximum", "math.minimum", "one_hot", "stack", "where"})
"""Layers and functions whose operator takes one scale for all that it reads and gives: left to itself, the converter takes that of one
input for all of them, or refuses the model."""
TRAINED_WITH_NORMALIZATION = frozenset({"Conv2D", "DepthwiseConv2D"})
"""A BatchNormalization after these is trained with them and folded by the converter; after other kernels it is folded before, for the
converter cannot look through the reshapes around them."""
SHARES_INPUT = "it joins an input of the model that layers which stay float read too"
MOVES_FLOATS = "it moves what stays float"
BETWEEN_FLOATS = "it stands between layers that stay float"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The role of each layer, why some stay float, whose output is rounded where the layer ends, and which layers round what they join."""

    roles: Mapping[str, Role]
    reasons: Mapping[str, str]
    rounds: frozenset[str]
    aligns: frozenset[str] = frozenset()
    """Each Concatenate that rounds to its own range what it reads and nobody rounded before."""


def integer_layout(wiring: Wiring, skipped: Collection[str] = ()) -> Layout:
    """Decide for every layer.

    Args:
        wiring: A flat model, foldable BatchNormalization layers still in it or not.
        skipped: Names of layers that shall stay float.
    """
    reasons = {name: reason for name, layer in wiring.layers.items() if (reason := _obstacle(layer, wiring, skipped))}
    reasons |= {name: SHARES_INPUT for name in wiring.layers if name not in reasons and _shares_input(name, wiring, reasons)}
    roles = {name: Role.FLOAT if name in reasons else _role(layer) for name, layer in wiring.layers.items()}
    for name, layer in wiring.layers.items():
        apart = layer.class_name in RECURRENT or (name in reasons and layer.class_name in KERNELS)
        apart = apart or takes_one_scale(layer) or (name in reasons and layer.class_name == "Concatenate")
        if apart or "'LSTM'" in str(layer.config.get("layer", "")) or (name in skipped and layer.parameters):
            roles[name] = Role.APART
    _release_between_floats(wiring, roles, reasons)
    aligns, floats = _aligning(wiring, roles, reasons)
    rounds = {name for name, role in roles.items() if role in (Role.KERNEL, Role.OUTPUT) and _ends_here(name, wiring, roles)}
    rounds |= _joined_with_rounded(wiring, roles, rounds)
    return Layout(roles=roles, reasons=reasons, rounds=frozenset((rounds | aligns) - floats), aligns=frozenset(aligns))


def _obstacle(layer: LayerSummary, wiring: Wiring, skipped: Collection[str]) -> str:
    """Why a layer stays float; empty where it is rounded."""
    kind = layer.class_name
    if layer.name in skipped:
        return "named in skip_layers"
    if kind == "BatchNormalization":
        before = normalized_layer(layer.name, wiring)
        if before is None or before.class_name not in KERNELS:
            return "a BatchNormalization that does not directly follow a convolution or dense layer of its own"
        return f"the layer before it, {before.name}, stays float" if _obstacle(before, wiring, skipped) else ""
    if kind == "Activation" or kind == "Softmax":
        activation = layer.activation if kind == "Activation" else "softmax"
        return "" if activation in INTEGER_ACTIVATIONS else f"there is no integer operator for the activation {activation}"
    if kind == "ReLU":
        return ""
    if moves(layer):
        return ""
    if kind not in KERNELS | OUTPUTS | PASSINGS:
        return f"there is no fake quantization for {kind}"
    if layer.config.get("data_format", "channels_last") == "channels_first":
        return "its channels come first"
    if kind.startswith("Separable") and layer.config.get("padding") == "causal":
        return "it pads causally"
    if kind == "Concatenate" and len({_has_fixed_range(name, wiring) for name in wiring.inbound[layer.name]}) > 1:
        return "it joins outputs of a fixed range (tanh, sigmoid, softmax) with others"
    return ""


def _shares_input(name: str, wiring: Wiring, reasons: Collection[str]) -> bool:
    """Whether a Concatenate reads an input that a layer staying float reads too: the converter rounds that layer, and cannot give the input
    the scale of what is joined any more."""
    inputs = [source for source in wiring.inbound[name] if source not in wiring.layers]
    shared = any(reader in reasons for source in inputs for reader in wiring.readers[source])
    return shared and wiring.layers[name].class_name == "Concatenate"


def moves(layer: LayerSummary) -> bool:
    """Whether the layer is a function that gives numbers of what it reads, in other places."""
    return layer.class_name == "SlicingOpLambda" or (
        layer.class_name == "TFOpLambda" and layer.config.get("function") in PASSING_FUNCTIONS
    )


def takes_one_scale(layer: LayerSummary) -> bool:
    """Whether the layer's operator takes one scale for several operands and what it gives."""
    return layer.class_name in ONE_SCALE or layer.config.get("function") in ONE_SCALE_FUNCTIONS


def _aligning(wiring: Wiring, roles: dict[str, Role], reasons: dict[str, str]) -> tuple[set[str], set[str]]:
    """Each Concatenate that reads what is computed in float, and the layers that must not round that themselves.

    The converter brings to one scale what integer operators give, but not that, and refuses the model; and what only moves it must not be
    rounded before, for the converter takes the first of two roundings.
    """
    found, floats = set[str](), set[str]()
    for name, role in roles.items():
        if wiring.layers[name].class_name == "Concatenate" and role is Role.OUTPUT:
            for source in wiring.inbound[name]:
                moving = []
                while roles.get(source) is Role.PASSING and (before := wiring.only_source(source)) is not None:
                    moving.append(source)
                    source = before.name
                if roles.get(source) in (Role.FLOAT, Role.APART) or (source in roles and ends_in_float(wiring.layers[source])):
                    found.add(name)
                    floats.add(source)
                    roles.update(dict.fromkeys(moving, Role.FLOAT))
                    reasons.update(dict.fromkeys(moving, MOVES_FLOATS))
    return found, floats


def ends_in_float(layer: LayerSummary) -> bool:
    """Whether a layer whose kernel is rounded has an activation without an integer operator."""
    return layer.class_name in KERNELS and layer.activation not in INTEGER_ACTIVATIONS | OUTPUTS


def _has_fixed_range(name: str, wiring: Wiring) -> bool:
    """Whether what `name` gives comes from such an activation, with nothing but moving between."""
    layer: LayerSummary | None = wiring.layers.get(name)
    while layer is not None and (layer.class_name in PASSINGS or moves(layer)):
        layer = wiring.only_source(layer.name)
    return layer is not None and (layer.activation in FIXED_ACTIVATIONS or layer.class_name == "Softmax")


def _role(layer: LayerSummary) -> Role:
    kind = layer.class_name
    if kind in KERNELS:
        return Role.KERNEL
    if kind in PASSINGS or moves(layer):
        return Role.PASSING
    activation = layer.activation if kind == "Activation" else "softmax" if kind == "Softmax" else ""
    if activation in FIXED_ACTIVATIONS:
        return Role.FIXED
    return Role.PASSING if activation == "linear" else Role.OUTPUT


def _release_between_floats(wiring: Wiring, roles: dict[str, Role], reasons: dict[str, str]) -> None:
    """Groups of layers without weights whose neighbours all stay float gain nothing from rounding and would lose accuracy."""
    waiting = {
        name
        for name, role in roles.items()
        if role in (Role.OUTPUT, Role.FIXED, Role.PASSING) and not wiring.layers[name].parameters
    }
    while waiting:
        group, around, front = set[str](), set[str](), [waiting.pop()]
        while front:
            name = front.pop()
            group.add(name)
            for other in (*wiring.inbound[name], *wiring.readers.get(name, ())):
                if other in waiting:
                    waiting.remove(other)
                    front.append(other)
                elif other not in group:
                    around.add(other)
        if around and all(roles.get(name) in (Role.FLOAT, Role.APART) for name in around):
            for name in group:
                roles[name], reasons[name] = Role.FLOAT, BETWEEN_FLOATS


def _ends_here(name: str, wiring: Wiring, roles: Mapping[str, Role]) -> bool:
    """Whether nothing that follows is fused into the operator of `name`, so that its output is rounded here."""
    layer, reader = wiring.layers[name], wiring.only_reader(name)
    if layer.class_name == "Embedding":
        return False
    if reader is None or roles[reader.name] not in ROUNDED:
        return True
    if reader.class_name == "BatchNormalization":
        return False
    if reader.class_name == "Concatenate":
        return layer.activation in FIXED_ACTIVATIONS
    alone = wiring.only_source(reader.name) is layer and reader.calls == layer.calls
    fusing = layer.class_name in FUSING or layer.class_name == "BatchNormalization" or roles[name] is Role.KERNEL
    return not (alone and fusing and layer.activation == "linear" and is_fused_relu(reader))


def _joined_with_rounded(wiring: Wiring, roles: Mapping[str, Role], rounds: Collection[str]) -> set[str]:
    """What a Concatenate reads without a range of its own beside something that has one: the converter would take that range for both."""
    found: set[str] = set()
    for name, layer in wiring.layers.items():
        if layer.class_name == "Concatenate" and roles[name] in ROUNDED:
            sources = set(wiring.inbound[name])
            bare = {source for source in sources if roles.get(source) in (Role.KERNEL, Role.OUTPUT) and source not in rounds}
            found |= bare if bare != sources else set()
    return found


def is_fused_relu(layer: LayerSummary) -> bool:
    """Whether the layer is a ReLU that the operator before it can take in."""
    if layer.class_name == "Activation":
        return layer.activation in FUSED_ACTIVATIONS
    return layer.class_name == "ReLU" and relu_name(layer.config) in FUSED_ACTIVATIONS
