"""How Keras turns names of classes into names in files."""

from __future__ import annotations

import re


def snake_case(name: str) -> str:
    """A class name as Keras writes it in paths: "Conv2D" -> "conv2d", "TimeDistributed" -> "time_distributed"."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
