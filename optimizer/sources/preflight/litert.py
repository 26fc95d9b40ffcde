"""A .tflite checked without its interpreter, which crashes on what is refused here."""

from __future__ import annotations

import math
import mmap
from pathlib import Path

from optimizer.errors import InputError
from optimizer.sources.limits import MAX_ACTIVATION
from optimizer.sources.preflight.flatbuffer import FlatBufferError, Table, verified_root
from optimizer.sources.preflight.litert_operators import check_operators, operator_names
from optimizer.sources.preflight.litert_schema import TYPES

MARK = b"TFL3"
VERSION = 3
MAX_SUBGRAPHS = 1_000
FIX = "Convert the model again, or copy or download the file again and compare the sizes."


def check_tflite(path: Path, place: str) -> None:
    """Check a .tflite file.

    Raises:
        InputError: BAD_TFLITE where it is cut off or contradicts itself, UNSUPPORTED_OP for custom operators, TOO_LARGE for tensors
            that no device of ours holds, EXTERNAL_DATA where weights lie in other files.
    """
    with path.open("rb") as file:
        # The map lives as long as the views that tables are read through, so it is not closed here.
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    check_content(data, place)


def check_content(data: memoryview, place: str) -> None:
    """Check the bytes of a .tflite; see `check_tflite`."""
    if bytes(data[4:8]) != MARK:
        raise bad(place, "the mark TFL3 is missing")
    try:
        model = verified_root(data)
    except FlatBufferError as error:
        raise bad(place, str(error)) from error
    _check_model(model, place)


def bad(place: str, received: str) -> InputError:
    """The error for a file that contradicts itself."""
    return InputError("The .tflite is damaged", code="BAD_TFLITE", place=place, received=received, fix=FIX)


def _check_model(model: Table, place: str) -> None:
    if model.number("Version") != VERSION:
        raise bad(place, f"schema version {model.number('Version')}, which is not {VERSION}")
    if model.length("ExternalBuffers") or model.length("ExternalBufferGroups"):
        raise InputError(
            "The file points outside itself",
            code="EXTERNAL_DATA",
            place=place,
            received="weights in another file",
            fix="Convert the model with all weights inside the .tflite.",
        )
    names = operator_names(model, place)
    buffers = _buffer_bytes(model, place)
    subgraphs = model.tables("Subgraphs")
    if not 0 < len(subgraphs) <= MAX_SUBGRAPHS:
        raise bad(place, f"{len(subgraphs):,} subgraphs, where 1 to {MAX_SUBGRAPHS:,} can be")
    for number, subgraph in enumerate(subgraphs):
        where = place if len(subgraphs) == 1 else f"{place}, subgraph {number}"
        constant = _check_tensors(subgraph, buffers, where)
        for field in ("Inputs", "Outputs"):
            if any(not 0 <= int(n) < len(constant) for n in subgraph.values(field)):
                raise bad(where, f"one of the {field.lower()} is a tensor that is not there")
    check_operators(subgraphs, names, buffers, place)
    _check_names(model, subgraphs, buffers, place)


def _buffer_bytes(model: Table, place: str) -> list[int]:
    """Bytes that each buffer stores, within the file's tables or behind them."""
    sizes = []
    for number, buffer in enumerate(model.tables("Buffers")):
        offset, size = buffer.number("Offset", "Q"), buffer.number("Size", "Q")
        # 0 and 1 mean "not behind the tables".
        if offset > 1 and offset + size > len(model.data):
            raise bad(f"{place}, buffer {number}", f"{size:,} bytes at byte {offset:,}, outside the file")
        sizes.append(size if offset > 1 else buffer.length("Data"))
    return sizes


def _check_tensors(subgraph: Table, buffers: list[int], place: str) -> list[bool]:
    """Whether each tensor is a constant. Raises InputError BAD_TFLITE, TOO_LARGE."""
    constant = []
    for number, tensor in enumerate(subgraph.tables("Tensors")):
        where = f"{place}, tensor {number} {tensor.text('Name')}".rstrip()
        kind, buffer = tensor.number("Type", "B"), tensor.number("Buffer")
        if kind >= len(TYPES):
            raise bad(where, f"the unknown type {kind}")
        if buffer >= len(buffers):
            raise bad(where, f"buffer {buffer}, which is not there")
        if tensor.number("ExternalBuffer"):
            raise bad(where, "an external buffer, which is not there")
        _check_shape(tensor, where)
        _check_stored(tensor, TYPES[kind], buffers[buffer], where)
        _check_quantization(tensor, where)
        constant.append(buffers[buffer] > 0)
    return constant


def _check_shape(tensor: Table, place: str) -> None:
    shape, signature = tensor.values("Shape").tolist(), tensor.values("ShapeSignature").tolist()
    if any(n < 0 for n in shape) or any(n < -1 for n in signature) or (signature and len(signature) != len(shape)):
        raise bad(place, f"shape {shape}, signature {signature}")
    if math.prod(shape) > MAX_ACTIVATION:
        raise InputError(
            "The tensor is too large",
            code="TOO_LARGE",
            place=place,
            received=f"shape {shape}, {math.prod(shape):,} values",
            limit=f"{MAX_ACTIVATION:,}",
        )


def _check_stored(tensor: Table, kind: tuple[str, int], stored: int, place: str) -> None:
    """A constant's bytes are those that its shape and type ask for. Raises InputError BAD_TFLITE."""
    name, bits = kind
    shape = tensor.values("Shape").tolist()
    if stored == 0 or bits == 0 or tensor.has("Sparsity"):
        return
    expected = -(-math.prod(shape) * bits // 8)
    if stored != expected:
        raise bad(place, f"{stored:,} bytes stored for shape {shape} of {name}, which needs {expected:,}")


def _check_quantization(tensor: Table, place: str) -> None:
    """One scale, or one for each slice along an axis. Raises InputError BAD_TFLITE."""
    quantization = tensor.table("Quantization")
    if quantization is None or quantization.number("DetailsType", "B"):
        return
    shape = tensor.values("Shape").tolist()
    scales, zeros = quantization.length("Scale"), quantization.length("ZeroPoint")
    axis = quantization.number("QuantizedDimension", "i")
    along = shape[axis] if 0 <= axis < len(shape) else 1
    if scales > 1 and (scales != along or not 0 <= axis < len(shape)):
        raise bad(place, f"{scales} scales for axis {axis} of shape {shape}")
    if zeros > 1 and zeros != scales:
        raise bad(place, f"{zeros} zero points for {scales} scales")


def _check_names(model: Table, subgraphs: list[Table], buffers: list[int], place: str) -> None:
    """Signatures and metadata name what is there. Raises InputError BAD_TFLITE."""
    for signature in model.tables("SignatureDefs"):
        number = signature.number("SubgraphIndex")
        where = f"{place}, signature {signature.text('SignatureKey')}"
        if number >= len(subgraphs):
            raise bad(where, f"subgraph {number}, which is not there")
        count = subgraphs[number].length("Tensors")
        for field in ("Inputs", "Outputs"):
            if any(item.number("TensorIndex") >= count for item in signature.tables(field)):
                raise bad(where, "a tensor that is not there")
    if any(item.number("Buffer") >= len(buffers) for item in model.tables("Metadata")):
        raise bad(f"{place}, metadata", "a buffer that is not there")
