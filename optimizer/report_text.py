"""What `python -m optimizer run` and `bench` print: a result beside its baseline, and files beside each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optimizer.errors import printable
from optimizer.measure.direction import FRACTIONS, HIGHER_IS_BETTER, METRIC_WORDS

Metrics = Mapping[str, Any]


def report_in_words(report: Mapping[str, Any], written: str) -> str:
    """A run's report as a table of two columns and the paired comparisons. `written` is where its files are."""
    old, new = report["baseline"], report["result"]
    rows: list[tuple[str, Callable[[Metrics], str]]] = [
        ("size", lambda metrics: f"{metrics['size_bytes']:,} B"),
        ("gzip", lambda metrics: f"{metrics['gzip_bytes']:,} B"),
        ("latency p50", lambda metrics: latency_text(metrics["latency_ms"]["p50"])),
        *((_heading(metric, new[metric]), _value_of(metric)) for metric in HIGHER_IS_BETTER if metric in new),
    ]
    width = max(20, *(len(name) + 2 for name, _ in rows))
    lines = [f"{'':<{width}}{'baseline':>14}{'result':>14}"]
    lines += [f"{name:<{width}}{show(old):>14}{show(new):>14}" for name, show in rows]
    return "\n".join([*lines, *_verdicts(report["comparison"]), f"written to {written}"])


def _heading(metric: str, record: Metrics) -> str:
    per = record.get("per")
    return METRIC_WORDS[metric] + (f" per {per}" if per else "")


def _value_of(metric: str) -> Callable[[Metrics], str]:
    return lambda metrics: value_text(metric, metrics[metric]["value"])


def value_text(metric: str, value: float) -> str:
    """A metric's value: per cent for fractions, four digits otherwise."""
    return f"{value:.1%}" if metric in FRACTIONS else f"{value:.4g}"


def latency_text(latency_ms: float) -> str:
    """Milliseconds, or microseconds below a tenth of one, with two significant digits: the third is noise."""
    value, unit = (latency_ms * 1000, "µs") if latency_ms < 0.1 else (latency_ms, "ms")
    places = 0 if value <= 0 else max(0, 1 - math.floor(math.log10(value)))
    return f"{value:,.{places}f} {unit}"


def _verdicts(comparison: Mapping[str, Any]) -> list[str]:
    """The paired comparisons with their 95 % intervals; a difference within the noise is called a tie. None for a baseline alone."""
    if not comparison:
        return []
    quality, speed = comparison["quality"], comparison["latency"]
    metric = quality["metric"]
    difference, low, high = (_difference_text(metric, quality[name]) for name in ("difference", "low", "high"))
    points = " points" if metric in FRACTIONS else ""
    tie = ", a tie" if quality["tie"] else ""
    return [
        f"{METRIC_WORDS[metric]} differs by {difference}{points} ({low} to {high}{tie})",
        f"{speed_in_words(speed)}, timed in turn",
    ]


def _difference_text(metric: str, value: float) -> str:
    return f"{value * 100:+.1f}" if metric in FRACTIONS else f"{value:+.3g}"


def speed_in_words(speed: Mapping[str, Any]) -> str:
    """How a file's speed compares: "2.0 times as fast (1.9 to 2.1)", "30 times slower (29 to 31)", "as fast (0.99 to 1.01, a tie)"."""
    ratio, low, high = (float(speed[name]) for name in ("ratio", "low", "high"))
    if speed["tie"]:
        return f"as fast ({low:.2f} to {high:.2f}, a tie)"
    if ratio < 1:
        return f"{_times(1 / ratio)} times slower ({_times(1 / high)} to {_times(1 / low)})"
    return f"{_times(ratio)} times as fast ({_times(low)} to {_times(high)})"


def _times(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.2f}" if ratio < 1.1 else f"{ratio:.1f}"


MOST_NAME = 31


def bench_in_words(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table of `bench`: a line a file, compared with the first."""
    lines = [f"{'file':<32}{'bytes':>12}{'p50':>10}{'p95':>10}  {'beside the first, timed in turn'}"]
    for number, row in enumerate(rows):
        latency_ms, name = row["latency_ms"], printable(row["name"], 1000)
        times = f"{latency_text(latency_ms['p50']):>10}{latency_text(latency_ms['p95']):>10}"
        # The end of a path tells files apart.
        shown = name if len(name) <= MOST_NAME else "…" + name[1 - MOST_NAME :]
        lines.append(f"{shown:<32}{row['size_bytes']:>12,}{times}  {speed_in_words(row['speed']) if number else 'the reference'}")
    return "\n".join(lines)
