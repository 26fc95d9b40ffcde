"""What is known about a model file before TensorFlow has seen it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from optimizer.sources.activations import activation_name, last_activation

Shape = tuple[int | None, ...]
"""A tensor's shape with the batch axis first; None where an axis is open."""


class Verdict(StrEnum):
    """What a technique can do with one layer."""

    WORKS = "works"
    LEFT = "left as it is"
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One technique's verdict on one layer, with the reason and what mends it (empty where nothing needs mending)."""

    layer: str
    verdict: Verdict
    reason: str = ""
    fix: str = ""

    def to_json(self) -> dict[str, str]:
        """Plain strings."""
        return {"layer": self.layer, "verdict": self.verdict.value, "reason": self.reason, "fix": self.fix}


OPERATOR_KINDS = {
    "CONV_2D": "Conv2D",
    "Conv2D": "Conv2D",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2D",
    "DepthwiseConv2dNative": "DepthwiseConv2D",
    "TRANSPOSE_CONV": "Conv2DTranspose",
    "Conv2DBackpropInput": "Conv2DTranspose",
    "FULLY_CONNECTED": "Dense",
    "MatMul": "Dense",
    "BatchMatMulV2": "Dense",
    "EMBEDDING_LOOKUP": "Embedding",
    "ResourceGather": "Embedding",
    "FusedBatchNormV3": "BatchNormalization",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "LSTM",
}
"""The Keras class that each operator (of LiteRT, in capitals, and of TensorFlow) stands for."""
ROUNDED = "FakeQuant"
"""What the names of TensorFlow's ops begin with that round weights in a model trained to be quantized."""
WHOLE_MODEL = "the whole model"
"""What stands for a layer's name in a finding that holds for all layers."""


@dataclass(frozen=True, kw_only=True)
class Quantization:
    """How an integer tensor stands for real values: value = scale * (integer - zero_point)."""

    scale: float
    zero_point: int

    def to_json(self) -> dict[str, float]:
        """Plain numbers."""
        return {"scale": self.scale, "zero_point": self.zero_point}


@dataclass(frozen=True, kw_only=True)
class LayerSummary:
    """One layer as its config and its stored weights describe it.

    `class_name` is the Keras class ("Conv2D"); `weight_shapes` maps the weight's own name ("kernel", "bias", "gamma")
    to its shape; `inbound` are names of the layers that feed it; `macs` are multiply-accumulates for one sample, None where
    the shapes could not be worked out; `calls` says at how many places of the model the layer is used, and `reads` how many tensors it
    is given at the one with the most.
    """

    name: str
    class_name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    weight_shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    inbound: tuple[str, ...] = ()
    output_shape: Shape | None = None
    parameters: int = 0
    macs: int | None = 0
    calls: int = 1
    reads: int = 1

    @property
    def has_kernel(self) -> bool:
        """Whether the layer holds a weight of two or more axes, biases of attention heads and GRUs left out."""
        return bool(self._kernel_sizes())

    @property
    def has_one_weight(self) -> bool:
        """Whether its kernels hold one number each: a learned scale."""
        return set(self._kernel_sizes()) == {1}

    def _kernel_sizes(self) -> list[int]:
        kernels = ((name, shape) for name, shape in self.weight_shapes.items() if len(shape) > 1)
        return [math.prod(shape) for name, shape in kernels if not name.removesuffix(":0").endswith("bias")]

    @property
    def kind(self) -> str:
        """The Keras class that does what this layer does; of an operator of a .tflite or SavedModel, the nearest one."""
        return OPERATOR_KINDS.get(self.class_name, self.class_name)

    @property
    def activation(self) -> str:
        """Name of the layer's own activation, "linear" where it has none; the class ("LeakyReLU") of one that is a layer and no function."""
        return activation_name(self.config)


def batched(shape: Shape) -> Shape:
    """A shape with a batch axis first: a lone axis of several elements is one sample."""
    return shape if len(shape) > 1 or shape in ((1,), (None,)) else (1, *shape)


def common_folder(names: Iterable[str]) -> str:
    """The first part with its slash ("sequential/") that all names with a slash share; "" for none. It tells them apart from nothing."""
    folders = {name.partition("/")[0] for name in names if "/" in name}
    return f"{folders.pop()}/" if len(folders) == 1 else ""


@dataclass(frozen=True, kw_only=True)
class ModelSummary:
    """A model file read without TensorFlow.

    `format` is "keras" (tf-keras .keras), "h5", "saved_model" or "tflite"; shapes have the batch axis first; `training_config` is what
    the file says about loss and metrics, empty where it was saved without. `input_quantization` has an entry for each input of a
    .tflite, None where it takes values as they are. `keras_version` is the Keras 3 that wrote the file ("3.15.1"), empty otherwise; layers
    are then those of the translation into tf-keras. `input_names` and `output_names` are what a caller of the model says; `output_layers`
    are the layers that make the outputs.
    """

    name: str
    sha256: str
    format: str
    size_bytes: int
    class_name: str
    layers: tuple[LayerSummary, ...]
    input_shapes: tuple[Shape, ...]
    output_shapes: tuple[Shape | None, ...]
    output_layers: tuple[str, ...]
    input_dtypes: tuple[str, ...] = ("float32",)
    input_names: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()
    input_quantization: tuple[Quantization | None, ...] = ()
    training_config: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    keras_version: str = ""

    @property
    def is_keras(self) -> bool:
        """Whether the file holds a Keras model, which can be trained further."""
        return self.format not in ("saved_model", "tflite")

    @property
    def names_of_several_inputs(self) -> tuple[str, ...]:
        """What several inputs are called, as arrays of data name them (x_train_<input>); empty for a model of one input."""
        return self.input_names if len(self.input_shapes) > 1 else ()

    @property
    def names_of_outputs(self) -> tuple[str, ...]:
        """What the outputs are called towards a person: by the file's signature, or by the layers that make them."""
        return self.output_names or self.output_layers

    @property
    def parameters(self) -> int:
        """Number of stored weights, trainable or not."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates for one sample; None where a layer's shape could not be worked out."""
        total = 0
        for layer in self.layers:
            if layer.macs is None:
                return None
            total += layer.macs
        return total

    def layer(self, name: str) -> LayerSummary:
        """The layer of that name. Raises KeyError."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)

    @property
    def output_activation(self) -> str:
        """Activation that the first output ends in: "softmax", "sigmoid", "linear", ..."""
        return self.activation_of(self.output_layers[0])

    def activation_of(self, name: str) -> str:
        """Activation that the layer of that name ends in, also by way of layers before it; "linear" where it has none."""
        return last_activation({layer.name: layer for layer in self.layers}, name)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON for pages, `inspect --json` and the store. Reads back with `model_summary_from_json`."""
        return {
            "name": self.name,
            "sha256": self.sha256,
            "format": self.format,
            "keras_version": self.keras_version,
            "size_bytes": self.size_bytes,
            "class_name": self.class_name,
            "parameters": self.parameters,
            "macs": self.macs,
            "input_shapes": [list(shape) for shape in self.input_shapes],
            "output_shapes": [None if shape is None else list(shape) for shape in self.output_shapes],
            "output_layers": list(self.output_layers),
            "input_dtypes": list(self.input_dtypes),
            "input_names": list(self.input_names),
            "output_names": list(self.output_names),
            "input_quantization": [None if found is None else found.to_json() for found in self.input_quantization],
            "output_activation": self.output_activation,
            "training_config": dict(self.training_config),
            "notes": list(self.notes),
            "layers": [
                {
                    "name": layer.name,
                    "class_name": layer.class_name,
                    "config": dict(layer.config),
                    "weight_shapes": {k: list(v) for k, v in layer.weight_shapes.items()},
                    "inbound": list(layer.inbound),
                    "output_shape": None if layer.output_shape is None else list(layer.output_shape),
                    "parameters": layer.parameters,
                    "macs": layer.macs,
                    "calls": layer.calls,
                    "reads": layer.reads,
                }
                for layer in self.layers
            ],
        }


def model_summary_from_json(record: Mapping[str, Any]) -> ModelSummary:
    """Rebuild a summary from `ModelSummary.to_json`."""
    return ModelSummary(
        name=record["name"],
        sha256=record["sha256"],
        format=record["format"],
        size_bytes=record["size_bytes"],
        class_name=record["class_name"],
        input_shapes=tuple(tuple(shape) for shape in record["input_shapes"]),
        output_shapes=tuple(None if shape is None else tuple(shape) for shape in record["output_shapes"]),
        output_layers=tuple(record["output_layers"]),
        input_dtypes=tuple(record["input_dtypes"]),
        input_names=tuple(record.get("input_names", ())),
        output_names=tuple(record.get("output_names", ())),
        input_quantization=tuple(
            None if found is None else Quantization(**found) for found in record.get("input_quantization", [])
        ),
        training_config=record["training_config"],
        notes=tuple(record["notes"]),
        keras_version=record.get("keras_version", ""),
        layers=tuple(
            LayerSummary(
                name=layer["name"],
                class_name=layer["class_name"],
                config=layer["config"],
                weight_shapes={k: tuple(v) for k, v in layer["weight_shapes"].items()},
                inbound=tuple(layer["inbound"]),
                output_shape=None if layer["output_shape"] is None else tuple(layer["output_shape"]),
                parameters=layer["parameters"],
                macs=layer["macs"],
                calls=layer.get("calls", 1),
                # Summaries that were stored before this was counted: a layer feeds each call once.
                reads=layer.get("reads", max(1, len(layer["inbound"]) - layer.get("calls", 1) + 1)),
            )
            for layer in record["layers"]
        ),
    )
