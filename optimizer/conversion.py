"""Keras or a SavedModel to LiteRT: one place that calls TensorFlow's converter.

The exported graph has a batch of one, as devices run it: microcontroller runtimes know no open axes, and every Reshape stays a constant.
"""

from __future__ import annotations

import contextlib
import functools
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from optimizer.errors import RunError
from optimizer.integer_mends import mended
from optimizer.litert_file import LiteRTFile
from optimizer.quiet import quiet_standard_error
from optimizer.surgery.lowering import lowered, may_be_lowered_further, states_looped

FEWEST_WEIGHTS = 1024
"""TensorFlow's converter quantizes no smaller kernel in a dynamic-range file."""
SEQUENCE_OPERATORS = frozenset({"WHILE", "GATHER", "EMBEDDING_LOOKUP", "UNIDIRECTIONAL_SEQUENCE_LSTM"})
RepresentativeDataset = Callable[[], Iterator[Any]]


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedSavedModel:
    """The graph that a SavedModel serves.

    Args:
        trackable: What tf.saved_model.load gave; it holds the variables.
        function: The concrete function of the signature, which takes named tensors and gives a dictionary.
        input_shapes: For each input's name the shape that is converted: one sample (1, ...) unless the signature asks for another number of
            them.
        output_names: Names of its outputs; the .tflite calls them output_0, output_1, ... in this order.
    """

    trackable: Any
    function: Any
    input_shapes: Mapping[str, tuple[int, ...]]
    output_names: tuple[str, ...]

    def concrete_function(self) -> Any:
        """The graph for one sample at a time, as a tf.function's concrete function of one tensor for each input."""
        import tensorflow as tf

        types = {name: self.function.structured_input_signature[1][name].dtype for name in self.input_shapes}
        signature = [
            # Neither the calibration nor LiteRT's quantized kernels know half or double precision: the file takes float32, and casts.
            tf.TensorSpec(shape, tf.float32 if types[name].is_floating else types[name], name=argument_name(name))
            for name, shape in self.input_shapes.items()
        ]

        @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
        def infer(*values: Any) -> Any:
            cast = {name: tf.cast(value, types[name]) for name, value in zip(self.input_shapes, values, strict=True)}
            given = self.function(**cast)
            outputs = [given[name] for name in self.output_names]
            return outputs[0] if len(outputs) == 1 else outputs

        return infer.get_concrete_function()

    @functools.cached_property
    def float_file(self) -> bytes:
        """Its float32 .tflite, which several questions are answered from."""
        return _converted(converter_for(self))


def converter_for(model: Any, *, fused: bool = True) -> Any:
    """A tf.lite.TFLiteConverter of a tf_keras.Model or LoadedSavedModel in inference mode, with a batch of one.

    `fused` leaves it to the converter to find a gelu in what a model computes by erf.
    """
    import tensorflow as tf

    if isinstance(model, LoadedSavedModel):
        return tf.lite.TFLiteConverter.from_concrete_functions([model.concrete_function()], model.trackable)
    function = _keras_function(model, fused=fused)
    return tf.lite.TFLiteConverter.from_concrete_functions([function], _holder_of(function))


def _holder_of(function: Any) -> Any:
    """What keeps the function's variables for the converter, which saves it first: saving the model itself would trace each layer twice over."""
    import tensorflow as tf

    holder = tf.Module()
    holder.held = list(function.graph.variables)
    return holder


def _keras_function(keras_model: Any, *, fused: bool) -> Any:
    import tensorflow as tf

    keras_model = lowered(keras_model, fused=fused)
    signature = [
        tf.TensorSpec([1, *tensor.shape[1:]], tensor.dtype, name=plain_name(tensor.name)) for tensor in keras_model.inputs
    ]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def infer(*inputs: Any) -> Any:
        return keras_model(inputs[0] if len(inputs) == 1 else list(inputs), training=False)

    with states_looped(keras_model):
        return infer.get_concrete_function()


def convert(model: Any, configure: Callable[[Any], None] | None = None) -> bytes:
    """Convert to .tflite bytes; without `configure` the result is float32.

    Args:
        model: A built tf_keras.Model, or a LoadedSavedModel.
        configure: Sets optimizations, representative dataset and types on the converter.

    Raises:
        RunError: CONVERSION_FAILED with the converter's own first sentence.
    """
    if configure is None and isinstance(model, LoadedSavedModel):
        return model.float_file
    try:
        return _configured(converter_for(model), configure)
    except RunError as error:
        if isinstance(model, LoadedSavedModel) or "Erf" not in (error.received or "") or not may_be_lowered_further(model):
            raise
    return _configured(converter_for(model, fused=False), configure)


def _configured(converter: Any, configure: Callable[[Any], None] | None) -> bytes:
    if configure is not None:
        configure(converter)
    return _converted(converter)


@contextlib.contextmanager
def _without_gradients() -> Iterator[None]:
    """The converter saves the graph first, and with it the gradient of each swish and fake quantization, which no .tflite holds.

    To save them costs a third of a conversion, and more than that for deep nets: TensorFlow looks for each captured tensor in a list. The
    converter has no setting for it.
    """
    from tensorflow.lite.python import lite

    own = lite._save_options
    options = functools.partial(own.SaveOptions, experimental_custom_gradients=False)
    lite._save_options = SimpleNamespace(SaveOptions=options)
    try:
        yield
    finally:
        lite._save_options = own


def _converted(converter: Any) -> bytes:
    try:
        with quiet_standard_error(), _without_gradients(), warnings.catch_warnings():
            # To calibrate several inputs, the converter looks their names up with an interpreter that it calls deprecated itself.
            warnings.filterwarnings("ignore", message=r"\s*Warning: tf\.lite\.Interpreter is deprecated")
            # After a training with rounding, the graph itself says the input's range.
            warnings.filterwarnings("ignore", message="Statistics for quantized inputs were expected")
            content = bytes(converter.convert())
    except (ValueError, TypeError, RuntimeError, NotImplementedError) as error:
        raise _failure(error) from error
    except Exception as error:
        # The converter raises its own ConverterError, which is not importable from a public module.
        if type(error).__name__ != "ConverterError":
            raise
        raise _failure(error) from error
    return mended(content)


def configure_trained(converter: Any, *, per_tensor: bool, integer_input_output: bool = False) -> None:
    """Int8 for a model after quantization-aware training, which brings its own ranges.

    Args:
        converter: The converter of the prepared model.
        per_tensor: Keep one scale a kernel; by itself the converter splits it into one a channel.
        integer_input_output: Whether the file takes and gives int8.
    """
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    set_granularity(converter, per_tensor=per_tensor)
    if integer_input_output:
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8


def configure_int8_weights(converter: Any, *, per_tensor: bool) -> None:
    """Dynamic range by TensorFlow's converter: int8 for kernels of at least FEWEST_WEIGHTS weights, embeddings and LSTM gates among them."""
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    set_granularity(converter, per_tensor=per_tensor)


def set_granularity(converter: Any, *, per_tensor: bool) -> None:
    """One scale a kernel instead of one an output channel; the converter has no public switch for it."""
    converter._experimental_disable_per_channel = per_tensor
    converter._experimental_disable_per_channel_quantization_for_dense_layers = per_tensor


def is_sequence_model(model: Any) -> bool:
    """Whether embeddings or recurrent layers are part of the model; litert-quantizer leaves both float."""
    import tensorflow as tf

    if isinstance(model, LoadedSavedModel):
        return any(operator.name in SEQUENCE_OPERATORS for operator in LiteRTFile(convert(model)).operators)
    return any(isinstance(part, tf.keras.layers.RNN | tf.keras.layers.Embedding) for part in model._flatten_layers())


def loops(model: Any) -> bool:
    """Whether the .tflite of this model holds a loop, as that of a GRU does; most LSTM layers become one operator instead."""
    import tensorflow as tf

    # `submodules` would look into a dropout's cache of masks, and raise there.
    if not isinstance(model, LoadedSavedModel) and not any(
        isinstance(part, tf.keras.layers.RNN) for part in model._flatten_layers()
    ):
        return False
    return any(operator.name == "WHILE" for operator in LiteRTFile(convert(model)).operators)


def representative_dataset(model: Any, samples: Any) -> RepresentativeDataset:
    """Calibration samples (n, ...) one by one, as the converter of this model wants them; for several inputs a mapping of such arrays by name."""

    def generate() -> Iterator[Any]:
        parts = samples if isinstance(samples, Mapping) else {"": samples}
        shapes = [(1, *part.shape[1:]) for part in parts.values()]
        if isinstance(model, LoadedSavedModel):
            shapes = list(model.input_shapes.values())
        for index in range(len(next(iter(parts.values())))):
            one = [np.ascontiguousarray(as_input(part[index], shape)) for part, shape in zip(parts.values(), shapes, strict=True)]
            yield dict(zip(parts, one, strict=True)) if isinstance(samples, Mapping) else one

    return generate


def as_input(sample: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """One sample as an input of `shape`: repeated where several are taken at a time, and as a batch of one where axes are open."""
    size = math.prod(shape)
    if sample.size == size:
        return sample.reshape(shape)
    if len(shape) > 1 and sample.size * shape[0] == size:
        return np.repeat(sample[None], shape[0], axis=0).reshape(shape)
    return sample[None]


def plain_name(name: str) -> str:
    """An input's name as the signature of the .tflite has it."""
    plain = "".join(c if c.isalnum() or c == "_" else "_" for c in name.split(":")[0].split("/")[0])
    return plain if plain[:1].isalpha() else f"input_{plain}"


def argument_name(name: str) -> str:
    """The name of a SavedModel's input as the signature of the .tflite has it: slashes and colons in it mean nothing."""
    return plain_name(name.replace("/", "_").replace(":", "_"))


def _failure(error: Exception) -> RunError:
    return RunError(
        "TensorFlow's converter refused the model",
        code="CONVERSION_FAILED",
        received=str(error),
        fix="Try other activations or weights in the quantization step, or look at the run's log for the operator that is named.",
    )
