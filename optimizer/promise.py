"""What every promise is: a statement, how it is checked on Keras weights and on a .tflite, and how a later training holds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from optimizer.kernel_location import locate_parts
from optimizer.kernels import kernel_variables
from optimizer.litert_file import LiteRTFile

Projection = Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class PromiseResult:
    """Whether a promise holds: `holds` is None where it could not be checked. `detail` says what was found."""

    statement: str
    technique: str
    holds: bool | None
    detail: str

    def to_json(self) -> dict[str, Any]:
        """Plain JSON for report.json."""
        return {"statement": self.statement, "technique": self.technique, "holds": self.holds, "detail": self.detail}


@dataclass(frozen=True, kw_only=True)
class Promise:
    """Base of every promise. `technique` names who made it; two promises of one `subject` replace each other."""

    kind: ClassVar[str] = ""
    technique: str

    @property
    def subject(self) -> str:
        """What the promise is about."""
        return self.kind

    @property
    def statement(self) -> str:
        """The promise in one plain sentence."""
        raise TypeError(f"{type(self).__name__} does not define statement")

    def check_keras(self, keras_model: Any) -> PromiseResult:
        """Check on the weights of a tf_keras.Model."""
        del keras_model
        return self.result(None, "checked on the .tflite only")

    def check_litert(self, file: LiteRTFile, keras_model: Any) -> PromiseResult:
        """Check on the .tflite that was made from `keras_model`."""
        del file, keras_model
        return self.result(None, "checked on the Keras model only")

    def projection(self, keras_model: Any) -> Projection | None:
        """A function that puts the weights back where the promise wants them, to be run after each training step."""
        del keras_model
        return None

    def result(self, holds: bool | None, detail: str) -> PromiseResult:
        """A PromiseResult of this promise."""
        return PromiseResult(statement=self.statement, technique=self.technique, holds=holds, detail=detail)


@dataclass(frozen=True, kw_only=True)
class KernelPromise(Promise):
    """A promise about single kernels: a subclass says how one array of numbers is judged.

    Args:
        kernels: Keys of `kernel_variables`, each with the number that is promised for it.
    """

    kernels: Mapping[str, float]

    def fault_of(self, values: Any, promised: float) -> str:
        """What is wrong with one kernel's `values`; empty where the promise holds."""
        raise TypeError(f"{type(self).__name__} does not define fault_of()")

    def check_keras(self, keras_model: Any) -> PromiseResult:
        """Check each promised kernel of the model."""
        variables = kernel_variables(keras_model)
        missing = [key for key in self.kernels if key not in variables]
        if missing:
            return self.result(False, f"{missing[0]} is no longer part of the model")
        faults = {key: self.fault_of(variables[key].numpy(), promised) for key, promised in self.kernels.items()}
        return self._verdict(faults, unlocated=[])

    def check_litert(self, file: LiteRTFile, keras_model: Any) -> PromiseResult:
        """Find each promised kernel in the file and check what is stored there."""
        variables = kernel_variables(keras_model)
        faults, unlocated = {}, []
        for key, promised in self.kernels.items():
            stored = locate_parts(file, variables[key].numpy()) if key in variables else ()
            if stored:
                faults[key] = self.fault_of_parts([part.values for part in stored], promised)
            else:
                unlocated.append(key)
        return self._verdict(faults, unlocated)

    def fault_of_parts(self, parts: Sequence[Any], promised: float) -> str:
        """What is wrong with one kernel that is stored in several tensors."""
        return self.fault_of(np.concatenate([part.reshape(-1) for part in parts]), promised)

    def _verdict(self, faults: Mapping[str, str], unlocated: list[str]) -> PromiseResult:
        broken = [f"{key} {fault}" for key, fault in faults.items() if fault]
        if broken:
            return self.result(False, "; ".join(broken[:3]) + (f"; and {len(broken) - 3} more" if len(broken) > 3 else ""))
        if unlocated:
            return self.result(
                None, f"holds for {len(faults)} kernels; could not be located in the .tflite: {', '.join(unlocated[:3])}"
            )
        return self.result(True, f"checked on {len(faults)} kernels")
