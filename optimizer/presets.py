"""The ready-made recipes: Safe, Balanced, Tiny."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from optimizer.recipe import Recipe, recipe_from_json

FOLDER = Path(__file__).parents[1] / "assets" / "presets"
NAMES = ("safe", "balanced", "tiny")
ENOUGH_STEPS = 500
"""A training step of a preset takes at least this many optimizer steps: two epochs of a thousand samples would be thirty."""
MOST_EPOCHS = 40
DEFAULT_BATCH = 64


def presets(train_samples: int | None = None) -> dict[str, Recipe]:
    """The recipes that are offered ready-made, by display name; with epochs to suit a training split of `train_samples`."""
    found = {}
    for name in NAMES:
        record = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        steps = [_long_enough(step, train_samples) for step in record["steps"]]
        found[str(record["name"])] = recipe_from_json({**record, "steps": steps})
    return found


def _long_enough(step: dict[str, Any], train_samples: int | None) -> dict[str, Any]:
    if train_samples is None or "epochs" not in step:
        return step
    steps_an_epoch = max(1, math.ceil(train_samples / DEFAULT_BATCH))
    wanted = min(MOST_EPOCHS, math.ceil(ENOUGH_STEPS / steps_an_epoch))
    return {**step, "epochs": max(step["epochs"], wanted)}
