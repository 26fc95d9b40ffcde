"""The rounding that quantization-aware training learns with, made of TFMOT's parts.

TensorFlow is imported on the first call only, so the classes that derive from TFMOT's are made in functions.
"""

from __future__ import annotations

import functools
from typing import Any

SMALLEST_CHANNEL = 1e-4
"""A channel's scale is at least this share of the kernel's: below it, an int32 bias would overflow in that channel."""


def kernel_quantizer(granularity: str) -> Any:
    """Rounds a kernel to int8, symmetric around zero, by its largest weight of the moment.

    Args:
        granularity: "tensor" (one scale), "channel" (one for each element of the last axis) or "depthwise" (one for each pair of the
            last two: channel and multiplier).
    """
    return _kernel_quantizer_class()(granularity)


def transposed_kernel_quantizer() -> Any:
    """TFMOT's rounding for the kernel of a Conv2DTranspose, one scale a filter."""
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import default_8bit_quantizers

    return default_8bit_quantizers.Default8BitConvTransposeWeightsQuantizer()


def activation_quantizer(*, grows: bool = False) -> Any:
    """Rounds activations to int8 by a range that is first observed, then a moving average; one that `grows` never shrinks again."""
    return _activation_quantizer_class()(grows)


def rounded_parts(weights: dict[str, Any], output: Any) -> Any:
    """A TFMOT QuantizeConfig.

    Args:
        weights: {attribute of the layer: its quantizer}.
        output: Quantizer of what the layer gives, None where that is not rounded.
    """
    return _config_class()(weights, output)


@functools.cache
def _kernel_quantizer_class() -> Any:
    import tensorflow as tf
    from tensorflow_model_optimization.python.core.quantization.keras import quantizers

    class KernelQuantizer(quantizers.Quantizer):  # type: ignore[misc]
        """Symmetric int8 in [-127, 127]; the gradient passes straight through."""

        def __init__(self, granularity: str) -> None:
            self.granularity = granularity

        def build(self, tensor_shape: Any, name: str, layer: Any) -> Any:
            shape = tuple(tensor_shape)
            count = {"tensor": (), "channel": shape[-1:], "depthwise": (shape[-1] * shape[-2],)}[self.granularity]

            def bound(end: str, start: float) -> Any:
                initializer = tf.keras.initializers.Constant(start)
                return layer.add_weight(name=f"{name}_{end}", shape=count, initializer=initializer, trainable=False)

            return {"min_var": bound("min", -1.0), "max_var": bound("max", 1.0)}

        def __call__(self, inputs: Any, training: Any, weights: Any, **kwargs: Any) -> Any:
            shape, low, high = inputs.shape, weights["min_var"], weights["max_var"]
            if self.granularity == "depthwise":
                inputs = tf.reshape(inputs, (*shape[:-2], shape[-2] * shape[-1]))
            if training:
                largest = _largest(inputs, per_channel=self.granularity != "tensor")
                low, high = low.assign(-largest), high.assign(largest)
            if self.granularity == "tensor":
                return tf.quantization.fake_quant_with_min_max_vars(inputs, low, high, narrow_range=True)
            rounded = tf.quantization.fake_quant_with_min_max_vars_per_channel(inputs, low, high, narrow_range=True)
            return tf.reshape(rounded, shape)

        def get_config(self) -> dict[str, Any]:
            return {"granularity": self.granularity}

    return KernelQuantizer


def _largest(kernel: Any, *, per_channel: bool) -> Any:
    """Largest magnitude of the kernel or of each channel; never zero, for no integer kernel takes a scale of zero."""
    import tensorflow as tf

    whole = tf.reduce_max(tf.abs(kernel))
    whole = tf.where(whole > 0, whole, 1.0)
    if not per_channel:
        return whole
    return tf.maximum(tf.reduce_max(tf.abs(kernel), axis=list(range(len(kernel.shape) - 1))), whole * SMALLEST_CHANNEL)


@functools.cache
def _activation_quantizer_class() -> Any:
    import tensorflow as tf
    from tensorflow_model_optimization.python.core.quantization.keras import quant_ops, quantizers

    class ActivationQuantizer(quantizers.MovingAverageQuantizer):  # type: ignore[misc]
        """Widens its range to all that it sees while `observing`; then follows the batches at the pace `decay`."""

        def __init__(self, grows: bool) -> None:
            super().__init__(num_bits=8, per_axis=False, symmetric=False, narrow_range=False)
            self.grows, self.observing, self.decay = grows, False, 0.999

        def __call__(self, inputs: Any, training: Any, weights: Any, **kwargs: Any) -> Any:
            low, high = weights["min_var"], weights["max_var"]
            if self.observing:
                self._widen(inputs, low, high)
                return inputs
            if self.grows:
                if training:
                    self._widen(inputs, low, high)
                return tf.quantization.fake_quant_with_min_max_vars(inputs, low, high)
            return quant_ops.MovingAvgQuantize(inputs, low, high, ema_decay=self.decay, is_training=training)

        def start(self, weights: Any) -> None:
            """Forget the range and observe."""
            weights["min_var"].assign(0.0)
            weights["max_var"].assign(0.0)
            self.observing = True

        def finish(self, weights: Any, decay: float) -> None:
            """Stop observing; an empty range becomes [0, 1]."""
            self.observing, self.decay = False, decay
            if float(weights["max_var"]) - float(weights["min_var"]) <= 0.0:
                weights["max_var"].assign(1.0)

        def _widen(self, inputs: Any, low: Any, high: Any) -> None:
            low.assign(tf.minimum(low, tf.reduce_min(inputs)))
            high.assign(tf.maximum(high, tf.reduce_max(inputs)))

    return ActivationQuantizer


@functools.cache
def _config_class() -> Any:
    from tensorflow_model_optimization.python.core.quantization.keras import quantize_config

    class RoundedParts(quantize_config.QuantizeConfig):  # type: ignore[misc]
        """Which weights of a layer are rounded, and whether its output is; activations are layers of their own."""

        def __init__(self, weights: dict[str, Any], output: Any) -> None:
            self.weights, self.output = weights, output

        def get_weights_and_quantizers(self, layer: Any) -> list[Any]:
            return [(getattr(layer, attribute), quantizer) for attribute, quantizer in self.weights.items()]

        def set_quantize_weights(self, layer: Any, quantize_weights: Any) -> None:
            for attribute, weight in zip(self.weights, quantize_weights, strict=True):
                setattr(layer, attribute, weight)

        def get_activations_and_quantizers(self, layer: Any) -> list[Any]:
            return []

        def set_quantize_activations(self, layer: Any, quantize_activations: Any) -> None:
            return

        def get_output_quantizers(self, layer: Any) -> list[Any]:
            return [] if self.output is None else [self.output]

        def get_config(self) -> dict[str, Any]:
            return {}

    return RoundedParts
