"""A separable convolution with rounding between its two halves, which are two integer operators in the .tflite."""

from __future__ import annotations

import functools
from typing import Any


@functools.cache
def rounded_separable_class() -> Any:
    """The wrapper's class; TensorFlow is imported on the first call only."""
    import tensorflow as tf
    from tensorflow_model_optimization.python.core.quantization.keras.quantize_wrapper import QuantizeWrapperV2

    class RoundedSeparable(QuantizeWrapperV2):  # type: ignore[misc]
        """Around a SeparableConv1D or SeparableConv2D: channels last, no causal padding, and an activation that the converter fuses (or none)."""

        def __init__(self, layer: Any, quantize_config: Any, between: Any) -> None:
            super().__init__(layer, quantize_config)
            self.between = between

        def build(self, input_shape: Any) -> None:
            super().build(input_shape)
            self.between_vars = self.between.build(None, "between", self)

        def call(self, inputs: Any, training: Any = None) -> Any:
            layer, flat = self.layer, len(inputs.shape) == 3
            depthwise, pointwise = (
                quantizer(tf.expand_dims(weight, 0) if flat else weight, training, weights=ranges)
                for weight, quantizer, ranges in self._weight_vars
            )
            x = tf.expand_dims(inputs, 1) if flat else inputs
            strides = (1, *(layer.strides * 2 if flat else layer.strides), 1)
            dilations = (1, *layer.dilation_rate) if flat else layer.dilation_rate
            x = tf.nn.depthwise_conv2d(x, depthwise, strides, layer.padding.upper(), dilations=dilations)
            x = self.between(x, training, weights=self.between_vars)
            x = tf.nn.conv2d(x, pointwise, 1, "VALID")
            if layer.use_bias:
                x = tf.nn.bias_add(x, layer.bias)
            x = layer.activation(tf.squeeze(x, 1) if flat else x)
            return self._output_quantizers[0](x, training, weights=self._output_quantizer_vars) if self._output_quantizers else x

    return RoundedSeparable
