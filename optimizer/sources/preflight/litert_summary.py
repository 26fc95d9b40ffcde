"""A .tflite as pages and techniques read it: its operators as layers, with what they store. Nothing is executed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optimizer.errors import InputError
from optimizer.litert_file import LiteRTFile, StoredOperator, tensor_name
from optimizer.measure.operations import operator_macs
from optimizer.sources.summary import LayerSummary, ModelSummary, Quantization, Shape, batched, common_folder

WEIGHT_NAMES: Mapping[str, Mapping[int, str]] = {
    "CONV_2D": {1: "kernel", 2: "bias"},
    "DEPTHWISE_CONV_2D": {1: "kernel", 2: "bias"},
    "CONV_3D": {1: "kernel", 2: "bias"},
    "FULLY_CONNECTED": {1: "kernel", 2: "bias"},
    "TRANSPOSE_CONV": {1: "kernel", 3: "bias"},
    "EMBEDDING_LOOKUP": {1: "table"},
    "GATHER": {0: "table"},
}
WEIGHT_TYPES = frozenset({"FLOAT32", "FLOAT16", "INT8", "UINT8", "INT4", "INT2"})
BIAS_TYPES = frozenset({"INT32", "INT64"})
"""Biases of integer kernels; elsewhere such constants are shapes and axes."""
PASSING_ON = frozenset({"DEQUANTIZE", "QUANTIZE", "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "CAST", "TRANSPOSE"})
"""Operators that keep what an activation function has made of the values."""
ENDINGS = {"SOFTMAX": "softmax", "LOGISTIC": "sigmoid", "LOG_SOFTMAX": "log_softmax", "TANH": "tanh", "RELU": "relu"}
FUSED = {1: "relu", 2: "relu_n1_to_1", 3: "relu6", 4: "tanh", 5: "sign_bit"}
"""Activation functions that an operator applies itself, by their number in the schema."""
FLOAT = frozenset({"FLOAT32", "FLOAT64"})


def summarize_tflite(path: Path, *, name: str, sha256: str) -> ModelSummary:
    """The summary of a .tflite that `check_tflite` has passed.

    Layers are the inputs of the main graph and the operators of all graphs, in the order of execution. MACs and shapes are those of
    one invocation; an axis that the file leaves open is None, and the batch axis comes first also where the file has none.

    Raises:
        InputError: UNSUPPORTED_MODEL for a file without inputs or outputs.
    """
    return _Reader(LiteRTFile(path.read_bytes())).summary(name, sha256, path.stat().st_size)


class _Reader:
    def __init__(self, file: LiteRTFile) -> None:
        self._file = file
        self._names: set[str] = set()
        made = [operator.outputs[0] for operator in file.operators if operator.subgraph == 0 and operator.outputs]
        self._folder = common_folder(self._given_name(0, tensor) for tensor in made)
        self._makers: dict[tuple[int, int], LayerSummary] = {}
        self._counted: set[int] = set()
        self._layers: list[LayerSummary] = []

    def summary(self, name: str, sha256: str, size_bytes: int) -> ModelSummary:
        inputs, outputs = self._file.inputs, self._file.outputs
        if not inputs or not outputs:
            raise InputError(
                "The .tflite takes or gives nothing", code="UNSUPPORTED_MODEL", place=name, expected="an input and an output"
            )
        for tensor in inputs:
            self._add(
                LayerSummary(name=self._name(0, tensor, "input"), class_name="InputLayer", **self._output(0, tensor)), 0, [tensor]
            )
        for operator in self._file.operators:
            self._read_operator(operator)
        for tensor in outputs:
            if (0, tensor) not in self._makers:
                self._add(
                    LayerSummary(name=self._name(0, tensor, "output"), class_name="CONSTANT", **self._output(0, tensor)),
                    0,
                    [tensor],
                )
        return ModelSummary(
            name=name,
            sha256=sha256,
            format="tflite",
            size_bytes=size_bytes,
            class_name="LiteRT",
            layers=tuple(self._layers),
            input_shapes=tuple(self._shape(0, tensor) for tensor in inputs),
            output_shapes=tuple(self._shape(0, tensor) for tensor in outputs),
            output_layers=tuple(self._makers[0, tensor].name for tensor in outputs),
            input_dtypes=tuple(self._type(0, tensor).lower() for tensor in inputs),
            input_names=self._file.input_names,
            output_names=self._file.output_names,
            input_quantization=tuple(self._quantization(0, tensor) for tensor in inputs),
            notes=tuple(self._notes()),
        )

    def _read_operator(self, operator: StoredOperator) -> None:
        graph = operator.subgraph
        if any((graph, tensor) in self._file.unpacked for tensor in operator.outputs):
            # It only unpacks a constant: its user is shown with that instead.
            return
        first = operator.outputs[0] if operator.outputs else -1
        weights = self._weights(operator)
        stored = {key: self._type(graph, tensor) for key, tensor in weights.items()}
        config: dict[str, Any] = {"stored": stored} if stored else {}
        if graph:
            config["subgraph"] = graph
        activation = self._activation(operator)
        if activation:
            config["activation"] = activation
        makers = [self._makers[graph, tensor].name for tensor in operator.inputs if (graph, tensor) in self._makers]
        layer = LayerSummary(
            name=self._name(graph, first, operator.name.lower()),
            class_name=operator.name,
            config=config,
            weight_shapes={key: self._file.shape(graph, tensor) for key, tensor in weights.items()},
            inbound=tuple(dict.fromkeys(makers)),
            parameters=sum(self._count(graph, tensor) for tensor in weights.values()),
            macs=operator_macs(self._file, operator),
            output_shape=self._shape(graph, first) if first >= 0 else None,
        )
        self._add(layer, graph, operator.outputs)

    def _add(self, layer: LayerSummary, graph: int, tensors: Any) -> None:
        self._layers.append(layer)
        for tensor in tensors:
            self._makers[graph, int(tensor)] = layer

    def _weights(self, operator: StoredOperator) -> dict[str, int]:
        """Constants that an operator multiplies, adds or looks up, by name."""
        known = WEIGHT_NAMES.get(operator.name, {})
        found: dict[str, int] = {}
        for position, tensor in enumerate(operator.inputs):
            stored = self._file.unpacked.get((operator.subgraph, tensor), tensor)
            if not self._file.is_constant(operator.subgraph, stored):
                continue
            kind = self._type(operator.subgraph, stored)
            several = self._size(operator.subgraph, stored) > 1
            if (kind in WEIGHT_TYPES and several) or (kind in BIAS_TYPES and known.get(position) == "bias"):
                found[known.get(position, f"input_{position}")] = stored
        return found

    def _activation(self, operator: StoredOperator) -> str:
        """What the operator's output has been through last; "" for nothing."""
        if operator.name in ENDINGS:
            return ENDINGS[operator.name]
        fused = FUSED.get(int(getattr(operator.options, "fusedActivationFunction", 0) or 0), "")
        if fused or operator.name not in PASSING_ON or not operator.inputs:
            return fused
        maker = self._makers.get((operator.subgraph, operator.inputs[0]))
        return "" if maker is None else str(maker.config.get("activation", ""))

    def _output(self, graph: int, tensor: int) -> dict[str, Any]:
        quantization = self._quantization(graph, tensor)
        config: dict[str, Any] = {"dtype": self._type(graph, tensor).lower()}
        if quantization is not None:
            config |= {"scale": quantization.scale, "zero_point": quantization.zero_point}
        return {"config": config, "output_shape": self._shape(graph, tensor)}

    def _name(self, graph: int, tensor: int, kind: str) -> str:
        """The tensor's name, shortened to what converters put first, and numbered where it is there already."""
        given = self._given_name(graph, tensor).removeprefix(self._folder) if tensor >= 0 else ""
        wanted = (f"subgraph {graph}/" if graph else "") + (given or f"{kind}_{len(self._layers)}")
        found, number = wanted, 2
        while found in self._names:
            found, number = f"{wanted} ({number})", number + 1
        self._names.add(found)
        return found

    def _given_name(self, graph: int, tensor: int) -> str:
        return tensor_name(self._tensor(graph, tensor)).split(";")[0]

    def _tensor(self, graph: int, tensor: int) -> Any:
        return self._file.model.subgraphs[graph].tensors[tensor]

    def _type(self, graph: int, tensor: int) -> str:
        return self._file.type_name(self._tensor(graph, tensor).type)

    def _size(self, graph: int, tensor: int) -> int:
        size = 1
        for length in self._file.shape(graph, tensor):
            size *= length
        return size

    def _count(self, graph: int, tensor: int) -> int:
        """Elements of a constant, counted once for all its users."""
        buffer = int(self._tensor(graph, tensor).buffer)
        if buffer in self._counted:
            return 0
        self._counted.add(buffer)
        return self._size(graph, tensor)

    def _shape(self, graph: int, tensor: int) -> Shape:
        """The shape with open axes as None and the batch axis first."""
        shape = self._file.shape(graph, tensor)
        signature = self._tensor(graph, tensor).shapeSignature
        if signature is not None and len(signature) == len(shape):
            return batched(tuple(None if n < 0 else int(n) for n in signature))
        return batched(shape)

    def _quantization(self, graph: int, tensor: int) -> Quantization | None:
        found = self._tensor(graph, tensor).quantization
        if found is None or found.scale is None or len(found.scale) != 1 or self._type(graph, tensor) in FLOAT:
            return None
        if not math.isfinite(found.scale[0]) or found.scale[0] <= 0:
            return None
        zero_point = 0 if found.zeroPoint is None or len(found.zeroPoint) == 0 else int(found.zeroPoint[0])
        return Quantization(scale=float(found.scale[0]), zero_point=zero_point)

    def _notes(self) -> list[str]:
        notes = []
        kernels = [kind for layer in self._layers for key, kind in layer.config.get("stored", {}).items() if key == "kernel"]
        reduced = sorted({kind for kind in kernels if kind not in FLOAT})
        if reduced:
            count = sum(kind in reduced for kind in kernels)
            notes.append(f"Already quantized: {count} of {len(kernels)} kernels are stored as {' and '.join(reduced)}.")
        inputs = [self._shape(0, tensor) for tensor in self._file.inputs]
        if len(inputs) > 1 and any(None in shape[1:] for shape in inputs):
            notes.append(
                "It leaves the size of one of its inputs open, so it cannot be measured: convert it again with fixed shapes."
            )
        signatures = len(self._file.model.signatureDefs or [])
        if signatures > 1:
            notes.append(f"The file has {signatures} signatures; its first graph is measured.")
        batches = {shape[0] for tensor in self._file.inputs if (shape := self._shape(0, tensor))[0] not in (None, 1)}
        if batches:
            notes.append(
                f"It takes {max(n or 1 for n in batches)} samples at a time: latency and MACs are those of one such call."
            )
        return notes
