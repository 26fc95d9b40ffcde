"""Readers of data sets: one file format each, all ending in the same Dataset."""

from optimizer.sources.readers.reading import read_dataset

__all__ = ["read_dataset"]
