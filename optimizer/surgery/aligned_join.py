"""A Concatenate that rounds what it joins to the range of what it gives: its integer operator takes one scale for all of them."""

from __future__ import annotations

import functools
from typing import Any


@functools.cache
def aligned_join_class() -> Any:
    """The wrapper's class; TensorFlow is imported on the first call only."""
    import tensorflow as tf
    from tensorflow_model_optimization.python.core.quantization.keras.quantize_wrapper import QuantizeWrapperV2

    class AlignedJoin(QuantizeWrapperV2):  # type: ignore[misc]
        """Around a Concatenate whose output is rounded; `own` are the places of inputs that are rounded already, which the converter aligns."""

        def call(self, inputs: Any, own: tuple[int, ...] = (), training: Any = None) -> Any:
            (quantizer,), ranges = self._output_quantizers, self._output_quantizer_vars
            joined = self.layer(inputs)
            quantizer(joined, training, weights=ranges)
            if quantizer.observing:
                return joined
            # Read after the quantizer has moved it: only the same range in all places is one scale for the converter.
            low, high = ranges["min_var"], ranges["max_var"]

            def align(tensor: Any) -> Any:
                return tf.quantization.fake_quant_with_min_max_vars(tensor, low, high)

            parts = [tensor if place in own else align(tensor) for place, tensor in enumerate(inputs)]
            return align(self.layer(parts))

    return AlignedJoin
