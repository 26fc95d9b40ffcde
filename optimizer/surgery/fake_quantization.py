"""TFMOT's 8-bit scheme, with its handling of a ReLU layer after a convolution mended.

TFMOT 0.8.1 switches off *all* fake quantization of a convolution or dense layer that a ReLU layer follows (LayerReLUQuantize sets a
NoOpQuantizeConfig): right for an Add, but it leaves the kernel unquantized while training, and the converter then picks scales of its own.
Here only the rounding between the layer and its ReLU is switched off, as TFMOT itself does where a BatchNormalization stands between.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

MEMORY_FRACTION = 0.125
"""Share of the training that the moving ranges of activations remember, where that is less than TFMOT's 1,000 steps."""


def eight_bit_scheme(*, per_tensor: bool) -> Any:
    """A TFMOT QuantizeScheme for `quantize_apply`.

    Args:
        per_tensor: One scale a kernel everywhere; otherwise one an output channel for convolutions.
    """
    return _scheme_class()(disable_per_axis=per_tensor)


def _one_scale_a_kernel(layer_quantize_map: dict[str, Any]) -> None:
    """TFMOT's rule for Concatenate gives the layers before it the default scales, one a channel, whatever the scheme says."""
    from tensorflow_model_optimization.python.core.quantization.keras import quantizers

    for entry in layer_quantize_map.values():
        if hasattr(entry.get("quantize_config"), "weight_quantizer"):
            entry["quantize_config"].weight_quantizer = quantizers.LastValueQuantizer(
                num_bits=8, per_axis=False, symmetric=True, narrow_range=True
            )


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

        def __init__(self, per_tensor: bool) -> None:
            self._per_tensor = per_tensor

        def apply(self, model: Any, layer_quantize_map: dict[str, Any]) -> Any:
            transforms = _transforms()
            transformed, changed_map = model_transformer.ModelTransformer(
                model, transforms, set(layer_quantize_map.keys()), layer_quantize_map
            ).transform()
            if self._per_tensor:
                _one_scale_a_kernel(changed_map)
            return transformed, changed_map

    class Scheme(default_8bit_quantize_scheme.Default8BitQuantizeScheme):  # type: ignore[misc]
        """The default scheme with that layout."""

        def get_layout_transformer(self) -> Any:
            return Layout(self._disable_per_axis)

    return Scheme


def output_only() -> Any:
    """A TFMOT QuantizeConfig that leaves a layer float and rounds what it gives, so that the layers after it start from integers."""
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import default_8bit_quantize_configs as configs

    return configs.Default8BitOutputQuantizeConfig()


def calibrate(prepared: Any, batches: Iterable[Any], *, steps: int) -> None:
    """Set every range of a model from `quantize_apply` to what really occurs, before it trains.

    TFMOT starts all ranges of activations at -6 to 6 and moves them by a thousandth a step: a short fine-tuning would first clip what lies
    outside, learn around it, and end with ranges that fit nothing.

    Args:
        prepared: The model with fake quantization; its ranges and the pace of their moving averages are changed.
        batches: Input batches (n, ...), at least one.
        steps: Steps of the training to come.
    """
    from tensorflow_model_optimization.python.core.quantization.keras.quantize_layer import QuantizeLayer
    from tensorflow_model_optimization.python.core.quantization.keras.quantize_wrapper import QuantizeWrapper

    decay = min(0.999, 1.0 - 1.0 / max(steps * MEMORY_FRACTION, 2.0))
    observers, entrances = [], []
    for layer in prepared.layers:
        if isinstance(layer, QuantizeLayer):
            entrances.append(layer)
        elif isinstance(layer, QuantizeWrapper):
            for weight, quantizer, ranges in layer._weight_vars:
                quantizer(weight, True, weights=ranges)
            observers += _observers(layer, decay)
    for batch in batches:
        for entrance in entrances:
            entrance.quantizer(batch, True, weights=entrance.quantizer_vars)
        prepared(batch, training=False)
    for observer in observers:
        observer.observing = False


def _observers(wrapper: Any, decay: float) -> list[Any]:
    """Replace the moving averages of one wrapper by ones that first watch; returns them."""
    make = _observing_quantizer_class()
    found = []
    for activation in wrapper._quantize_activations:
        activation.quantizer = make(activation.quantizer, decay)
        found.append(activation.quantizer)
    if wrapper._output_quantizers:
        wrapper._output_quantizers = [make(wrapper._output_quantizers[0], decay)]
        found += wrapper._output_quantizers
    return found


@functools.cache
def _observing_quantizer_class() -> Any:
    import tensorflow as tf
    from tensorflow_model_optimization.python.core.quantization.keras import quant_ops, quantizers

    class ObservingQuantizer(quantizers.MovingAverageQuantizer):  # type: ignore[misc]
        """Widens its range to all that it sees while `observing`; then a moving average with its own pace."""

        def __init__(self, like: Any, decay: float) -> None:
            super().__init__(**like.get_config())
            self.decay = decay
            self.observing = True
            self._seen: set[Any] = set()

        def __call__(self, inputs: Any, training: Any, weights: Any, **kwargs: Any) -> Any:
            if self.observing:
                self._widen(inputs, weights["min_var"], weights["max_var"])
                return inputs
            return quant_ops.MovingAvgQuantize(
                inputs,
                weights["min_var"],
                weights["max_var"],
                ema_decay=self.decay,
                is_training=training,
                num_bits=self.num_bits,
                per_channel=self.per_axis,
                symmetric=self.symmetric,
                narrow_range=self.narrow_range,
            )

        def _widen(self, inputs: Any, low: Any, high: Any) -> None:
            before = (low, high) if low.ref() in self._seen else (0.0, 0.0)
            self._seen.add(low.ref())
            low.assign(tf.minimum(before[0], tf.reduce_min(inputs)))
            high.assign(tf.maximum(before[1], tf.reduce_max(inputs)))

    return ObservingQuantizer


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
