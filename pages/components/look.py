"""What the figures share: colours of runs, titles that ask, axes. Plotly JSON; names from people are escaped."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pages.components import palette
from pages.components.compared import Row

Figure = dict[str, Any]
Text = Callable[[float | None], str]
ROW_PX = 40
LEAST_HEIGHT_PX = 330


@dataclass(frozen=True, kw_only=True)
class Look:
    """How the runs of one view are coloured, the same on every chart.

    Args:
        chosen: Id of the run that gets the accent; empty where none is chosen.
        places: Place of each run in the series of colours, by id.
        dark: Whether the page is dark.
        budget: The project's budget, for its lines.
    """

    chosen: str = ""
    places: Mapping[str, int] = field(default_factory=dict)
    dark: bool = False
    budget: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ink(self) -> str:
        """Colour of text that matters."""
        return palette.INK["dark" if self.dark else "light"]

    def colour(self, row: Row) -> str:
        """Grey for the baseline, the accent for the chosen run, the series for the rest."""
        if row.is_baseline:
            return palette.BASELINE
        if row.id == self.chosen:
            return palette.ACCENT["dark" if self.dark else "light"]
        return palette.colour(self.places.get(row.id, 0))

    def symbol(self, row: Row) -> str:
        """The marker, which tells runs apart where colours repeat."""
        return "circle" if row.is_baseline else palette.symbol(self.places.get(row.id, 0))


def named(row: Row) -> str:
    """A run's label as Plotly shows it letter by letter."""
    return html.escape(row.label)


def chart_height(rows: int) -> int:
    """Height in pixels of the figures of one view, so that they end on one line."""
    return max(LEAST_HEIGHT_PX, ROW_PX * rows + 44)


def title(question: str, left: float, legend: str = "") -> dict[str, Any]:
    """The question that a chart answers, over its left edge, with what its marks mean in grey."""
    aside = f'  <span style="color:{palette.BASELINE};font-size:11.5px">{legend}</span>' if legend else ""
    place = {"x": left, "xref": "paper", "xanchor": "left", "y": 1, "yref": "paper", "yanchor": "bottom"}
    return {"text": f"<b>{question}</b>{aside}", "showarrow": False, "font": {"size": 13.5}, "yshift": 6, **place}


def layout(*, height: int, left: int, dark: bool) -> dict[str, Any]:
    """Margins, background and behaviour that every figure has."""
    return {
        "height": height,
        "margin": {"l": left, "r": 6, "t": 34, "b": 8},
        "font": {"color": palette.INK["dark" if dark else "light"]},
        "showlegend": False,
        "hovermode": "closest",
        "dragmode": False,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
    }


def value_axis(heading: str, bounds: tuple[float, float], text: Text, unit: float = 1.0) -> dict[str, Any]:
    """An axis with few round ticks, written by `text`. `unit` is what "round" counts in, e.g. 1,024 for bytes."""
    ticks = [tick * unit for tick in round_ticks(bounds[0] / unit, bounds[1] / unit)]
    return {
        "title": {"text": heading, "font": {"size": 12.5}, "standoff": 8},
        "range": list(bounds),
        "tickvals": ticks,
        "ticktext": [text(tick) if tick else "0" for tick in ticks],
        "zeroline": False,
        "fixedrange": True,
        "tickfont": {"size": 12},
    }


def round_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """At most about `most` round numbers between two bounds."""
    span = high - low
    if not span > 0:
        return [low]
    magnitude = 10.0 ** math.floor(math.log10(span / most))
    step = next(magnitude * factor for factor in (1, 2, 2.5, 5, 10) if span / (magnitude * factor) <= most)
    first = math.ceil(low / step - 1e-9)
    return [round((first + number) * step, 12) for number in range(most + 1) if (first + number) * step <= high]


PLACES = {"middle right": (1, 0), "middle left": (-1, 0), "top center": (0, 1), "bottom center": (0, -1), "top right": (1, 1),
          "bottom right": (1, -1), "top left": (-1, 1), "bottom left": (-1, -1)}  # fmt: skip
_LETTER, _LINE, _GAP = 0.022, 0.06, 0.025
"""Width of a letter, height of a line and distance from the point, as fractions of a small chart's area."""


def label_places(points: Sequence[tuple[float, float, str]]) -> list[str]:
    """Where each point's name stands so that names cover neither each other nor points, as far as that can be had.

    `points` are (x, y, name) with x and y as fractions of the chart's area.
    """
    taken = [(x - 0.02, y - 0.03, x + 0.02, y + 0.03) for x, y, _ in points]
    chosen = []
    for index, (x, y, name) in enumerate(points):
        others = taken[:index] + taken[index + 1 :]
        boxes = {place: _label_box(x, y, name, direction) for place, direction in PLACES.items()}
        best = min(boxes, key=lambda place: _overlap(boxes[place], others))
        chosen.append(best)
        taken.append(boxes[best])
    return chosen


Box = tuple[float, float, float, float]


def _label_box(x: float, y: float, name: str, direction: tuple[int, int]) -> Box:
    across, up = direction
    width = _LETTER * len(name)
    left = x - width / 2 if across == 0 else x + _GAP if across > 0 else x - _GAP - width
    bottom = y - _LINE / 2 if up == 0 else y + _GAP if up > 0 else y - _GAP - _LINE
    return left, bottom, left + width, bottom + _LINE


def _overlap(box: Box, others: Sequence[Box]) -> float:
    """Area that a box shares with others, and what of it lies outside the chart (which weighs more)."""
    left, bottom, right, top = box
    outside = max(0.0, -left) + max(0.0, right - 1.02) + max(0.0, -bottom) + max(0.0, top - 1.0)
    shared = 0.0
    for other in others:
        across = min(right, other[2]) - max(left, other[0])
        up = min(top, other[3]) - max(bottom, other[1])
        shared += max(0.0, across) * max(0.0, up)
    return shared + outside
