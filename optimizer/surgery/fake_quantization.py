"""TFMOT's 8-bit scheme, with its handling of a ReLU layer after a convolution mended.

TFMOT 0.8.1 switches off *all* fake quantization of a convolution or dense layer that a ReLU layer follows (LayerReLUQuantize sets a
NoOpQuantizeConfig): right for an Add, but it leaves the kernel unquantized while training, and the converter then picks scales of its own.
Here only the rounding between the layer and its ReLU is switched off, as TFMOT itself does where a BatchNormalization stands between.
"""

from __future__ import annotations

import functools
from typing import Any


def eight_bit_scheme(*, per_tensor: bool) -> Any:
    """A TFMOT QuantizeScheme for `quantize_apply`.

    Args:
        per_tensor: One scale a kernel everywhere; otherwise one an output channel for convolutions.
    """
    return _scheme_class()(disable_per_axis=per_tensor)


@functools.cache
def _scheme_class() -> Any:
    # TensorFlow is imported on the first call only, so the classes that derive from TFMOT's are made here.
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
        default_8bit_quantize_layout_transform as layout,
    )
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import default_8bit_quantize_scheme
    from tensorflow_model_optimization.python.core.quantization.keras.graph_transformations import model_transformer

    class Layout(layout.Default8BitQuantizeLayoutTransform):  # type: ignore[misc]
        """The default transforms, the last two replaced."""

        def apply(self, model: Any, layer_quantize_map: dict[str, Any]) -> Any:
            transforms = _transforms()
            return model_transformer.ModelTransformer(
                model, transforms, set(layer_quantize_map.keys()), layer_quantize_map
            ).transform()

    class Scheme(default_8bit_quantize_scheme.Default8BitQuantizeScheme):  # type: ignore[misc]
        """The default scheme with that layout."""

        def get_layout_transformer(self) -> Any:
            return Layout()

    return Scheme


def _transforms() -> list[Any]:
    from tensorflow_model_optimization.python.core.quantization.keras import quantize_aware_activation
    from tensorflow_model_optimization.python.core.quantization.keras import utils as serialization
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import default_8bit_transforms as default

    def keep_weights_quantized(layer_node: Any) -> None:
        no_activation = quantize_aware_activation.NoOpActivation()
        layer_node.layer["config"]["activation"] = serialization.serialize_activation(no_activation, use_legacy_format=True)

    class LayerReLU(default.LayerReLUQuantize):  # type: ignore[misc]
        def replacement(self, match_layer: Any) -> Any:
            before = match_layer.input_layers[0]
            if before.layer["class_name"] == "Add":
                return super().replacement(match_layer)
            if before.layer["config"].get("activation") == "linear":
                keep_weights_quantized(before)
            return match_layer

        def custom_objects(self) -> dict[str, Any]:
            return {**super().custom_objects(), "NoOpActivation": quantize_aware_activation.NoOpActivation}

    class LayerReLUActivation(default.LayerReluActivationQuantize, LayerReLU):  # type: ignore[misc]
        replacement = LayerReLU.replacement
        custom_objects = LayerReLU.custom_objects

    return [
        default.InputLayerQuantize(),
        default.SeparableConv1DQuantize(),
        default.SeparableConvQuantize(),
        default.Conv2DReshapeBatchNormReLUQuantize(),
        default.Conv2DReshapeBatchNormActivationQuantize(),
        default.Conv2DBatchNormReLUQuantize(),
        default.Conv2DBatchNormActivationQuantize(),
        default.Conv2DReshapeBatchNormQuantize(),
        default.Conv2DBatchNormQuantize(),
        default.ConcatTransform6Inputs(),
        default.ConcatTransform5Inputs(),
        default.ConcatTransform4Inputs(),
        default.ConcatTransform3Inputs(),
        default.ConcatTransform(),
        default.DenseBatchNormQuantize(),
        default.DenseBatchNormReLUQuantize(),
        default.DenseBatchNormActivationQuantize(),
        LayerReLU(),
        LayerReLUActivation(),
    ]
