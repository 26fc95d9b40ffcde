"""Quality against one other axis, with the Pareto front and the limits of the budget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optimizer.measure.direction import HIGHER_IS_BETTER, METRIC_WORDS
from pages.components import palette
from pages.components.compared import AXES, Axis, Row, dominated, least_quality, quality_text
from pages.components.look import Figure, Look, chart_height, label_places, layout, named, title, value_axis

ROOM = 0.14
"""Free space around the points, as a fraction of what they span."""


def front(rows: Sequence[Row], look: Look, axis_name: str = "size") -> Figure:
    """The figure: each run a named point with its interval; those that another one beats in both are faded."""
    axis = AXES[axis_name]
    points = [row for row in rows if axis.value(row) is not None and row.quality is not None]
    metric = points[0].quality.metric if points and points[0].quality else "accuracy"
    beaten = dominated(points, axis_name)
    best = sorted((row for row in points if row.id not in beaten), key=lambda row: axis.value(row) or 0.0)
    figure = layout(height=chart_height(len(rows)), left=74, dark=look.dark)
    figure["margin"] |= {"b": 46, "r": 24}
    figure["annotations"] = [title(f"Which is best for its {axis.title.split(',')[0]}?", 0)]
    costs = [axis.value(row) or 0.0 for row in points]
    reach = max([*costs, 0.0]) or 1.0
    right, (low, high) = reach * (1 + ROOM), _extent(points)
    figure["xaxis"] = value_axis(axis.title, (0.0, right), axis.text, _unit(axis, reach))
    words = METRIC_WORDS[metric] if HIGHER_IS_BETTER[metric] else f"{METRIC_WORDS[metric]} (less is better)"
    figure["yaxis"] = value_axis(words, (low, high), lambda value: quality_text(metric, value))
    figure["yaxis"]["title"]["standoff"] = 18
    inside = [((axis.value(row) or 0.0) / right, (_height(row) - low) / (high - low), row.label) for row in points]
    places = dict(zip((row.id for row in points), label_places(inside), strict=True))
    figure["shapes"] = _limits(points, look, axis)
    lines = [_front_line(best, axis)] if len(best) > 1 else []
    return {
        "data": [*lines, *(_point(row, axis, look, places[row.id], faded=row.id in beaten) for row in points)],
        "layout": figure,
    }


def _height(row: Row) -> float:
    return row.quality.value if row.quality else 0.0


def _unit(axis: Axis, reach: float) -> float:
    if not axis.text(2048.0).endswith("KB"):
        return 1.0
    return 1024.0 if reach < 1024**2 else 1024.0**2


def _extent(points: Sequence[Row]) -> tuple[float, float]:
    values = [v for row in points if row.quality for v in (row.quality.low, row.quality.value, row.quality.high) if v is not None]
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = (high - low) * ROOM or abs(high) * 0.05 or 1.0
    return low - room, high + room * 1.6


def _front_line(best: Sequence[Row], axis: Axis) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [axis.value(row) for row in best],
        "y": [row.quality.value if row.quality else None for row in best],
        "line": {"color": palette.INTERVAL, "width": 1.4, "shape": "hv"},
        "hoverinfo": "skip",
    }


def _point(row: Row, axis: Axis, look: Look, place: str, *, faded: bool) -> dict[str, Any]:
    quality = row.quality
    centre = quality.value if quality else 0.0
    low, high = (quality.low, quality.high) if quality else (None, None)
    return {
        "type": "scatter",
        "mode": "markers+text",
        "x": [axis.value(row)],
        "y": [centre],
        "text": [named(row)],
        "textposition": place,
        "textfont": {"size": 12.5, "color": look.ink},
        "cliponaxis": False,
        "opacity": 0.4 if faded else 1.0,
        "marker": {"size": 14 if row.id == look.chosen else 11, "color": look.colour(row), "symbol": look.symbol(row)},
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [0 if high is None else high - centre],
            "arrayminus": [0 if low is None else centre - low],
            "color": palette.INTERVAL,
            "thickness": 1,
            "width": 3,
        },
        "customdata": [[named(row), axis.text(axis.value(row)), quality.text if quality else ""]],
        "hovertemplate": "%{customdata[0]}<br>%{customdata[1]}, %{customdata[2]}<extra></extra>",
    }


def _limits(points: Sequence[Row], look: Look, axis: Axis) -> list[dict[str, Any]]:
    line = {"type": "line", "line": {"color": look.ink, "width": 1.2, "dash": "dash"}}
    shapes = []
    limit = look.budget.get(axis.budget) if axis.budget else None
    if limit is not None:
        shapes.append({**line, "xref": "x", "yref": "paper", "x0": limit, "x1": limit, "y0": 0, "y1": 1})
    baseline = next((row for row in points if row.is_baseline), None)
    least = None if baseline is None else least_quality(baseline, look.budget)
    if least is not None:
        shapes.append({**line, "xref": "paper", "yref": "y", "x0": 0, "x1": 1, "y0": least, "y1": least})
    return shapes
