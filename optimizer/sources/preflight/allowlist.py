"""What an architecture may be made of. The lists themselves are data: allowlist.json, beside this file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def _flat(groups: Mapping[str, Iterable[str]]) -> frozenset[str]:
    return frozenset(name for names in groups.values() for name in names)


_DATA: Mapping[str, Any] = json.loads(Path(__file__).with_name("allowlist.json").read_text(encoding="utf-8"))

MODULES: frozenset[str] = frozenset(_DATA["modules"])
"""First parts of the module names that a config may name."""

LAYERS: frozenset[str] = _flat(_DATA["layers"])
"""Layer classes, without those that carry code or read files."""

MODELS: frozenset[str] = frozenset(_DATA["models"])
"""Classes of models with a readable architecture."""

CLASSES: frozenset[str] = LAYERS | MODELS | _flat(_DATA["parts"])
"""Every class name that may stand in a config."""

ACTIVATIONS: frozenset[str] = frozenset(_DATA["activations"])
"""Functions that a config may name."""

OPERATORS: frozenset[str] = _flat(_DATA["operators"])
"""TensorFlow functions that a TFOpLambda may call: arithmetic on tensors, nothing that reads, writes or runs code."""

REFUSED: Mapping[str, str] = {**_DATA["refused"], **_DATA["refused_operators"]}
"""Classes of Keras's own that are dangerous, with the reason as it stands in the sentence."""

REFUSED_OPERATORS: frozenset[str] = frozenset(_DATA["refused_operators"])
"""Those of REFUSED that stand for an op."""

WRAPPED: Mapping[str, str] = _DATA["wrapped"]
"""Training wrappers of TFMOT, with what the person can do."""
