"""Run a .tflite with LiteRT on arrays of samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from optimizer.errors import RunError

Array = npt.NDArray[Any]
BATCH = 64


class LoadedFile:
    """An interpreter over the bytes of a .tflite, with inputs and outputs in float32 whatever the file itself takes.

    Raises:
        RunError: BAD_TFLITE when LiteRT refuses the file.
    """

    def __init__(self, content: bytes, *, threads: int = 1) -> None:
        from ai_edge_litert.interpreter import Interpreter

        try:
            self._interpreter = Interpreter(model_content=content, num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise RunError("LiteRT cannot run the .tflite", code="BAD_TFLITE", received=str(error)) from error
        self._read_details()

    def _read_details(self) -> None:
        self.input = self._interpreter.get_input_details()[0]
        self.output = self._interpreter.get_output_details()[0]

    @property
    def batch(self) -> int:
        """Samples that one invocation takes."""
        return int(self.input["shape"][0]) if len(self.input["shape"]) else 1

    def set_input(self, samples: Array) -> None:
        """Hand over one batch (batch, ...) of float or integer samples; quantized with the file's own scale where it takes int8."""
        shaped = np.asarray(samples).reshape(self.input["shape"])
        self._interpreter.set_tensor(self.input["index"], _quantized(shaped, self.input))

    def set_every_input(self, random: np.random.Generator) -> None:
        """Fill each of the inputs with numbers above 0, up to 1.

        Inputs of whole numbers get ones: a sample of zeros only would be padding to models that mask it.
        """
        for details in self._interpreter.get_input_details():
            values = 1.0 - random.random(tuple(details["shape"]), dtype=np.float32)
            whole = np.issubdtype(details["dtype"], np.integer) and not details["quantization"][0]
            self._interpreter.set_tensor(details["index"], _quantized(np.ceil(values) if whole else values, details))

    def invoke(self) -> None:
        """Run the graph once, from a fresh state: recurrent operators keep theirs from sample to sample unless told otherwise."""
        self._interpreter.reset_all_variables()
        self._interpreter.invoke()

    def read_output(self) -> npt.NDArray[np.float32]:
        """The first output as float32, dequantized with the file's own scale."""
        raw = self._interpreter.get_tensor(self.output["index"])
        scale, zero_point = self.output["quantization"]
        if np.issubdtype(raw.dtype, np.integer) and scale:
            raw = (raw.astype(np.float32) - zero_point) * np.float32(scale)
        result: npt.NDArray[np.float32] = raw.astype(np.float32)
        return result

    def try_batch(self, size: int) -> bool:
        """Resize to `size` samples an invocation; False (and one sample as before) where the graph cannot be resized."""
        shape = [size, *(int(n) for n in self.input["shape"][1:])]
        before, one_output = list(self.input["shape"]), list(self.output["shape"])
        try:
            self._interpreter.resize_tensor_input(self.input["index"], shape)
            self._interpreter.allocate_tensors()
            self._read_details()
            if list(self.output["shape"]) == [size * int(one_output[0]), *one_output[1:]]:
                self._interpreter.invoke()
                return True
        except (ValueError, RuntimeError):
            pass  # Some graphs hold constants for a batch of one; they are run sample by sample.
        self._interpreter.resize_tensor_input(self.input["index"], before)
        self._interpreter.allocate_tensors()
        self._read_details()
        return False


def _quantized(samples: Array, details: Any) -> Array:
    dtype = details["dtype"]
    scale, zero_point = details["quantization"]
    if np.issubdtype(dtype, np.integer) and scale:
        limits = np.iinfo(dtype)
        steps = np.round(samples.astype(np.float32) / np.float32(scale)) + zero_point
        quantized: Array = np.clip(steps, limits.min, limits.max).astype(dtype)
        return quantized
    return samples.astype(dtype)


def run(content: bytes, batches: Any, *, check_cancelled: Any = None) -> npt.NDArray[np.float32]:
    """Outputs (n, ...) of a .tflite for all samples that `batches` yields as (inputs, targets) of any size.

    Samples are sent in groups where the graph allows it, one by one where it does not; the numbers are the same.
    """
    loaded = LoadedFile(content)
    grouped = loaded.try_batch(BATCH)
    single = LoadedFile(content) if grouped else loaded
    outputs = []
    for inputs, _targets in batches:
        if check_cancelled is not None:
            check_cancelled()
        for start in range(0, len(inputs), BATCH):
            part = inputs[start : start + BATCH]
            outputs.append(_run_group(loaded if grouped and len(part) == BATCH else single, part))
    return np.concatenate(outputs)


def _run_group(loaded: LoadedFile, part: Array) -> npt.NDArray[np.float32]:
    if loaded.batch == len(part):
        loaded.set_input(part)
        loaded.invoke()
        return loaded.read_output().copy()
    results = []
    for sample in part:
        loaded.set_input(sample[None])
        loaded.invoke()
        results.append(loaded.read_output().reshape((1, *loaded.output["shape"][1:])).copy())
    return np.concatenate(results)
