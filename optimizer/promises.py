"""What techniques promise of the models they return: zeros, shared values, stored types, the interface (the base is in promise.py).

The pipeline checks every promise again after each later step. Later trainings also hold what can be held: a promise gives a
projection that puts the weights back after every training step (projected gradient descent), so zeros stay zero and shared values stay
shared whatever technique trains.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from optimizer.kernel_location import locate
from optimizer.kernels import kernel_variables
from optimizer.litert_file import LiteRTFile
from optimizer.promise import KernelPromise, Projection, Promise, PromiseResult

__all__ = [
    "KernelPromise",
    "Projection",
    "Promise",
    "PromiseResult",
    "SameInterface",
    "SharedValues",
    "Sparsity",
    "StoredKernels",
    "StoredType",
    "given_shape",
    "promise_from_json",
    "promise_to_json",
]


@dataclass(frozen=True, kw_only=True)
class Sparsity(KernelPromise):
    """At least a given fraction of each kernel is zero."""

    kind: ClassVar[str] = "sparsity"

    @property
    def statement(self) -> str:
        """The promise in words."""
        lowest = min(self.kernels.values(), default=0.0)
        return f"{len(self.kernels)} kernels are at least {lowest:.1%} zero"

    def fault_of(self, values: Any, promised: float) -> str:
        """Too few zeros."""
        zeros = 1.0 - np.count_nonzero(values) / max(values.size, 1)
        # Half an element of slack: the promised fraction was counted in whole elements.
        return "" if zeros >= promised - 0.5 / max(values.size, 1) else f"is {zeros:.1%} zero, not {promised:.1%}"

    def projection(self, keras_model: Any) -> Projection | None:
        """Keep at zero what is zero now."""
        variables = kernel_variables(keras_model)
        masked = []
        for key in self.kernels:
            if key in variables:
                variable = variables[key]
                masked.append((variable, _constant(variable.numpy() != 0, variable.dtype)))

        def project() -> None:
            for variable, mask in masked:
                variable.assign(variable * mask)

        return project if masked else None


@dataclass(frozen=True, kw_only=True)
class SharedValues(KernelPromise):
    """At most a given number of different values in each kernel."""

    kind: ClassVar[str] = "shared values"

    @property
    def statement(self) -> str:
        """The promise in words."""
        return f"{len(self.kernels)} kernels hold at most {max(self.kernels.values(), default=0):.0f} different values each"

    def fault_of(self, values: Any, promised: float) -> str:
        """Too many values."""
        distinct = len(np.unique(values))
        return "" if distinct <= promised else f"holds {distinct} values, not {promised:.0f}"

    def fault_of_parts(self, parts: Sequence[Any], promised: float) -> str:
        """Each part counts by itself: an integer file has a scale for each."""
        return next((fault for part in parts if (fault := self.fault_of(part, promised))), "")

    def projection(self, keras_model: Any) -> Projection | None:
        """Move each cluster as one: every weight becomes the mean of its cluster; the cluster at zero stays there."""
        import tensorflow as tf

        variables = kernel_variables(keras_model)
        shared = []
        for key in self.kernels:
            if key in variables:
                variable = variables[key]
                values, cluster = np.unique(variable.numpy(), return_inverse=True)
                counts = np.bincount(cluster.reshape(-1), minlength=len(values)).astype(np.float32)
                keep = _constant((values != 0) / counts, variable.dtype)
                shared.append((variable, tf.constant(cluster.reshape(-1), tf.int32), keep, len(values)))

        def project() -> None:
            for variable, cluster, weight, number in shared:
                sums = tf.math.unsorted_segment_sum(tf.reshape(variable, [-1]), cluster, number)
                variable.assign(tf.reshape(tf.gather(sums * weight, cluster), variable.shape))

        return project if shared else None


@dataclass(frozen=True, kw_only=True)
class StoredType(Promise):
    """The named kernels are stored in one of the given types in the .tflite."""

    kind: ClassVar[str] = "stored type"
    kernels: tuple[str, ...]
    dtypes: tuple[str, ...]

    @property
    def statement(self) -> str:
        """The promise in words."""
        return f"{len(self.kernels)} kernels are stored as {' or '.join(self.dtypes)}"

    def check_litert(self, file: LiteRTFile, keras_model: Any) -> PromiseResult:
        """Find each kernel in the file and compare its type."""
        variables = kernel_variables(keras_model)
        wrong, unlocated = [], []
        for key in self.kernels:
            stored = locate(file, variables[key].numpy()) if key in variables else None
            if stored is None:
                unlocated.append(key)
            elif stored.dtype not in self.dtypes:
                wrong.append(f"{key} is stored as {stored.dtype}")
        if wrong:
            return self.result(False, "; ".join(wrong[:3]))
        if unlocated:
            return self.result(None, f"could not be located in the .tflite: {', '.join(unlocated[:3])}")
        return self.result(True, f"checked on {len(self.kernels)} kernels")


@dataclass(frozen=True, kw_only=True)
class StoredKernels(Promise):
    """All kernels of the named operators are stored in one of the given types: for models that came without Keras layers."""

    kind: ClassVar[str] = "stored kernels"
    operators: tuple[str, ...]
    dtypes: tuple[str, ...]
    fewest_weights: int = 0

    @property
    def subject(self) -> str:
        """The same as that of StoredType."""
        return StoredType.kind

    @property
    def statement(self) -> str:
        """The promise in words."""
        size = f" of {self.fewest_weights:,} weights and more" if self.fewest_weights else ""
        return f"the kernels{size} of {', '.join(self.operators)} are stored as {' or '.join(self.dtypes)}"

    def check_litert(self, file: LiteRTFile, keras_model: Any) -> PromiseResult:
        """Look up what each operator of the main graph multiplies with; converters leave branches and loops as they are."""
        del keras_model
        main = [operator for operator in file.operators if operator.subgraph == 0 and operator.name in self.operators]
        kernels = [kernel for operator in main for kernel in file.kernels(operator)]
        wanted = [kernel for kernel in kernels if kernel.elements >= self.fewest_weights]
        wrong = [f"{kernel.name} is stored as {kernel.dtype}" for kernel in wanted if kernel.dtype not in self.dtypes]
        if wrong:
            return self.result(False, "; ".join(wrong[:3]))
        return self.result(True if wanted else None, f"checked on {len(wanted)} kernels")


@dataclass(frozen=True, kw_only=True)
class SameInterface(Promise):
    """The model takes and gives what the original takes and gives (batch axis left out)."""

    kind: ClassVar[str] = "interface"
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]

    @property
    def statement(self) -> str:
        """The promise in words."""
        return f"takes inputs of shape {self.input_shape} and gives outputs of shape {self.output_shape}"

    def check_keras(self, keras_model: Any) -> PromiseResult:
        """Compare the model's shapes."""
        found = given_shape(keras_model.inputs), given_shape(keras_model.outputs)
        wanted = self.input_shape, self.output_shape
        same = all(_fits(shape, fixed) for shape, fixed in zip(found, wanted, strict=True))
        return self.result(same, f"takes {found[0]}, gives {found[1]}")

    def check_litert(self, file: LiteRTFile, keras_model: Any) -> PromiseResult:
        """Compare the file's shapes by their number of elements: converters may drop axes of one element. Open axes take any length."""
        del keras_model
        main = file.model.subgraphs[0]
        found, same = [], True
        for tensors, shape in ((main.inputs, self.input_shape), (main.outputs, self.output_shape)):
            numbers, wanted = sum(math.prod(file.shape(0, tensor)[1:]) for tensor in tensors), math.prod(shape)
            is_open = any(file.has_open_axes(0, tensor) for tensor in tensors)
            same = same and (wanted % numbers == 0 if is_open and len(tensors) == 1 else is_open or numbers == wanted)
            found.append(f"{numbers}{' or a multiple' if is_open else ''}")
        return self.result(same, f"takes {found[0]} numbers, gives {found[1]}")


def _fits(shape: tuple[int | None, ...], wanted: tuple[int, ...]) -> bool:
    """Whether a shape is the wanted one; open axes take any length."""
    return len(shape) == len(wanted) and all(a is None or a == b for a, b in zip(shape, wanted, strict=True))


def given_shape(tensors: Sequence[Any]) -> tuple[Any, ...]:
    """Shape of a model's input or output without the batch axis; of several the number of values that they hold together."""
    shapes = [tuple(tensor.shape[1:]) for tensor in tensors]
    return shapes[0] if len(shapes) == 1 else (sum(math.prod(length or 1 for length in shape) for shape in shapes),)


def _constant(values: Any, dtype: Any) -> Any:
    import tensorflow as tf

    return (
        tf.constant(np.asarray(values), dtype=tf.as_dtype(dtype))
        if np.asarray(values).dtype != np.bool_
        else tf.cast(values, dtype)
    )


_KINDS: dict[str, type[Promise]] = {cls.kind: cls for cls in (Sparsity, SharedValues, StoredType, StoredKernels, SameInterface)}


def promise_to_json(promise: Promise) -> dict[str, Any]:
    """Plain JSON, so that a later run can start from this result and still hold it to its promises."""
    record = {key: dict(value) if isinstance(value, Mapping) else value for key, value in vars(promise).items()}
    return {"kind": promise.kind, **record}


def promise_from_json(record: Mapping[str, Any]) -> Promise:
    """Rebuild a promise. Raises KeyError for a kind that this version does not know."""
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in record.items() if key != "kind"
    }
    return _KINDS[record["kind"]](**values)
