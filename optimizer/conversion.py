"""Keras to LiteRT: one place that calls TensorFlow's converter.

The exported graph has a batch of one, as devices run it: microcontroller runtimes know no open axes, and every Reshape stays a constant.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from optimizer.errors import RunError

RepresentativeDataset = Callable[[], Iterator[list[npt.NDArray[Any]]]]


def converter_for(keras_model: Any) -> Any:
    """A tf.lite.TFLiteConverter of the model in inference mode, with a batch of one."""
    import tensorflow as tf

    signature = [tf.TensorSpec([1, *tensor.shape[1:]], tensor.dtype, name=_plain_name(tensor.name)) for tensor in keras_model.inputs]

    @tf.function(input_signature=signature)
    def infer(*inputs: Any) -> Any:
        return keras_model(inputs[0] if len(inputs) == 1 else list(inputs), training=False)

    return tf.lite.TFLiteConverter.from_concrete_functions([infer.get_concrete_function()], keras_model)


def convert(keras_model: Any, configure: Callable[[Any], None] | None = None) -> bytes:
    """Convert to .tflite bytes; without `configure` the result is float32.

    Args:
        keras_model: A built tf_keras.Model.
        configure: Sets optimizations, representative dataset and types on the converter.

    Raises:
        RunError: CONVERSION_FAILED with the converter's own first sentence.
    """
    converter = converter_for(keras_model)
    if configure is not None:
        configure(converter)
    try:
        with _quiet_standard_error():
            return bytes(converter.convert())
    except (ValueError, TypeError, RuntimeError, NotImplementedError) as error:
        raise _failure(error) from error
    except Exception as error:
        # The converter raises its own ConverterError, which is not importable from a public module.
        if type(error).__name__ != "ConverterError":
            raise
        raise _failure(error) from error


def representative_dataset(samples: npt.NDArray[Any]) -> RepresentativeDataset:
    """Calibration samples (n, ...) one by one, as the converter wants them."""

    def generate() -> Iterator[list[npt.NDArray[Any]]]:
        for index in range(len(samples)):
            yield [np.ascontiguousarray(samples[index : index + 1])]

    return generate


def _plain_name(name: str) -> str:
    plain = "".join(c if c.isalnum() or c == "_" else "_" for c in name.split(":")[0].split("/")[0])
    return plain if plain[:1].isalpha() else f"input_{plain}"


def _failure(error: Exception) -> RunError:
    return RunError(
        "TensorFlow's converter refused the model",
        code="CONVERSION_FAILED",
        received=str(error),
        fix="Try other activations or weights in the quantization step, or look at the run's log for the operator that is named.",
    )


@contextlib.contextmanager
def _quiet_standard_error() -> Iterator[None]:
    """Keep the converter's C++ chatter off standard error, where progress goes; show it after all when the conversion fails."""
    with tempfile.TemporaryFile() as kept:
        saved = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(saved, 2)
            kept.seek(0)
            os.write(2, kept.read()[-20_000:])
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
