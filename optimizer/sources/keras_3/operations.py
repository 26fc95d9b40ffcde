"""Operations of Keras 3 (keras.ops calls that became nodes), one family a file."""

from optimizer.sources.keras_3 import elementwise, images, joining, neural, normalizing, products, reductions, reshaping, slicing  # noqa: F401
from optimizer.sources.keras_3.parts import OPERATIONS

__all__ = ["OPERATIONS"]
