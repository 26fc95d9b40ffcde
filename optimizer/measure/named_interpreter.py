"""Run a .tflite of several inputs or outputs: the converter puts them in an order of its own, so they are told apart by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from optimizer.conversion import as_input
from optimizer.errors import RunError
from optimizer.litert_file import LiteRTFile
from optimizer.measure.interpreter import dequantized, quantized

Array = npt.NDArray[Any]


class NamedFile:
    """An interpreter that takes a value for each input by name, in float32 or integers whatever the file itself takes.

    Args:
        content: The bytes of a .tflite.
        inputs: What its signature calls the inputs, in the order that samples are given in; one "" for the only input, whatever its name.
        output: What its signature calls the output that is read.

    Raises:
        RunError: BAD_TFLITE when LiteRT refuses the file, or its signature has other names.
    """

    def __init__(self, content: bytes, *, inputs: Sequence[str], output: str) -> None:
        from ai_edge_litert.interpreter import Interpreter

        file = LiteRTFile(content)
        # A lone input may have lost its name on the way; several are found by theirs.
        wanted = list(file.input_names) if len(inputs) == 1 else list(inputs)
        if sorted(wanted) != sorted(file.input_names) or output not in file.output_names:
            raise RunError(
                "The .tflite has other inputs or outputs than the model",
                code="BAD_TFLITE",
                expected=f"{', '.join(wanted)}; {output}",
                received=f"{', '.join(file.input_names)}; {', '.join(file.output_names)}",
            )
        self._places = [file.input_names.index(name) for name in wanted]
        self._output = file.output_names.index(output)
        try:
            self._interpreter = Interpreter(model_content=content)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise _refused(error) from error
        self._inputs = self._interpreter.get_input_details()

    def __call__(self, sample: Sequence[Array]) -> npt.NDArray[np.float32]:
        """The wanted output (1, ...) of one sample, given as a batch of one for each input.

        Raises:
            RunError: INFERENCE_FAILED where an operator refuses the sample, BAD_TFLITE where the file cannot take one of that size.
        """
        self._open_for(sample)
        for place, value in zip(self._places, sample, strict=True):
            details = self._inputs[place]
            shaped = as_input(np.asarray(value)[0], tuple(int(n) for n in details["shape"]))
            self._interpreter.set_tensor(details["index"], quantized(shaped, details))
        self._interpreter.reset_all_variables()
        try:
            self._interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise RunError(
                "An operator of the .tflite refused the samples", code="INFERENCE_FAILED", received=str(error)
            ) from error
        details = self._interpreter.get_output_details()[self._output]
        result = dequantized(self._interpreter.get_tensor(details["index"]), details)
        taken = self._inputs[self._places[0]]["shape"]
        batch = int(taken[0]) if len(taken) > 1 else 1
        return result[:1] if result.ndim and len(result) == batch else result[np.newaxis]

    def _open_for(self, sample: Sequence[Array]) -> None:
        """Give inputs that leave axes open the sample's size."""
        changed = False
        for place, value in zip(self._places, sample, strict=True):
            details = self._inputs[place]
            is_open = any(int(n) < 0 for n in details["shape_signature"][1:])
            if is_open and list(details["shape"][1:]) != list(value.shape[1:]):
                self._interpreter.resize_tensor_input(details["index"], [int(details["shape"][0]), *value.shape[1:]])
                changed = True
        if changed:
            try:
                self._interpreter.allocate_tensors()
            except (ValueError, RuntimeError) as error:
                raise _refused(error) from error
            self._inputs = self._interpreter.get_input_details()


def _refused(error: Exception) -> RunError:
    return RunError("LiteRT cannot run the .tflite", code="BAD_TFLITE", received=str(error))


def run_named(
    content: bytes,
    batches: Iterable[Sequence[Array]],
    *,
    inputs: Sequence[str],
    output: str,
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
