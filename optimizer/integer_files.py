"""Files whose activations are integers: by TensorFlow's converter where its file is right, else by litert-quantizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optimizer.conversion import convert
from optimizer.errors import RunError
from optimizer.int16_operators import not_right_in_int16
from optimizer.integer_faults import empty_ranges, faults_in_int8, nearest_to_float, refusal_by_litert
from optimizer.litert_file import LiteRTFile
from optimizer.litert_quantization import quantize_int8_kernels, repaired


def int8_file(
    keras_model: Any,
    converted: Callable[[], bytes],
    samples: Any,
    note: Callable[[str], None],
    *,
    per_tensor: bool,
    integer_input_output: bool,
) -> bytes:
    """int8 weights with int8 activations; TensorFlow's file may be wrong, and litert-quantizer's is taken where it is nearer to the float file.

    Args:
        keras_model: Anything that `convert` takes.
        converted: Gives the file by TensorFlow's converter.
        samples: Calibration inputs (n, ...), or a mapping of them by name.
        note: Takes what a person should know of the choice.
        per_tensor: One scale a kernel instead of one an output channel.
        integer_input_output: Whether the file takes and gives integers.

    Raises:
        RunError: TensorFlow's converter refuses the model or LiteRT its file, and litert-quantizer failed as well.
    """
    try:
        content = converted()
        unusable = _why_unusable(content)
    except RunError as error:
        if error.code != "CONVERSION_FAILED":
            raise
        content, unusable = b"", "TensorFlow's converter finds no scales that fit together"
    faults = [] if unusable else faults_in_int8(content, samples)
    reason = unusable or _wrong_ranges(faults)
    if not reason:
        return content
    float_file = convert(keras_model)
    try:
        other = quantize_int8_kernels(
            float_file,
            samples,
            activation_bits=8,
            per_tensor=per_tensor,
            integer_input_output=integer_input_output,
            roots_in_float="RSQRT" in faults,
        )
    except RunError as error:
        if unusable:
            raise
        note(
            f"The file may be wrong: {reason}, and litert-quantizer failed on the model: {error.received}. Compare it with the baseline."
        )
        return content
    if content and nearest_to_float(float_file, [content, other], samples) == 0:
        return content
    note(
        f"Made by litert-quantizer: {reason}. Operators without an int8 kernel, or that would lose too much in one, stay float32."
    )
    return other


def _wrong_ranges(operators: list[str]) -> str:
    if not operators:
        return ""
    return f"TensorFlow's converter gives {', '.join(operators)}, and what else reads the same tensors, wrong ranges"


def _why_unusable(content: bytes) -> str:
    """Why LiteRT cannot run what TensorFlow's converter made; empty where it can."""
    refusal = refusal_by_litert(content)
    empty = empty_ranges(LiteRTFile(content))
    if empty:
        return f"units are all dead in layers of {', '.join(empty)}, which TensorFlow's converter leaves without a range"
    return f"LiteRT refuses what TensorFlow's converter makes ({refusal})" if refusal else ""


def int16_file(
    keras_model: Any, converted: Callable[[], bytes], samples: Any, note: Callable[[str], None], *, per_tensor: bool
) -> bytes:
    """int8 weights with int16 activations, by TensorFlow's converter where it is known to get every operator right.

    Args:
        keras_model: Anything that `convert` takes.
        converted: Gives the file by TensorFlow's converter; may raise RunError.
        samples: Calibration inputs (n, ...), or a mapping of them by name.
        note: Takes what a person should know of the choice.
        per_tensor: One scale a kernel instead of one an output channel, which TensorFlow's converter cannot give.

    Raises:
        RunError: litert-quantizer failed as well.
    """
    float_file = convert(keras_model)
    reason = _doubts(not_right_in_int16(float_file))
    if not reason and not per_tensor:
        try:
            # LiteRT aborts the process where a constant of zeros (an untrained offset) is added with the scale 0 that it gets.
            content = repaired(converted())
        except RunError as error:
            reason = f"TensorFlow's converter failed on the model ({error.received})"
        else:
            reason = _why_unusable(content)
            if not reason:
                return content
    if reason:
        note(f"Made by litert-quantizer: {reason}. Operators without an int16 kernel stay float32.")
    return quantize_int8_kernels(float_file, samples, activation_bits=16, per_tensor=per_tensor)


def _doubts(operators: list[str]) -> str:
    if not operators:
        return ""
    named = ", ".join(operators)
    return f"LiteRT would not run, or not compute rightly, what TensorFlow's converter makes of {named} with int16 activations"
