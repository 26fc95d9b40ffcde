"""Put fake quantization into a model, as `integer_layout` decided: TFMOT's wrappers around layers, its rounding on edges.

TFMOT's own `quantize_apply` matches patterns of layers in a config and raises on whatever it does not know; preparing by repeating the calls
of the graph takes any graph, in one pass.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from optimizer.sources.summary import LayerSummary
from optimizer.surgery.aligned_join import aligned_join_class
from optimizer.surgery.integer_layout import FIXED_ACTIVATIONS, FUSED_ACTIVATIONS, PASSINGS, Layout, Role, moves, takes_one_scale
from optimizer.surgery.quantizers import activation_quantizer, kernel_quantizer, rounded_parts, transposed_kernel_quantizer
from optimizer.surgery.rebuilding import rebuilt
from optimizer.surgery.separable import rounded_separable_class
from optimizer.surgery.wrapping import pass_masks

MEMORY_FRACTION = 0.125
"""Share of the training that the moving ranges of activations remember, where that is less than TFMOT's 1,000 steps."""
KERNEL_GRANULARITY = {
    "Conv1D": {"kernel": "tensor"},
    "Conv1DTranspose": {"kernel": "tensor"},
    "Conv2D": {"kernel": "channel"},
    "Conv2DTranspose": {"kernel": "transposed"},
    "Dense": {"kernel": "tensor"},
    "DepthwiseConv1D": {"depthwise_kernel": "tensor"},
    "DepthwiseConv2D": {"depthwise_kernel": "depthwise"},
    "Embedding": {"embeddings": "tensor"},
    "SeparableConv1D": {"depthwise_kernel": "depthwise", "pointwise_kernel": "channel"},
    "SeparableConv2D": {"depthwise_kernel": "depthwise", "pointwise_kernel": "channel"},
}
"""One scale a channel where the converter takes it: not through the reshapes around kernels of one dimension, nor for dense kernels."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A model with fake quantization, and a look at every range of activations in it: functions that give (quantizer, its variables)."""

    keras: Any
    ranges: tuple[Callable[[], tuple[Any, Any]], ...]


def with_fake_quantization(keras_model: Any, layout: Layout, *, per_tensor: bool) -> Prepared:
    """Prepare a model for quantization-aware training.

    Args:
        keras_model: A flat functional model without activity penalties; its layers go into the result.
        layout: What becomes of each layer.
        per_tensor: One scale a kernel everywhere, so that shared values stay shared.
    """
    preparation = _Preparation(layout, per_tensor)
    keras = rebuilt(keras_model, preparation.make)
    return Prepared(keras=keras, ranges=tuple(preparation.ranges))


def calibrate(prepared: Prepared, batches: Iterable[Any], *, steps: int) -> None:
    """Set every range to what really occurs, before the model trains.

    TFMOT starts all ranges of activations at -6 to 6 and moves them by a thousandth a step: a short fine-tuning would first clip what lies
    outside, learn around it, and end with ranges that fit nothing.

    Args:
        prepared: Its ranges and the pace of their moving averages are changed.
        batches: Input batches (n, ...), or lists of them for several inputs; at least one.
        steps: Steps of the training to come.
    """
    import tensorflow as tf
    from tensorflow_model_optimization.python.core.quantization.keras.quantize_wrapper import QuantizeWrapper

    decay = min(0.999, 1.0 - 1.0 / max(steps * MEMORY_FRACTION, 2.0))
    for layer in prepared.keras.layers:
        for weight, quantizer, variables in layer._weight_vars if isinstance(layer, QuantizeWrapper) else ():
            flat = type(layer.layer).__name__ == "SeparableConv1D"
            quantizer(tf.expand_dims(weight, 0) if flat else weight, True, weights=variables)
    found = [look() for look in prepared.ranges]
    for quantizer, variables in found:
        quantizer.start(variables)
    for batch in batches:
        prepared.keras(batch, training=False)
    for quantizer, variables in found:
        quantizer.finish(variables, decay)


PARTIAL = frozenset({
    "AveragePooling1D", "AveragePooling2D", "Cropping1D", "Cropping2D", "GlobalAveragePooling1D", "GlobalAveragePooling2D",
    "GlobalAveragePooling3D", "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D",
    "MaxPooling1D", "MaxPooling2D", "Resizing", "SlicingOpLambda", "UpSampling2D", "gather", "image.resize", "math.reduce_max", "math.reduce_mean",
    "math.reduce_min", "split", "unstack",
})  # fmt: skip
"""Layers and functions of one scale for what they read and give that may give less wide a range than they read."""
PADDING_FUNCTIONS = frozenset({"compat.v1.pad", "pad"})
PADDING_ARGUMENTS = ("tensor", "paddings", "mode", "name", "constant_values")


class _Preparation:
    """Gives each layer's place in the prepared model, and remembers which tensors are rounded already."""

    def __init__(self, layout: Layout, per_tensor: bool) -> None:
        self._layout, self._per_tensor = layout, per_tensor
        self.ranges: list[Callable[[], tuple[Any, Any]]] = []
        self._settled: dict[int, Any] = {}
        self._rounded: dict[int, Any] = {}
        self._held_number = 0

    def make(self, layer: Any, name: str) -> Any:
        """What takes the layer's place: the layer itself, or a function that calls it with rounding around."""
        role = self._layout.roles[name]
        if role is Role.FLOAT:
            return self._padded(layer) if layer.get_config().get("function") in PADDING_FUNCTIONS else layer
        if role is Role.APART:
            return self._apart(layer)
        if role in (Role.FIXED, Role.PASSING):
            return self._surrounded(layer, ())
        return self._unless_whole(layer) if role is Role.OUTPUT else self._wrapped(layer)

    def _padded(self, layer: Any) -> Callable[..., Any]:
        """Padding by another number than 0, which the range of what is padded may not hold, stays float; the rest becomes an integer operator."""
        apart = self._apart(layer, before=True)

        def call(*args: Any, **kwargs: Any) -> Any:
            given = dict(zip(PADDING_ARGUMENTS, args, strict=False)) | kwargs
            number = given.get("constant_values", 0)
            return (layer if isinstance(number, int | float) and number == 0 else apart)(*args, **kwargs)

        return call

    def _unless_whole(self, layer: Any) -> Callable[..., Any]:
        """Wrapped, where it reads anything but whole numbers and masks."""
        wrapped = functools.cache(lambda: self._wrapped(layer))

        def call(*args: Any, **kwargs: Any) -> Any:
            import tensorflow as tf

            rounds = any(tensor.dtype.is_floating for tensor in tf.nest.flatten(args))
            return (wrapped() if rounds else layer)(*args, **kwargs)

        return call

    def _wrapped(self, layer: Any) -> Callable[..., Any]:
        import tensorflow as tf
        from tensorflow_model_optimization.python.core.quantization.keras.quantize_wrapper import QuantizeWrapperV2

        ends = layer.name in self._layout.rounds
        # By the rule that the layout went by: the activation may be a layer itself, which has no name of a function.
        activation = LayerSummary(name=layer.name, class_name=type(layer).__name__, config=layer.get_config()).activation
        split = hasattr(layer, "kernel_size") or type(layer).__name__ == "Dense"
        split = split and activation not in FUSED_ACTIVATIONS | {"linear"}
        after: list[Any] = []
        if split:
            after.append(tf.keras.layers.Activation(layer.activation, name=f"{layer.name}/{activation}"))
            layer.activation = tf.keras.activations.linear
            if ends and activation not in FIXED_ACTIVATIONS:
                after.append(self._rounding(f"{layer.name}/rounding"))
        config = rounded_parts(self._weights(layer), activation_quantizer() if ends or split else None)
        if type(layer).__name__.startswith("Separable"):
            wrapper = rounded_separable_class()(layer, config, activation_quantizer())
            self.ranges.append(lambda: (wrapper.between, wrapper.between_vars))
        elif layer.name in self._layout.aligns:
            wrapper = aligned_join_class()(layer, config)
        else:
            wrapper = QuantizeWrapperV2(layer, config)
        if config.output is not None:
            self.ranges.append(lambda: (wrapper._output_quantizers[0], wrapper._output_quantizer_vars))
        pass_masks(wrapper, layer)
        return self._aligned(wrapper) if layer.name in self._layout.aligns else self._surrounded(wrapper, after)

    def _weights(self, layer: Any) -> dict[str, Any]:
        kinds = KERNEL_GRANULARITY.get(type(layer).__name__, {})
        kinds = dict.fromkeys(kinds, "tensor") if self._per_tensor else kinds
        return {
            attribute: transposed_kernel_quantizer() if kind == "transposed" else kernel_quantizer(kind)
            for attribute, kind in kinds.items()
        }

    def _aligned(self, join: Any) -> Callable[..., Any]:
        """Call a join that rounds by itself what is not rounded yet; its output counts as rounded."""

        def call(tensors: Any) -> Any:
            own = tuple(place for place, tensor in enumerate(tensors) if id(tensor) in self._settled)
            output = join([self._held(tensor) for tensor in tensors], own=own)
            self._settled[id(output)] = output
            return output

        return call

    def _surrounded(self, layer: Any, after: Iterable[Any]) -> Callable[..., Any]:
        """Call the layer on rounded inputs, then what comes after; its output counts as rounded."""

        def call(*args: Any, **kwargs: Any) -> Any:
            import tensorflow as tf

            output = layer(*tf.nest.map_structure(self._entered, args), **kwargs)
            for part in after:
                output = part(output)
            for tensor in tf.nest.flatten(output):
                self._settled[id(tensor)] = tensor
            return output

        return call

    def _apart(self, layer: Any, *, before: bool = False) -> Callable[..., Any]:
        """Call a layer that stays float; where it reads rounded tensors, barriers keep the converter from rounding it after the training.

        The barrier stands behind a layer of one input, and before one of several, whose operator would take one scale for all of them, or
        where `before` is asked for.
        """
        barrier = _barrier_class()(name=f"{layer.name}/apart")

        def parted(tensor: Any) -> Any:
            return barrier(tensor) if id(tensor) in self._settled else tensor

        def call(*args: Any, **kwargs: Any) -> Any:
            import tensorflow as tf

            read = [item for item in tf.nest.flatten((args, kwargs)) if hasattr(item, "_keras_history")]
            if before or len(read) > 1:
                args, kwargs = tf.nest.map_structure(parted, (args, kwargs))
                return layer(*args, **kwargs)
            output = layer(*args, **kwargs)
            # A function that makes numbers of whole ones (one_hot) would be rounded for what reads it.
            rounded = any(id(tensor) in self._settled or not tensor.dtype.is_floating for tensor in read)
            return tf.nest.map_structure(barrier, output) if rounded else output

        return call

    def _entered(self, tensor: Any) -> Any:
        """The tensor rounded, once for all that read it; what is none (a number, a slice's None) is given back."""
        if not hasattr(tensor, "_keras_history") or not tensor.dtype.is_floating or id(tensor) in self._settled:
            return tensor
        if id(tensor) not in self._rounded:
            source = tensor._keras_history.layer
            grows = type(source).__name__ == "InputLayer"
            rounded = self._rounding(f"{source.name}/rounded_{len(self._rounded)}", grows=grows)(self._held(tensor))
            self._settled[id(rounded)] = rounded
            # The old tensor is kept too, for an id is only good as long as its owner lives.
            self._rounded[id(tensor)] = (rounded, tensor)
        return self._rounded[id(tensor)][0]

    def _held(self, tensor: Any) -> Any:
        """The tensor, behind a barrier where it is part of floats: the range that it is rounded to would become that of all of them."""
        source = tensor._keras_history.layer
        if id(tensor) in self._settled or not self._is_part(tensor):
            return tensor
        self._held_number += 1
        return _barrier_class()(name=f"{source.name}/held_{self._held_number}")(tensor)

    def _is_part(self, tensor: Any) -> bool:
        """Whether a tensor comes from what stays float by way of layers that move it, one of which leaves some out, or from one that takes
        one scale for several floats."""
        part = False
        while id(tensor) not in self._settled:
            layer, node, _ = tensor._keras_history
            summary = LayerSummary(name=layer.name, class_name=type(layer).__name__, config=layer.get_config())
            kind = str(summary.config.get("function", summary.class_name))
            read = layer._inbound_nodes[node].keras_inputs
            if takes_one_scale(summary) or summary.class_name == "Concatenate":
                return any(type(other._keras_history.layer).__name__ != "Barrier" for other in read)
            if len(read) != 1 or not (kind in PARTIAL or summary.class_name in PASSINGS or moves(summary)):
                return part
            part = part or kind in PARTIAL
            tensor = read[0]
        return False

    def _rounding(self, name: str, *, grows: bool = False) -> Any:
        from tensorflow_model_optimization.python.core.quantization.keras.quantize_layer import QuantizeLayer

        layer = QuantizeLayer(activation_quantizer(grows=grows), name=name)
        layer.supports_masking = True
        self.ranges.append(lambda: (layer.quantizer, layer.quantizer_vars))
        return layer


@functools.cache
def _barrier_class() -> Any:
    import tensorflow as tf

    class Barrier(tf.keras.layers.Layer):  # type: ignore[misc]
        """Gives back what it gets. The converter folds every other identity away, and then rounds what stands before it."""

        def __init__(self, name: str) -> None:
            super().__init__(name=name)
            self.supports_masking = True

        def call(self, inputs: Any) -> Any:
            return tf.cast(tf.cast(inputs, tf.float64), inputs.dtype) if inputs.dtype.is_floating else inputs

    return Barrier
