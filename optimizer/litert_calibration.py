"""What litert-quantizer's calibration needs: a file that it can run, samples by name, and the true ranges of all tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from optimizer.conversion import as_input
from optimizer.litert_file import LiteRTFile
from optimizer.litert_packing import packed


def made_calibratable(content: bytes, sample_shape: tuple[int, ...]) -> bytes:
    """The same file as litert-quantizer's calibrator can run it; unchanged where it can already.

    It calls the file by a signature, and at the shape that the file names: where that leaves axes open (and says 1 for them), it becomes
    that of the samples. The axes stay open all the same.
    """
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    graph = model.subgraphs[0]
    taken = graph.tensors[graph.inputs[0]]
    is_open = taken.shapeSignature is not None and any(length < 0 for length in taken.shapeSignature[1:])
    if model.signatureDefs and not is_open:
        return content
    if is_open:
        taken.shape = [taken.shape[0], *sample_shape]
    if not model.signatureDefs:
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
        signature.inputs = [_tensor_map(f"input_{n}", tensor) for n, tensor in enumerate(graph.inputs)]
        signature.outputs = [_tensor_map(f"output_{n}", tensor) for n, tensor in enumerate(graph.outputs)]
        model.signatureDefs = [signature]
    return packed(model)


def with_names_of(original: bytes, content: bytes) -> bytes:
    """The file with the signature of the one that it was made from, where litert-quantizer lost it.

    An output that is given twice, or that is an input, gets a tensor of its own, which the signature does not learn of.
    """
    from ai_edge_litert.tools import flatbuffer_utils

    before, after = LiteRTFile(original), LiteRTFile(content)
    names = (before.input_names, before.output_names)
    if names == (after.input_names, after.output_names):
        return content
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    graph = model.subgraphs[0]
    for signature in model.signatureDefs or []:
        if signature.subgraphIndex == 0:
            signature.inputs = [_tensor_map(name, tensor) for name, tensor in zip(names[0], graph.inputs, strict=True)]
            signature.outputs = [_tensor_map(name, tensor) for name, tensor in zip(names[1], graph.outputs, strict=True)]
    return packed(model)


def _tensor_map(name: str, tensor: Any) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    item = schema.TensorMapT()
    item.name, item.tensorIndex = name.encode(), int(tensor)
    return item


def ranges_of(float_file: bytes, recipe: Any, samples: Any) -> Any:
    """The least and the largest value of every tensor over all samples.

    By itself litert-quantizer takes a moving average of each sample's, beyond which half of the samples' peaks would be cut off. A tensor
    that never was anything but zero (all units of a layer are dead) gets a range from 0 to 1: XNNPACK refuses a file with an empty one.
    """
    from litert_quantizer import calibrator
    from litert_quantizer.utils import qsv_utils

    modes = calibrator.CalibrationMode
    data = _calibration_data(float_file, samples)
    try:
        found = calibrator.Calibrator(float_file, qsv_update_func=qsv_utils.min_max_update)
        found.calibrate(data, recipe)
    except ValueError as error:
        # It looks at every tensor, also at those that the runtime has done away with (unrolled recurrent layers have such).
        if "Tensor data is null" not in str(error):
            raise
        found = calibrator.Calibrator(float_file, mode=modes.CALIBRATION_PROFILER_BASED, qsv_update_func=qsv_utils.min_max_update)
        found.calibrate(data, recipe)
    ranges = found.get_model_qsvs()
    for limits in ranges.values():
        if not np.any(limits["min"]) and not np.any(limits["max"]):
            limits["max"] = np.ones_like(limits["max"])
    return ranges


def _calibration_data(float_file: bytes, samples: Any) -> dict[str, list[dict[str, Any]]]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=float_file)
    name = next(iter(interpreter.get_signature_list()))
    taken = interpreter.get_signature_runner(name).get_input_details()
    return {
        name: [
            {part: np.ascontiguousarray(value, dtype=taken[part]["dtype"]) for part, value in sample.items()}
            for sample in samples_of(taken, samples)
        ]
    }


def samples_of(taken: Mapping[str, Any], samples: Any) -> Iterator[dict[str, Any]]:
    """One sample after the other as a signature takes them.

    Args:
        taken: The runtime's details of each input by its name.
        samples: Inputs (n, ...), or a mapping of them by name.
    """
    parts = samples if isinstance(samples, Mapping) else {next(iter(taken)): samples}
    shapes = {part: tuple(int(n) for n in taken[part]["shape"]) for part in parts}
    for index in range(len(next(iter(parts.values())))):
        yield {part: as_input(x[index], shapes[part]) for part, x in parts.items()}
