"""Size, latency and quality of any number of runs side by side, one line a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pages.components import palette
from pages.components.compared import (
    FRACTIONS,
    QUALITY_WORDS,
    Row,
    least_quality,
    quality_text,
)
from pages.components.format import bytes_text, ms_text, points_text, ratio_text
from pages.components.look import ROW_PX, Figure, Look, layout, named, title

GAP = 0.03
LABEL_ROOM = 1.95
"""An axis is this much longer than its longest bar: the numbers stand in the free part."""


@dataclass(frozen=True, kw_only=True)
class _Column:
    """One of the small charts: `ends` is where a row's marks end, `notes` stand in grey after the number."""

    question: str
    axis: str
    values: Sequence[float | None]
    ends: Sequence[float | None]
    texts: Sequence[str]
    notes: Sequence[str]
    limit: float | None


def bars(rows: Sequence[Row], look: Look) -> Figure:
    """The figure: the baseline first, a dotted line down from it, dashed lines where the budget ends."""
    columns = [_size(rows, look.budget), _latency(rows, look.budget), _quality(rows, look.budget)]
    figure = layout(height=ROW_PX * len(rows) + 44, left=0)
    figure |= {"yaxis": _names_axis(rows), "bargap": 0.42, "shapes": [], "annotations": []}
    traces: list[dict[str, Any]] = []
    width = (1 - GAP * (len(columns) - 1)) / len(columns)
    for number, column in enumerate(columns):
        left = number * (width + GAP)
        reach = max((end for end in column.ends if end is not None), default=1.0) or 1.0
        figure[column.axis.replace("x", "xaxis")] = _hidden_axis([left, left + width], reach)
        figure["annotations"].append(title(column.question, left))
        figure["shapes"].extend(_lines(rows, column))
        traces += [_bar_trace(rows, column, look), _number_trace(column)]
    traces += [_tail_marks(rows, columns[1].axis), _intervals(rows, columns[2].axis)]
    return {"data": traces, "layout": figure}


def _size(rows: Sequence[Row], budget: Mapping[str, Any]) -> _Column:
    values = [row.size_bytes for row in rows]
    notes = ["" if row.is_baseline else _ratio(row.comparison.get("size_ratio")) for row in rows]
    return _Column(
        question="How small is the file?",
        axis="x",
        values=values,
        ends=values,
        texts=[bytes_text(value) for value in values],
        notes=notes,
        limit=budget.get("max_bytes"),
    )


def _latency(rows: Sequence[Row], budget: Mapping[str, Any]) -> _Column:
    def note(row: Row) -> str:
        latency = row.comparison.get("latency") or {}
        return "" if row.is_baseline else "tie" if latency.get("tie") else _ratio(latency.get("ratio"))

    return _Column(
        question="How fast is it? (p50, │ p95)",
        axis="x2",
        values=[row.p50_ms for row in rows],
        ends=[row.p95_ms if row.p95_ms is not None else row.p50_ms for row in rows],
        texts=[ms_text(row.p50_ms) for row in rows],
        notes=[note(row) for row in rows],
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

    return _Column(
        question="How accurate is it? (├┤ 95 %)"
        if metric == "accuracy"
        else f"How large is the {QUALITY_WORDS[metric]}? (├┤ 95 %)",
        axis="x3",
        values=[row.quality.value if row.quality else None for row in rows],
        ends=[(row.quality.high if row.quality.high is not None else row.quality.value) if row.quality else None for row in rows],
        texts=[quality_text(metric, row.quality.value if row.quality else None) for row in rows],
        notes=[note(row) for row in rows],
        limit=None if baseline is None else least_quality(baseline, budget),
    )


def _ratio(ratio: float | None) -> str:
    return "" if not ratio else ratio_text(ratio)


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


def _number_trace(column: _Column) -> dict[str, Any]:
    notes = [f'  <span style="color:{palette.BASELINE}">{note}</span>' if note else "" for note in column.notes]
    return {
        "type": "scatter",
        "mode": "text",
        "x": [0 if end is None else end for end in column.ends],
        "y": list(range(len(column.ends))),
        "xaxis": column.axis,
        "yaxis": "y",
        "text": [f"  {text}{note}" for text, note in zip(column.texts, notes, strict=True)],
        "textposition": "middle right",
        "textfont": {"size": 13},
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


def _intervals(rows: Sequence[Row], axis: str) -> dict[str, Any]:
    known = [(number, row.quality) for number, row in enumerate(rows) if row.quality]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [quality.value for _, quality in known],
        "y": [number for number, _ in known],
        "xaxis": axis,
        "yaxis": "y",
        "marker": {"size": 0.1, "color": palette.INTERVAL},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [0 if q.high is None else q.high - q.value for _, q in known],
            "arrayminus": [0 if q.low is None else q.value - q.low for _, q in known],
            "color": palette.INTERVAL,
            "thickness": 1.6,
            "width": 4,
        },
        "hoverinfo": "skip",
    }


def _lines(rows: Sequence[Row], column: _Column) -> list[dict[str, Any]]:
    reference = [value for row, value in zip(rows, column.values, strict=True) if row.is_baseline and value is not None]
    drawn = [(value, "dot", palette.BASELINE) for value in reference]
    if column.limit is not None:
        drawn.append((float(column.limit), "dash", palette.BUDGET))
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
            "layer": "below",
        }
        for value, dash, colour in drawn
    ]


def _names_axis(rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "tickvals": list(range(len(rows))),
        "ticktext": [named(row) + "  " for row in rows],
        "range": [len(rows) - 0.5, -0.5],
        "showgrid": False,
        "zeroline": False,
        "automargin": True,
        "ticks": "",
        "fixedrange": True,
        "tickfont": {"size": 13},
    }


def _hidden_axis(domain: list[float], reach: float) -> dict[str, Any]:
    return {
        "domain": domain,
        "range": [0, reach * LABEL_ROOM],
        "showgrid": False,
        "zeroline": True,
        "zerolinecolor": palette.INTERVAL,
        "showticklabels": False,
        "ticks": "",
        "fixedrange": True,
        "anchor": "y",
    }
