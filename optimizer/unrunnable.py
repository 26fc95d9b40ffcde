"""Operators that TensorFlow's converter writes into int16 files, and that LiteRT has no kernel for."""

from __future__ import annotations

from optimizer.litert_file import LiteRTFile

FLOAT_ONLY = frozenset({"RSQRT", "SQUARED_DIFFERENCE", "SUM", "UNIDIRECTIONAL_SEQUENCE_LSTM"})
"""Those that LiteRT refuses in an int16 file, sums up wrongly, or (in a normalization) aborts the whole process for."""
CHANGING_TYPES = frozenset({"CAST", "DEQUANTIZE", "GATHER", "QUANTIZE", "SELECT", "SELECT_V2", "WHERE"})
"""Operators whose tensors may differ in type."""


def unrunnable_operators(content: bytes) -> list[str]:
    """Names of operators of an int16 .tflite that would not run, in the file's order, each once.

    Beside those of FLOAT_ONLY, operators that take INT16 and FLOAT32 at once, or one and give the other. The file is read and not loaded:
    some of them end the process that loads it.
    """
    file = LiteRTFile(content)
    found = []
    for operator in file.operators:
        tensors = file.model.subgraphs[operator.subgraph].tensors
        types = {file.type_name(tensors[index].type) for index in (*operator.inputs, *operator.outputs) if index >= 0}
        mixed = {"INT16", "FLOAT32"} <= types and operator.name not in CHANGING_TYPES
        if mixed or (operator.name in FLOAT_ONLY and types & {"INT8", "INT16"}):
            found.append(operator.name)
    return list(dict.fromkeys(found))
