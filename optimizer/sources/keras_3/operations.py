"""Operations of Keras 3 (keras.ops calls that became nodes)."""

from optimizer.sources.keras_3.parts import OPERATIONS

__all__ = ["OPERATIONS"]
