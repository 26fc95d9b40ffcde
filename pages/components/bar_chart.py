"""Size, latency and quality of any number of runs side by side, one line a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optimizer.measure.direction import FRACTIONS
from pages.components import palette
from pages.components.compared import (
    QUALITY_QUESTIONS,
    QUALITY_SHORT,
    Row,
    least_quality,
    quality_text,
)
from pages.components.format import bytes_text, ms_text, points_text, ratio_text
from pages.components.look import Figure, Look, chart_height, layout, named, title

GAP = 0.035
LABEL_ROOM = 2.15
"""An axis is this much longer than its longest bar: the numbers stand in the free part, one under the other."""
LABEL_START = 1.07
LABEL_START_BY_DOTS = 1.13


@dataclass(frozen=True, kw_only=True)
class _Column:
    """One of the small charts: `ends` is where a row's marks end, `notes` stand in grey after the number.

    `start` is where its axis begins: zero for bars, close to the lowest interval for dots.
    """

    question: str
    legend: str
    axis: str
    values: Sequence[float | None]
    ends: Sequence[float | None]
    texts: Sequence[str]
    notes: Sequence[str]
    limit: float | None
    start: float = 0.0


def bars(rows: Sequence[Row], look: Look) -> Figure:
    """The figure: the baseline first, a dotted line down from it, dashed lines where the budget ends."""
    columns = [_size(rows, look.budget), _latency(rows, look.budget), _quality(rows, look.budget)]
    figure = layout(height=chart_height(len(rows)), left=0, dark=look.dark)
    figure |= {"yaxis": _names_axis(rows, look), "bargap": 0.42, "shapes": [], "annotations": []}
    traces: list[dict[str, Any]] = []
    width = (1 - GAP * (len(columns) - 1)) / len(columns)
    for number, column in enumerate(columns):
        left = number * (width + GAP)
        reach = max((end for end in column.ends if end is not None), default=1.0) or 1.0
        span = (reach - column.start) or 1.0
        figure[column.axis.replace("x", "xaxis")] = _hidden_axis([left, left + width], column.start, span)
        figure["annotations"].append(title(column.question, left, column.legend))
        figure["shapes"].extend(_lines(rows, column, look.ink))
        traces.append(_number_trace(column, column.start + span * (LABEL_START if number < 2 else LABEL_START_BY_DOTS), look))
    traces += [_bar_trace(rows, column, look) for column in columns[:2]]
    traces += [_tail_marks(rows, columns[1].axis), _dots(rows, columns[2], look)]
    return {"data": traces, "layout": figure}


def _size(rows: Sequence[Row], budget: Mapping[str, Any]) -> _Column:
    values = [row.size_bytes for row in rows]
    notes = ["" if row.is_baseline else _ratio(row.comparison.get("size_ratio")) for row in rows]
    return _Column(
        question="How small?",
        legend="file size",
        axis="x",
        values=values,
        ends=values,
        texts=[bytes_text(value) for value in values],
        notes=notes,
        limit=budget.get("max_bytes"),
    )


def _latency(rows: Sequence[Row], budget: Mapping[str, Any]) -> _Column:
    # The ratio is of a measurement of its own, so it does not stand beside a p50 here: the table says both, and how they differ.
    ties = [not row.is_baseline and bool((row.comparison.get("latency") or {}).get("tie")) for row in rows]
    return _Column(
        question="How fast?",
        legend="bar p50, │ p95",
        axis="x2",
        values=[row.p50_ms for row in rows],
        ends=[row.p95_ms if row.p95_ms is not None else row.p50_ms for row in rows],
        texts=[ms_text(row.p50_ms) for row in rows],
        notes=["tie" if tie else "" for tie in ties],
        limit=budget.get("max_ms"),
    )


def _quality(rows: Sequence[Row], budget: Mapping[str, Any]) -> _Column:
    metric = next((row.quality.metric for row in rows if row.quality), "accuracy")
    baseline = next((row for row in rows if row.is_baseline), None)

    def note(row: Row) -> str:
        quality = row.comparison.get("quality") or {}
        if row.is_baseline or metric not in FRACTIONS or quality.get("difference") is None:
            return ""
        return "tie" if quality.get("tie") else points_text(quality["difference"]).removesuffix(" points")

    known = [row.quality for row in rows if row.quality]
    lows = [quality.value if quality.low is None else quality.low for quality in known]
    highs = [quality.value if quality.high is None else quality.high for quality in known]
    low, high = min(lows, default=0.0), max(highs, default=1.0)
    start = max(0.0, low - 0.12 * ((high - low) or 0.1))
    return _Column(
        question=QUALITY_QUESTIONS[metric],
        legend=f"{QUALITY_SHORT[metric]}├┤ 95 %",
        start=start,
        axis="x3",
        values=[row.quality.value if row.quality else None for row in rows],
        ends=[(row.quality.high if row.quality.high is not None else row.quality.value) if row.quality else None for row in rows],
        texts=[quality_text(metric, row.quality.value if row.quality else None) for row in rows],
        notes=[note(row) for row in rows],
        limit=None if baseline is None else least_quality(baseline, budget),
    )


def _ratio(ratio: float | None) -> str:
    if not ratio:
        return ""
    return "same" if abs(ratio - 1) < 0.005 else ratio_text(ratio)


def _bar_trace(rows: Sequence[Row], column: _Column, look: Look) -> dict[str, Any]:
    return {
        "type": "bar",
        "orientation": "h",
        "x": list(column.values),
        "y": list(range(len(rows))),
        "xaxis": column.axis,
        "yaxis": "y",
        "marker": {"color": [look.colour(row) for row in rows], "line": {"width": 0}},
        "customdata": [[named(row), text] for row, text in zip(rows, column.texts, strict=True)],
        "hovertemplate": "%{customdata[0]}: %{customdata[1]}<extra></extra>",
    }


def _number_trace(column: _Column, place: float, look: Look) -> dict[str, Any]:
    notes = [f'  <span style="color:{palette.BASELINE}">{note}</span>' if note else "" for note in column.notes]
    return {
        "type": "scatter",
        "mode": "text",
        "x": [place] * len(column.ends),
        "y": list(range(len(column.ends))),
        "xaxis": column.axis,
        "yaxis": "y",
        "text": [f"{text}{note}" for text, note in zip(column.texts, notes, strict=True)],
        "textposition": "middle right",
        "textfont": {"size": 13, "color": look.ink},
        "cliponaxis": False,
        "hoverinfo": "skip",
    }


def _tail_marks(rows: Sequence[Row], axis: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [row.p95_ms for row in rows],
        "y": list(range(len(rows))),
        "xaxis": axis,
        "yaxis": "y",
        "marker": {"symbol": "line-ns-open", "size": 13, "line": {"width": 2}, "color": palette.INTERVAL},
        "customdata": [ms_text(row.p95_ms) for row in rows],
        "hovertemplate": "p95: %{customdata}<extra></extra>",
    }


def _dots(rows: Sequence[Row], column: _Column, look: Look) -> dict[str, Any]:
    """Quality as dots with their intervals: on an axis from zero, as bars need it, no interval could be seen."""
    known = [(number, row, row.quality) for number, row in enumerate(rows) if row.quality]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [quality.value for _, _, quality in known],
        "y": [number for number, _, _ in known],
        "xaxis": column.axis,
        "yaxis": "y",
        "marker": {"size": 12, "color": [look.colour(row) for _, row, _ in known], "line": {"width": 0}},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [0 if q.high is None else q.high - q.value for _, _, q in known],
            "arrayminus": [0 if q.low is None else q.value - q.low for _, _, q in known],
            "color": palette.INTERVAL,
            "thickness": 1.8,
            "width": 5,
        },
        "customdata": [
            [named(row), q.text, quality_text(q.metric, q.low), quality_text(q.metric, q.high)] for _, row, q in known
        ],
        "hovertemplate": "%{customdata[0]}: %{customdata[1]}<br>95 %: %{customdata[2]} to %{customdata[3]}<extra></extra>",
    }


def _lines(rows: Sequence[Row], column: _Column, ink: str) -> list[dict[str, Any]]:
    reference = [value for row, value in zip(rows, column.values, strict=True) if row.is_baseline and value is not None]
    drawn = [(value, "dot", palette.BASELINE, "below") for value in reference]
    if column.limit is not None:
        drawn.append((float(column.limit), "dash", ink, "above"))
    return [
        {
            "type": "line",
            "xref": column.axis,
            "yref": "y",
            "x0": value,
            "x1": value,
            "y0": -0.5,
            "y1": len(rows) - 0.5,
            "line": {"color": colour, "width": 1.2, "dash": dash},
            "layer": layer,
        }
        for value, dash, colour, layer in drawn
    ]


def _names_axis(rows: Sequence[Row], look: Look) -> dict[str, Any]:
    return {
        "tickvals": list(range(len(rows))),
        "ticktext": [named(row) + "  " for row in rows],
        "range": [len(rows) - 0.5, -0.5],
        "showgrid": False,
        "zeroline": False,
        "automargin": True,
        "ticks": "",
        "fixedrange": True,
        "tickfont": {"size": 13, "color": look.ink},
    }


def _hidden_axis(domain: list[float], start: float, span: float) -> dict[str, Any]:
    return {
        "domain": domain,
        "range": [start, start + span * LABEL_ROOM],
        "showgrid": False,
        "zeroline": True,
        "zerolinecolor": palette.INTERVAL,
        "showticklabels": False,
        "ticks": "",
        "fixedrange": True,
        "anchor": "y",
    }
