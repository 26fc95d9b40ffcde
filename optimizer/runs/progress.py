"""How far a running run is, from what it says about its stages."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from optimizer.context import Event
from optimizer.runs.run import Progress

# The pipeline frames the steps of a recipe by two short stages (read, baseline) before and two (convert, measure) after.
FRAME_STAGES = 2
STEP_WEIGHT = 6.0
FRAME_WEIGHT = 1.0
MAX_LEFT_S = 1e9


class ProgressEstimate:
    """Adds up the stages of one run. Steps of a recipe count six times as much as reading, converting or measuring."""

    def __init__(self, clock: float | None = None) -> None:
        self._started = time.monotonic() if clock is None else clock
        self._stage_started = self._started
        self._name = ""
        self._index = 0
        self._count = 0
        self._fraction = 0.0
        self._stage_seconds_left: float | None = None
        self._stage_told_at = self._started

    @property
    def stage(self) -> str:
        """Name of the current stage; empty before the first."""
        return self._name

    def hear(self, event: Event, now: float | None = None) -> None:
        """Take in a "stage" or "progress" event; others change nothing."""
        now = time.monotonic() if now is None else now
        if event.kind == "stage":
            self._name = str(event.data.get("name") or "")
            self._count = int(min(max(_number(event.data, "count", 0), 0), 1000))
            self._index = int(min(max(_number(event.data, "index", 0), 0), max(self._count - 1, 0)))
            self._fraction, self._stage_seconds_left, self._stage_started = 0.0, None, now
        elif event.kind == "progress":
            self._fraction = min(max(_number(event.data, "fraction", self._fraction), 0.0), 1.0)
            left = event.data.get("seconds_left")
            self._stage_seconds_left = None if left is None else max(_number(event.data, "seconds_left", 0.0), 0.0)
            self._stage_told_at = now

    def now(self, now: float | None = None) -> Progress:
        """The progress at this moment."""
        now = time.monotonic() if now is None else now
        weights = [self._weight(index) for index in range(self._count)]
        total = sum(weights) or 1.0
        done = sum(weights[: self._index]) + (weights[self._index] * self._fraction if weights else 0.0)
        left = self._seconds_left(now, weights, done)
        return Progress(
            stage=self._name,
            stage_index=self._index,
            stage_count=self._count,
            fraction=min(done / total, 1.0),
            # A worker may say any number, also one that adds up to infinity, which could not be stored.
            seconds_left=left if left is not None and left < MAX_LEFT_S else None,
        )

    def _weight(self, index: int) -> float:
        is_step = FRAME_STAGES <= index < self._count - FRAME_STAGES
        return STEP_WEIGHT if is_step else FRAME_WEIGHT

    def _seconds_left(self, now: float, weights: list[float], done: float) -> float | None:
        """Seconds for the rest at the pace of what is done; the current stage's own word counts more, where it gave one."""
        if not weights or done <= 0.0:
            return None
        after = sum(weights[self._index + 1 :])
        if self._stage_seconds_left is not None and self._fraction > 0.0:
            stage_total = (self._stage_told_at - self._stage_started) + self._stage_seconds_left
            left = max(self._stage_seconds_left - (now - self._stage_told_at), 0.0)
            pace = stage_total / weights[self._index]
            return left + pace * after
        pace = (now - self._started) / done
        return pace * (sum(weights) - done)


def _number(data: Mapping[str, Any], name: str, default: float) -> float:
    value = data.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return default
    return float(value)
