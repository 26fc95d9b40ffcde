"""What the figures share: colours of the runs, titles that ask a question, lines, axes. Plotly JSON; names from people are escaped."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pages.components import palette
from pages.components.compared import Row

Figure = dict[str, Any]
Text = Callable[[float | None], str]
ROW_PX = 38


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


def title(question: str, left: float) -> dict[str, Any]:
    place = {"x": left, "xref": "paper", "xanchor": "left", "y": 1, "yref": "paper", "yanchor": "bottom"}
    return {"text": f"<b>{question}</b>", "showarrow": False, "font": {"size": 13.5}, "yshift": 6, **place}


def layout(*, height: int, left: int) -> dict[str, Any]:
    return {
        "height": height,
        "margin": {"l": left, "r": 6, "t": 34, "b": 8},
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
