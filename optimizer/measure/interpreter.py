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

    Args:
        content: The bytes of the file.
        threads: Threads of the interpreter.
        sample_shape: Shape of one sample without the batch axis, for a file that leaves axes open.

    Raises:
        RunError: BAD_TFLITE when LiteRT refuses the file.
    """

    def __init__(self, content: bytes, *, threads: int = 1, sample_shape: tuple[int, ...] | None = None) -> None:
        from ai_edge_litert.interpreter import Interpreter

        try:
            self._interpreter = Interpreter(model_content=content, num_threads=threads)
            self._read_details()
            if sample_shape is not None and self.open_axes:
                self._interpreter.resize_tensor_input(self.input["index"], [self.batch, *sample_shape])
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise RunError("LiteRT cannot run the .tflite", code="BAD_TFLITE", received=str(error)) from error
        self._read_details()

    def _read_details(self) -> None:
        self.input = self._interpreter.get_input_details()[0]
        self.output = self._interpreter.get_output_details()[0]

    @property
    def open_axes(self) -> bool:
        """Whether an axis of the input beside the batch is open, as in models that take images of any size."""
        return any(int(n) < 0 for n in self.input["shape_signature"][1:])

    @property
    def batch(self) -> int:
        """Samples that one invocation takes; a lone axis of several elements is one sample."""
        shape = self.input["shape"]
        return int(shape[0]) if len(shape) > 1 else 1

    @property
    def output_sample_shape(self) -> tuple[int, ...]:
        """Shape of what one sample gives, without the batch axis where the file has one."""
        shape = tuple(int(n) for n in self.output["shape"])
        return shape[1:] if shape and shape[0] == self.batch else shape

    def set_input(self, samples: Array) -> None:
        """Hand over one batch (batch, ...) of float or integer samples; quantized with the file's own scale where it takes int8."""
        shaped = np.asarray(samples).reshape(self.input["shape"])
        self._interpreter.set_tensor(self.input["index"], quantized(shaped, self.input))

    def set_every_input(self, random: np.random.Generator) -> None:
        """Fill each of the inputs with numbers above 0, up to 1.

        Inputs of whole numbers get ones: a sample of zeros only would be padding to models that mask it.
        """
        for details in self._interpreter.get_input_details():
            values = 1.0 - random.random(tuple(details["shape"]), dtype=np.float32)
            whole = np.issubdtype(details["dtype"], np.integer) and not details["quantization"][0]
            self._interpreter.set_tensor(details["index"], quantized(np.ceil(values) if whole else values, details))

    def invoke(self) -> None:
        """Run the graph once, from a fresh state: recurrent operators keep theirs from sample to sample unless told otherwise.

        Raises:
            RunError: INFERENCE_FAILED where an operator refuses its input, e.g. a word number beyond the table.
        """
        self._interpreter.reset_all_variables()
        try:
            self._interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise RunError(
                "An operator of the .tflite refused the samples",
                code="INFERENCE_FAILED",
                received=str(error),
                fix="Bring data as the model was trained on them.",
            ) from error

    def read_output(self) -> npt.NDArray[np.float32]:
        """The first output as float32, dequantized with the file's own scale."""
        return dequantized(self._interpreter.get_tensor(self.output["index"]), self.output)

    def try_batch(self, size: int) -> bool:
        """Resize to `size` samples an invocation; False (and as many as before) where the graph cannot be resized."""
        before, given = list(self.input["shape"]), list(self.output["shape"])
        if len(before) < 2 or not given or given[0] != self.batch:
            return False
        shape = [size, *(int(n) for n in self.input["shape"][1:])]
        try:
            self._interpreter.resize_tensor_input(self.input["index"], shape)
            self._interpreter.allocate_tensors()
            self._read_details()
            if list(self.output["shape"]) == [size, *given[1:]]:
                self._interpreter.invoke()
                return True
        except (ValueError, RuntimeError):
            pass  # Some graphs hold constants for a batch of one; they are run sample by sample.
        self._interpreter.resize_tensor_input(self.input["index"], before)
        self._interpreter.allocate_tensors()
        self._read_details()
        return False


def quantized(samples: Array, details: Any) -> Array:
    """Values in the type of an input, by the input's own scale where it takes quantized integers."""
    dtype = details["dtype"]
    scale, zero_point = details["quantization"]
    if np.issubdtype(dtype, np.integer) and scale:
        limits = np.iinfo(dtype)
        steps = np.round(samples.astype(np.float32) / np.float32(scale)) + zero_point
        whole: Array = np.clip(steps, limits.min, limits.max).astype(dtype)
        return whole
    return samples.astype(dtype)


def dequantized(raw: Array, details: Any) -> npt.NDArray[np.float32]:
    """What an output gives, as float32, by the output's own scale where it gives quantized integers."""
    scale, zero_point = details["quantization"]
    if np.issubdtype(raw.dtype, np.integer) and scale:
        raw = (raw.astype(np.float32) - zero_point) * np.float32(scale)
    result: npt.NDArray[np.float32] = np.array(raw, dtype=np.float32)
    return result


def run(content: bytes, batches: Any, *, check_cancelled: Any = None) -> npt.NDArray[np.float32]:
    """Outputs (n, ...) of a .tflite for all samples that `batches` yields as (inputs, targets) of any size.

    Samples are sent in groups where the graph allows it, one by one where it does not; the numbers are the same.
    """
    loaded: LoadedFile | None = None
    outputs = []
    for inputs, _targets in batches:
        if check_cancelled is not None:
            check_cancelled()
        if loaded is None:
            loaded = LoadedFile(content, sample_shape=tuple(inputs.shape[1:]))
            single = loaded
            if loaded.try_batch(BATCH):
                single = LoadedFile(content, sample_shape=tuple(inputs.shape[1:]))
        for start in range(0, len(inputs), BATCH):
            part = inputs[start : start + BATCH]
            outputs.append(_run_group(loaded if len(part) == loaded.batch else single, part))
    return np.concatenate(outputs)


def _run_group(loaded: LoadedFile, part: Array) -> npt.NDArray[np.float32]:
    """Outputs (n, ...) of up to BATCH samples (n, ...), as many an invocation as the file takes; the last ones are filled up."""
    results = []
    for start in range(0, len(part), loaded.batch):
        group = part[start : start + loaded.batch]
        filled = np.concatenate([group, np.repeat(group[-1:], loaded.batch - len(group), axis=0)])
        loaded.set_input(filled)
        loaded.invoke()
        given = loaded.read_output()
        # Where the input's axes are open, the file tells the output's shape only once it has run.
        samples = given if given.shape[:1] == (loaded.batch,) else given.reshape((loaded.batch, *loaded.output_sample_shape))
        results.append(samples[: len(group)].copy())
    return np.concatenate(results)
