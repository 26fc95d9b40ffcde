"""Which TensorFlow ops a SavedModel may hold. The list itself is data: graph_operations.json, beside this file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_DATA: Mapping[str, Any] = json.loads(Path(__file__).with_name("graph_operations.json").read_text(encoding="utf-8"))

OPERATIONS: frozenset[str] = frozenset(name for names in _DATA["operations"].values() for name in names)
"""Ops that compute with tensors and variables: none reads or writes a file, prints, opens a connection or runs Python."""

CHECKPOINT: Mapping[str, str] = {name: kind for kind, names in _DATA["checkpoint"].items() for name in names}
"""Ops that "read" or "write" the file of variables. Each kind is accepted only where restoring, or saving, alone can run it."""
