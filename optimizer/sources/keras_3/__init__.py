"""Models that Keras 3 wrote, translated into what tf-keras (Keras 2) would have written. JSON in, JSON out: nothing of the file is run."""

from optimizer.sources.keras_3.translation import Origin, Translation, translate

__all__ = ["Origin", "Translation", "translate"]
