"""The model as it goes from step to step: something to convert, later also the bytes of a .tflite, and what earlier steps promised."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optimizer.promises import Promise, SharedValues
from optimizer.technique import Stage

if TYPE_CHECKING:
    from optimizer.conversion import LoadedSavedModel


@dataclass(frozen=True, kw_only=True, eq=False)
class Model:
    """A model between two steps of a recipe. Techniques return a new one; they never change the one they got.

    Args:
        keras: The latest tf_keras.Model; it stays when a conversion adds `litert`. None where the person brought another format.
        saved_model: What was brought as a SavedModel: it can be converted, but not trained.
        litert: The bytes of the .tflite, None before a conversion; where a .tflite was brought, the only part there is.
        promises: What earlier techniques hold to be true of it.
        trial: The .tflite that a conversion would give of exactly this `keras`, where a step has made it already; any change drops it.
        quantization_aware: Whether `keras` carries fake-quantization nodes, so that only a conversion to int8 can follow.
    """

    keras: Any = None
    saved_model: LoadedSavedModel | None = None
    litert: bytes | None = None
    promises: tuple[Promise, ...] = ()
    trial: bytes | None = None
    quantization_aware: bool = False

    @property
    def stage(self) -> Stage:
        """LITERT once a conversion has made the .tflite."""
        return Stage.KERAS if self.litert is None else Stage.LITERT

    @property
    def convertible(self) -> Any:
        """What `optimizer.conversion.convert` takes. Raises ValueError for a model that was brought as .tflite."""
        found = self.keras if self.keras is not None else self.saved_model
        if found is None:
            raise ValueError("The model was brought as .tflite: there is nothing to convert.")
        return found

    @property
    def content(self) -> bytes:
        """The bytes of the .tflite. Raises ValueError before a conversion."""
        if self.litert is None:
            raise ValueError("The model has not been converted to .tflite yet.")
        return self.litert

    @property
    def shares_values(self) -> bool:
        """Whether kernels hold few different values, which one scale a channel would tear apart."""
        return any(isinstance(promise, SharedValues) for promise in self.promises)

    def changed(self, *, promises: tuple[Promise, ...] = (), **changes: Any) -> Model:
        """A copy with other parts, and with `promises` added to those it has; a new promise replaces one about the same thing."""
        renewed = {promise.subject for promise in promises}
        kept = tuple(promise for promise in self.promises if promise.subject not in renewed)
        return dataclasses.replace(self, **{"trial": None, **changes, "promises": kept + promises})


def copy_of(keras_model: Any) -> Any:
    """A functional tf_keras.Model with its own variables and the same weights.

    Raises:
        RunError: NOT_COPYABLE for a model that cannot be rebuilt.
    """
    from optimizer.surgery.flattening import flattened

    return flattened(keras_model)
