"""Loss and accuracy of a run's training, epoch by epoch, while it works and afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from optimizer.runs.run import StoredEvent
from optimizer.runs.store import Store

HEIGHT_PX = 165
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")
_NOT_METRICS = frozenset({"epoch", "epochs", "stage", "index"})


def draw_curves(store: Store, run_id: str) -> None:
    """One small chart for loss and one for the rest; nothing where the run does not train."""
    points = curve_points(store.events(run_id, kinds=("metrics",)))
    for title, losses in (("How does the loss fall, epoch by epoch?", True), ("How does the accuracy rise?", False)):
        shown = [point for point in points if ("loss" in point["metric"]) is losses]
        if shown:
            st.caption(title)
            # A specification of its own: st.line_chart would spend 80 ms on making the same one, every second.
            st.vega_lite_chart(curve_specification(shown), height=HEIGHT_PX)


def curve_points(events: Sequence[StoredEvent]) -> list[dict[str, Any]]:
    """{"epoch", "metric", "value"} for every number that was reported; epochs count on over all stages."""
    return [
        {"epoch": number, "metric": name.replace("_", " ").replace("val ", "validation "), "value": value}
        for number, event in enumerate((event for event in events if event.kind == "metrics"), 1)
        for name, value in event.data.items()
        if name not in _NOT_METRICS and isinstance(value, int | float) and not isinstance(value, bool)
    ]


def curve_specification(points: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A Vega-Lite line chart with a dot at every epoch."""
    names = list(dict.fromkeys(point["metric"] for point in points))
    return {
        "data": {"values": list(points)},
        "mark": {"type": "line", "point": {"size": 22}, "strokeWidth": 1.8},
        "encoding": {
            "x": {
                "field": "epoch",
                "type": "quantitative",
                "axis": {"title": None, "tickMinStep": 1, "format": "d", "grid": False},
            },
            "y": {"field": "value", "type": "quantitative", "axis": {"title": None, "tickCount": 4}, "scale": {"zero": False}},
            "color": {
                "field": "metric",
                "type": "nominal",
                "scale": {"domain": names, "range": [COLOURS[number % len(COLOURS)] for number in range(len(names))]},
                "legend": {"orient": "top", "title": None, "labelLimit": 160, "symbolSize": 40, "offset": 2}
                if len(names) > 1
                else None,
            },
            "tooltip": [{"field": "metric"}, {"field": "epoch"}, {"field": "value", "format": ".4f"}],
        },
    }
