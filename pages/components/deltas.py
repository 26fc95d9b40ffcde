"""Differences from the baseline in words: what a run gained, what it cost, and what is no difference at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from optimizer.measure.direction import FRACTIONS
from pages.components.compared import Row
from pages.components.format import MINUS, ratio_text, significant

P50_WORDS = "p50 is the median: half of the inferences took less time."
PAIRED_WORDS = (
    "“Faster” and “slower” are measured by themselves and need not be the quotient of two p50 values: the file and the original run in turn, "
    "within the same seconds, and the quickest inference of each turn counts, so that whatever else the machine does spoils less."
)
FINE_POINTS = 0.0005
"""An interval of less than this to each side would be written as 0.0 points."""


@dataclass(frozen=True, kw_only=True)
class Delta:
    """A difference from the baseline as text; a tie is grey."""

    text: str
    tie: bool = False


def size_delta(row: Row, *, compressed: bool = False) -> Delta | None:
    """How many times smaller the file is than the baseline's."""
    ratio = row.comparison.get("gzip_ratio" if compressed else "size_ratio")
    if not ratio or row.is_baseline:
        return None
    if abs(ratio - 1) < 0.005:
        return Delta(text="same size", tie=True)
    return Delta(text=f"{ratio_text(ratio)} smaller" if ratio > 1 else f"{ratio_text(1 / ratio)} larger")


def latency_delta(row: Row) -> Delta | None:
    """How many times faster the file runs than the baseline, by interleaved measurement."""
    latency = row.comparison.get("latency") or {}
    ratio = latency.get("ratio")
    if not ratio or row.is_baseline:
        return None
    if latency.get("tie"):
        return Delta(text="as fast (tie)", tie=True)
    return Delta(text=f"{ratio_text(ratio)} faster" if ratio > 1 else f"{ratio_text(1 / ratio)} slower")


def quality_delta(row: Row) -> Delta | None:
    """The paired difference in quality, with its interval's half width."""
    quality = row.comparison.get("quality") or {}
    difference = quality.get("difference")
    if difference is None or row.is_baseline:
        return None
    metric = str(quality.get("metric", row.quality.metric if row.quality else "accuracy"))
    low, high = quality.get("low"), quality.get("high")
    half = None if low is None or high is None else (high - low) / 2
    # Of many answers a sample (each pixel of a picture), a twentieth of a point can be certain.
    places = 2 if half is not None and half < FINE_POINTS else 1
    text = _signed(metric, difference, places) + ("" if half is None else f" ± {_magnitude(metric, half, places)}")
    return Delta(text=text + _unit(metric) + (" (tie)" if quality.get("tie") else ""), tie=bool(quality.get("tie")))


def _magnitude(metric: str, value: float, places: int) -> str:
    return f"{abs(value) * 100:.{places}f}" if metric in FRACTIONS else significant(abs(value))


def _signed(metric: str, value: float, places: int) -> str:
    text = _magnitude(metric, value, places)
    if not text.strip("0."):
        return text
    return f"{MINUS if value < 0 else '+'}{text}"


def _unit(metric: str) -> str:
    return " points" if metric in FRACTIONS else ""


def sentence(row: Row) -> str:
    """One sentence: what a run gained and what it cost. Plain text."""
    size, packed = size_delta(row), size_delta(row, compressed=True)
    latency, quality = latency_delta(row), quality_delta(row)
    if size is None and latency is None:
        return f"{row.label} is not compared with the original yet."
    gains = []
    if size is not None and size.tie:
        gains.append("as large as the original" + (f" ({packed.text} when compressed)" if packed and not packed.tie else ""))
    elif size is not None:
        gains.append(size.text)
    if latency is not None:
        gains.append("as fast" if latency.tie else latency.text)
    result = f"{row.label} is {' and '.join(gains)}" + ("" if size and size.tie else " than the original")
    if quality is None or row.quality is None:
        return result + "."
    words = row.quality.words
    if quality.tie:
        return f"{result}; {words} is a tie ({quality.text.removesuffix(' (tie)')})."
    return f"{result}; {words} changes by {quality.text}, to {row.quality.text}."


def most_worthwhile(rows: Sequence[Row]) -> str:
    """Id of the run to look at first: the smallest of those whose quality is a tie, else the newest; empty without runs."""
    experiments = [row for row in rows if not row.is_baseline]
    ties = [row for row in experiments if (quality_delta(row) or Delta(text="")).tie and row.size_bytes is not None]
    if ties:
        return min(ties, key=lambda row: (row.size_bytes or 0.0, row.gzip_bytes or 0.0)).id
    return experiments[-1].id if experiments else ""
