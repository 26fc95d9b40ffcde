"""Compare's table: one row a run with its differences from the baseline, ties in grey, and the downloads in the row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from optimizer.runs.store import Store
from pages.components.compared import (
    Delta,
    Row,
    budget_misses,
    differing_settings,
    latency_delta,
    quality_delta,
    size_delta,
)
from pages.components.downloads import draw_downloads
from pages.components.format import bytes_text, literal, ms_text
from pages.components.look import Look

WIDTHS = (2.3, 1.5, 1.5, 1.5, 1.9, 1.9)
HEADINGS = ("Run", "File", "Compressed", "Latency, p50", "Quality", "Download")


def draw_table(store: Store, rows: Sequence[Row], look: Look) -> None:
    """Draw the rows, the baseline first."""
    baseline = next((row for row in rows if row.is_baseline), None)
    with st.container(border=True, gap="xxsmall", key="compare-table"):
        for place, heading in zip(st.columns(WIDTHS, gap="small"), HEADINGS, strict=True):
            place.caption(heading)
        for row in rows:
            _draw_row(store, row, baseline, look)


def _draw_row(store: Store, row: Row, baseline: Row | None, look: Look) -> None:
    name, size, packed, latency, quality, download = st.columns(WIDTHS, gap="small", vertical_alignment="top")
    dot = f"**{literal(row.label)}**" if row.id == look.chosen else literal(row.label)
    misses = budget_misses(row, baseline, look.budget) if baseline else []
    flag = "" if not misses else " :orange-badge[over budget]" if not row.is_baseline else ""
    words = "float32, as it came" if row.is_baseline else row.run.recipe_in_words
    name.markdown(f"{dot}{flag}  \n:small[:gray[{literal(words, 90)}]]", help=literal("; ".join(misses), 400) or None)
    size.markdown(_cell(bytes_text(row.size_bytes), size_delta(row)))
    packed.markdown(_cell(bytes_text(row.gzip_bytes), size_delta(row, compressed=True)))
    latency.markdown(_cell(ms_text(row.p50_ms), latency_delta(row), f"p95 {ms_text(row.p95_ms)}" if row.p95_ms else ""))
    interval = ""
    if row.quality is not None and row.quality.n:
        interval = f"{row.quality.n:,} samples"
    quality.markdown(_cell(row.quality.text if row.quality else "–", quality_delta(row), interval))
    with download.container(horizontal=True, gap="xsmall", key=f"files-{row.id}"):
        draw_downloads(store, row.run, "row")


def _cell(value: str, delta: Delta | None, aside: str = "") -> str:
    """A number, and under it its difference: plain where it is one, grey where it is a tie."""
    parts = []
    if delta is not None:
        parts.append(f":gray[{literal(delta.text)}]" if delta.tie else literal(delta.text))
    if aside:
        parts.append(f":gray[{literal(aside)}]")
    return f"{literal(value)}  \n:small[{', '.join(parts)}]" if parts else literal(value)


def draw_settings(rows: Sequence[Row]) -> None:
    """Only the settings that differ, one line a run."""
    experiments = [row for row in rows if not row.is_baseline]
    names, lines = differing_settings(experiments)
    if not names:
        return
    st.markdown("**Which settings differ?**")
    table: dict[str, list[Any]] = {"Run": [row.label for row in experiments]}
    for number, name in enumerate(names):
        table[name] = [line[number] for line in lines]
    columns: Mapping[str, Any] = {name: st.column_config.TextColumn(alignment="right") for name in names}
    st.dataframe(table, hide_index=True, column_config=columns, height=min(35 * (len(experiments) + 1) + 3, 400))
