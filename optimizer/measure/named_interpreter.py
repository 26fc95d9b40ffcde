"""Run a .tflite of several inputs or outputs: the converter puts them in an order of its own, so they are told apart by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from optimizer.conversion import plain_name
from optimizer.errors import RunError

Array = npt.NDArray[Any]


class NamedFile:
    """An interpreter that takes a value for each input by name, in float32 or integers whatever the file itself takes.

    Args:
        content: The bytes of a .tflite that we converted: its signature names inputs as the model does, outputs output_0, output_1, ...
        inputs: Names of the model's inputs, in the model's order.
        output: Position of the output that is read.

    Raises:
        RunError: BAD_TFLITE when LiteRT refuses the file, or its signature has other names.
    """

    def __init__(self, content: bytes, *, inputs: Sequence[str], output: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        try:
            self._interpreter = Interpreter(model_content=content)
            self._runner = self._interpreter.get_signature_runner()
        except (ValueError, RuntimeError) as error:
            raise RunError("LiteRT cannot run the .tflite", code="BAD_TFLITE", received=str(error)) from error
        self._inputs = self._runner.get_input_details()
        outputs = sorted(self._runner.get_output_details())
        wanted = [plain_name(name) for name in inputs]
        # A lone input may have lost its name on the way; several are found by theirs.
        self._names = list(self._inputs) if len(wanted) == 1 else wanted
        if set(self._names) != set(self._inputs) or output >= len(outputs):
            raise RunError(
                "The .tflite has other inputs or outputs than the model",
                code="BAD_TFLITE",
                expected=", ".join(wanted),
                received=", ".join(self._inputs),
            )
        self._output = f"output_{output}" if f"output_{output}" in outputs else outputs[output]
        self._details = self._runner.get_output_details()[self._output]

    def __call__(self, sample: Sequence[Array]) -> npt.NDArray[np.float32]:
        """The wanted output (1, ...) of one sample, given as a batch of one for each input."""
        values = {}
        for name, value in zip(self._names, sample, strict=True):
            details = self._inputs[name]
            values[name] = _quantized(np.asarray(value), details)
        self._interpreter.reset_all_variables()
        try:
            raw = self._runner(**values)[self._output]
        except (ValueError, RuntimeError) as error:
            raise RunError(
                "An operator of the .tflite refused the samples", code="INFERENCE_FAILED", received=str(error)
            ) from error
        scale, zero_point = self._details["quantization"]
        if np.issubdtype(raw.dtype, np.integer) and scale:
            raw = (raw.astype(np.float32) - zero_point) * np.float32(scale)
        result: npt.NDArray[np.float32] = np.asarray(raw, dtype=np.float32)
        return result


def _quantized(value: Array, details: Any) -> Array:
    """A value in the type of its input, by the input's own scale where it takes quantized integers."""
    dtype = details["dtype"]
    scale, zero_point = details["quantization"]
    if np.issubdtype(dtype, np.integer) and scale:
        limits = np.iinfo(dtype)
        steps = np.round(value.astype(np.float32) / np.float32(scale)) + zero_point
        value = np.clip(steps, limits.min, limits.max)
    return np.asarray(value, dtype=dtype)


def run_named(
    content: bytes,
    batches: Iterable[Sequence[Array]],
    *,
    inputs: Sequence[str],
    output: int,
    check_cancelled: Callable[[], None] | None = None,
) -> npt.NDArray[np.float32]:
    """Outputs (n, ...) of one output for all samples, sample by sample; `batches` yields one array (n, ...) for each input."""
    loaded = NamedFile(content, inputs=inputs, output=output)
    results = []
    for batch in batches:
        if check_cancelled is not None:
            check_cancelled()
        results += [loaded([part[number : number + 1] for part in batch]) for number in range(len(batch[0]))]
    return np.concatenate(results)
