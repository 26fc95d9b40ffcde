"""Loss and accuracy of a run's training, epoch by epoch, while it works and afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from optimizer.runs.run import StoredEvent
from optimizer.runs.store import Store

HEIGHT_PX = 170
_LOSSES = ("loss", "validation_loss", "val_loss")


def draw_curves(store: Store, run_id: str) -> None:
    """Two small charts, one over the other, loss and the rest; nothing where the run does not train."""
    table = curves(store.events(run_id, kinds=("metrics", "stage")))
    names = [name for name in table if name != "step"]
    if not table or len(table["step"]) < 1:
        return
    charts = [("How does the loss fall?", [name for name in names if name in _LOSSES])]
    charts.append(("How does the accuracy rise?", [name for name in names if name not in _LOSSES]))
    shown = [(title, columns) for title, columns in charts if columns]
    for title, columns in shown:
        st.caption(title)
        st.line_chart(
            {name: table[name] for name in ["step", *columns]}, x="step", y=columns, x_label="epoch", y_label="", height=HEIGHT_PX
        )


def curves(events: Sequence[StoredEvent]) -> Mapping[str, list[Any]]:
    """Columns for a chart: "step" counts epochs over all stages, the others are the metrics, None where a stage has none of a name."""
    points = [event.data for event in events if event.kind == "metrics"]
    skipped = {"epoch", "epochs", "stage", "index"}
    names = dict.fromkeys(
        name for point in points for name, value in point.items() if name not in skipped and isinstance(value, int | float)
    )
    columns: dict[str, list[Any]] = {"step": list(range(1, len(points) + 1))}
    for name in names:
        columns[name] = [point.get(name) for point in points]
    return columns if points else {}
