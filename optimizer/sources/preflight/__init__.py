"""The preflight of model files: everything that can be known and refused before TensorFlow sees a file."""

from optimizer.sources.preflight.reading import read_model_summary

__all__ = ["read_model_summary"]
