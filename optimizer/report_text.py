"""Measurements as the command line prints them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from optimizer.errors import printable
from optimizer.measure.direction import HIGHER_IS_BETTER


def _verdicts(comparison: dict[str, Any]) -> list[str]:
    """The paired comparisons with their 95 % intervals; a difference within the noise is called a tie. None for a baseline alone."""
    if not comparison:
        return []
    quality, latency = comparison["quality"], comparison["latency"]
    tie = {True: ", a tie", False: ""}
    return [
        f"{quality['metric']} differs by {quality['difference']:+.4g} ({quality['low']:+.4g} to {quality['high']:+.4g}{tie[quality['tie']]})",
        f"{latency['ratio']:.2f} times as fast ({latency['low']:.2f} to {latency['high']:.2f}{tie[latency['tie']]})",
    ]


def report_in_words(report: dict[str, Any], out: Path) -> str:
    """The report of one run (see optimizer.report) as a table of baseline and result."""
    lines = [f"{'':<20}{'baseline':>14}{'result':>14}"]
    old, new = report["baseline"], report["result"]
    rows: list[tuple[str, Callable[[dict[str, Any]], str]]] = [
        ("size", lambda m: f"{m['size_bytes']:,} B"),
        ("gzip", lambda m: f"{m['gzip_bytes']:,} B"),
        ("latency p50", lambda m: f"{m['latency_ms']['p50']:.3f} ms"),
    ]
    for metric in HIGHER_IS_BETTER:
        if metric in new:
            per = new[metric].get("per")
            rows.append((f"{metric} per {per}" if per else metric, lambda m, metric=metric: f"{m[metric]['value']:.4g}"))  # type: ignore[misc]
    lines += [f"{name:<20}{show(old):>14}{show(new):>14}" for name, show in rows]
    lines += _verdicts(report["comparison"])
    return "\n".join([*lines, f"written to {out}"])


def speeds_in_words(rows: Sequence[dict[str, Any]]) -> str:
    """The latency of several files as a table; each is held against the first."""
    lines = [f"{'file':<32}{'bytes':>12}{'p50 ms':>10}{'p95 ms':>10}{'times faster than the first':>34}"]
    for row in rows:
        speed, latency_ms = row["speed"], row["latency_ms"]
        words = f"{speed['ratio']:.2f} ({speed['low']:.2f} to {speed['high']:.2f}{', a tie' if speed['tie'] else ''})"
        lines.append(
            f"{printable(row['name'], 31):<32}{row['size_bytes']:>12,}{latency_ms['p50']:>10.3f}{latency_ms['p95']:>10.3f}{words:>34}"
        )
    return "\n".join(lines)
