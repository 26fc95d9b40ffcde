"""Samples and outputs of models that have several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class JoinedSamples:
    """One array (n, ...) for each input of a model, by the input's name; all are indexed together, by sample."""

    arrays: Mapping[str, Array]

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def __getitem__(self, index: Any) -> JoinedSamples:
        return JoinedSamples({name: array[index] for name, array in self.arrays.items()})


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """One of several inputs: its name, its shape without the batch axis, and the dtype that it is handed over in.

    `argument` is what the .tflite's signature calls it.
    """

    name: str
    argument: str
    shape: tuple[int, ...]
    dtype: str


def parts_of(x: Any, name: str) -> dict[str, Array]:
    """Samples as arrays with names for errors: "x", or "x, input left" for each input of several."""
    if isinstance(x, JoinedSamples):
        return {f"{name}, input {part}": array for part, array in x.arrays.items()}
    return {name: x}
