"""Read a .tflite as data: its constant tensors and its operators. Nothing is executed."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
ABSENT = -1
UNPACKING = frozenset({"DEQUANTIZE", "DENSIFY"})
"""Operators that turn a packed constant into what kernels compute with."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredTensor:
    """One constant tensor as the file stores it.

    `raw` holds the stored numbers (int4 unpacked into int8), `values` what the operators compute with (float32). `dtype` is the
    file's name of the type: "FLOAT32", "FLOAT16", "INT8", "INT4", ... `stored_bytes` is the size of its buffer.
    """

    name: str
    dtype: str
    raw: Array
    values: npt.NDArray[np.float32]
    stored_bytes: int

    @property
    def zero_fraction(self) -> float:
        """Fraction of elements that are exactly zero, in [0, 1]."""
        return 1.0 - np.count_nonzero(self.values) / max(self.values.size, 1)

    @property
    def distinct_values(self) -> int:
        """Number of different values."""
        return len(np.unique(self.values))


@dataclass(frozen=True, kw_only=True)
class StoredKernel:
    """What an operator multiplies with, without its numbers; `dtype` is the type in the file, also where it is unpacked before use."""

    name: str
    dtype: str
    elements: int


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredOperator:
    """One operator with the shapes of its tensors; a missing optional input has shape None."""

    name: str
    subgraph: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any


class LiteRTFile:
    """A parsed .tflite.

    Args:
        content: The bytes of the file, already known to be a valid .tflite (we made it, or preflight passed it).
    """

    def __init__(self, content: bytes) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self.content = content
        self.model = schema.ModelT.InitFromPackedBuf(content, 0)
        self._type_names: dict[int, str] = {
            value: name for name, value in vars(schema.TensorType).items() if isinstance(value, int)
        }
        self._operator_names: dict[int, str] = {
            value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)
        }

    @property
    def inputs(self) -> tuple[int, ...]:
        """Tensors that the main graph takes."""
        return tuple(int(n) for n in _listed(self.model.subgraphs[0].inputs))

    @property
    def outputs(self) -> tuple[int, ...]:
        """Tensors that the main graph gives."""
        return tuple(int(n) for n in _listed(self.model.subgraphs[0].outputs))

    @functools.cached_property
    def input_names(self) -> tuple[str, ...]:
        """What callers say for each of `inputs`: the signature's names, or input_0, input_1, ... where none names all of them."""
        return self._callers_names("inputs")

    @functools.cached_property
    def output_names(self) -> tuple[str, ...]:
        """What callers say for each of `outputs`: the signature's names, or output_0, output_1, ..."""
        return self._callers_names("outputs")

    def _callers_names(self, field: str) -> tuple[str, ...]:
        tensors = getattr(self, field)
        for signature in _listed(self.model.signatureDefs):
            given: dict[int, list[str]] = {}
            for item in _listed(getattr(signature, field)):
                given.setdefault(int(item.tensorIndex), []).append(tensor_name(item))
            # A tensor that is given twice has two names.
            if signature.subgraphIndex == 0 and all(len(given.get(tensor, ())) >= tensors.count(tensor) for tensor in tensors):
                return tuple(given[tensor].pop(0) for tensor in tensors)
        return tuple(f"{field[:-1]}_{number}" for number in range(len(tensors)))

    @functools.cached_property
    def constants(self) -> tuple[StoredTensor, ...]:
        """Every tensor that holds numbers, over all subgraphs, in file order."""
        return tuple(self._constants())

    def _constants(self) -> Iterator[StoredTensor]:
        for subgraph in self.model.subgraphs:
            for tensor in _listed(subgraph.tensors):
                data = self._stored(tensor)
                dtype = self._type_names[tensor.type]
                # The bytes of a sparse tensor are not those of its shape.
                if len(data) == 0 or dtype not in _NUMPY_TYPES or tensor.sparsity is not None:
                    continue
                raw = _unpack(data, dtype, [int(n) for n in _listed(tensor.shape)])
                values = _dequantize(raw, tensor.quantization)
                yield StoredTensor(name=tensor_name(tensor), dtype=dtype, raw=raw, values=values, stored_bytes=len(data))

    def _stored(self, tensor: Any) -> npt.NDArray[np.uint8]:
        """The bytes of a tensor's buffer, empty for none; litert-quantizer puts those of larger files behind the tables."""
        buffer = self.model.buffers[tensor.buffer]
        if buffer.offset > 1:
            return np.frombuffer(self.content, np.uint8, count=buffer.size, offset=buffer.offset)
        return np.asarray(_listed(buffer.data), dtype=np.uint8)

    @functools.cached_property
    def operators(self) -> tuple[StoredOperator, ...]:
        """Every operator of every subgraph, in execution order within its subgraph."""
        found = []
        for index, subgraph in enumerate(self.model.subgraphs):
            for operator in _listed(subgraph.operators):
                code = self.model.operatorCodes[operator.opcodeIndex]
                builtin = max(code.builtinCode, code.deprecatedBuiltinCode)
                found.append(
                    StoredOperator(
                        name=self._operator_names.get(builtin, f"BUILTIN_{builtin}"),
                        subgraph=index,
                        inputs=tuple(int(i) for i in _listed(operator.inputs)),
                        outputs=tuple(int(i) for i in _listed(operator.outputs)),
                        options=operator.builtinOptions,
                    )
                )
        return tuple(found)

    def type_name(self, number: int) -> str:
        """The schema's name of a tensor type, e.g. "INT8"."""
        return self._type_names.get(number, f"TYPE_{number}")

    def shape(self, subgraph: int, tensor: int) -> tuple[int, ...]:
        """Shape of a tensor; () for a scalar and for a missing optional input."""
        if tensor < 0:
            return ()
        return tuple(int(n) for n in _listed(self.model.subgraphs[subgraph].tensors[tensor].shape))

    def is_constant(self, subgraph: int, tensor: int) -> bool:
        """Whether the file stores a tensor's numbers; False for a missing optional input."""
        return tensor >= 0 and len(self._stored(self.model.subgraphs[subgraph].tensors[tensor])) > 0

    def numbers(self, subgraph: int, tensor: int) -> npt.NDArray[np.float32] | None:
        """The numbers of a constant of 32-bit floats; None for any other tensor."""
        if not self.is_constant(subgraph, tensor):
            return None
        stored = self.model.subgraphs[subgraph].tensors[tensor]
        return self._stored(stored).view(np.float32) if self._type_names[stored.type] == "FLOAT32" else None

    @functools.cached_property
    def unpacked(self) -> dict[tuple[int, int], int]:
        """For (subgraph, tensor) that only unpacks a constant (float16 kernels come so): the constant."""
        return {
            (operator.subgraph, operator.outputs[0]): operator.inputs[0]
            for operator in self.operators
            if operator.name in UNPACKING and operator.outputs and operator.inputs
            if self.is_constant(operator.subgraph, operator.inputs[0])
        }

    def kernels(self, operator: StoredOperator) -> list[StoredKernel]:
        """The constant second input of an operator, as a list of one; empty where it is no constant."""
        graph = operator.subgraph
        used = operator.inputs[1] if len(operator.inputs) > 1 else ABSENT
        stored = self.unpacked.get((graph, used), used)
        if not self.is_constant(graph, stored):
            return []
        tensor = self.model.subgraphs[graph].tensors[stored]
        elements = math.prod(self.shape(graph, stored))
        return [StoredKernel(name=tensor_name(tensor), dtype=self.type_name(tensor.type), elements=elements)]

    def has_open_axes(self, subgraph: int, tensor: int) -> bool:
        """Whether an axis beside the batch is open, so that the stored shape says nothing of the samples."""
        signature = self.model.subgraphs[subgraph].tensors[tensor].shapeSignature
        return signature is not None and any(int(n) < 0 for n in signature[1:])


def tensor_name(tensor: Any) -> str:
    """Name of a tensor (or of a signature's part) of the schema, "" where it has none."""
    return tensor.name.decode("utf-8", "replace") if isinstance(tensor.name, bytes) else str(tensor.name or "")


def _listed(items: Any) -> Any:
    """A list of the schema, which is None where the file leaves it out."""
    return () if items is None else items


_NUMPY_TYPES = {
    "FLOAT32": np.float32,
    "FLOAT16": np.float16,
    "FLOAT64": np.float64,
    "INT8": np.int8,
    "UINT8": np.uint8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "INT4": np.int8,
    "INT2": np.int8,
}


def _unpack(data: npt.NDArray[np.uint8], dtype: str, shape: list[int]) -> Array:
    if dtype in ("INT4", "INT2"):
        bits = 4 if dtype == "INT4" else 2
        parts = np.stack([(data >> shift) & ((1 << bits) - 1) for shift in range(0, 8, bits)], axis=1).reshape(-1)
        signed = parts.astype(np.int8)
        signed[signed >= 1 << (bits - 1)] -= 1 << bits
        return signed[: int(np.prod(shape, dtype=np.int64))].reshape(shape)
    return np.frombuffer(data.tobytes(), dtype=_NUMPY_TYPES[dtype]).reshape(shape)


def _dequantize(raw: Array, quantization: Any) -> npt.NDArray[np.float32]:
    if quantization is None or quantization.scale is None or len(quantization.scale) == 0:
        return raw.astype(np.float32)
    scale = np.asarray(quantization.scale, dtype=np.float32)
    zero_point = np.asarray(quantization.zeroPoint if quantization.zeroPoint is not None else [0], dtype=np.float32)
    if len(scale) > 1:
        along = [1] * raw.ndim
        along[quantization.quantizedDimension] = len(scale)
        scale, zero_point = scale.reshape(along), (zero_point.reshape(along) if len(zero_point) > 1 else zero_point)
    values: npt.NDArray[np.float32] = (raw.astype(np.float32) - zero_point) * scale
    return values
