"""Compare's table: one row a run with its differences from the baseline, ties in grey, and the downloads in the row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from optimizer.runs.store import Store
from pages.components import palette
from pages.components.compared import Row, budget_misses, differing_settings
from pages.components.deltas import P50_WORDS, PAIRED_WORDS, Delta, latency_delta, quality_delta, size_delta
from pages.components.downloads import draw_downloads, show_refused_download
from pages.components.format import bytes_text, literal, ms_text
from pages.components.look import Look

WIDTHS = (2.6, 1.25, 1.4, 1.4, 1.9, 2.0)


def draw_table(store: Store, rows: Sequence[Row], look: Look, draw_coming: Callable[[], None] | None = None) -> None:
    """Draw the rows, the baseline first; `draw_coming` adds those that are still under way."""
    baseline = next((row for row in rows if row.is_baseline), None)
    st.html(palette.dot_styles())
    with st.container(border=True, gap="xsmall", key="compare-table"):
        places = st.columns(WIDTHS, gap="small")
        for place, heading in zip(places, _headings(rows), strict=True):
            place.caption(heading, text_alignment="left" if place in (places[0], places[-1]) else "right")
        for row in rows:
            _draw_row(store, row, baseline, look)
        if draw_coming is not None:
            draw_coming()
        if len(rows) > 1:
            st.caption(f"{P50_WORDS} {PAIRED_WORDS} Compressed: after gzip. A tie is a difference within the noise.")


def _headings(rows: Sequence[Row]) -> list[str]:
    quality = next((row.quality for row in rows if row.quality), None)
    words = "Quality" if quality is None else quality.words[:1].upper() + quality.words[1:]
    samples = f", {quality.n:,} samples" if quality and quality.n else ""
    return ["Run", "File", "Compressed", "Latency, p50", words + samples, "Download"]


def _draw_row(store: Store, row: Row, baseline: Row | None, look: Look) -> None:
    name, size, packed, latency, quality, download = st.columns(WIDTHS, gap="small", vertical_alignment="center")
    misses = budget_misses(row, baseline, look.budget) if baseline and not row.is_baseline else []
    missed = "".join(f"  \n:small[:orange[{literal(miss, 120)}]]" for miss in misses)
    words = "as it came" if row.is_baseline else row.run.recipe_in_words
    label = f"**{literal(row.label)}**" if row.id == look.chosen else literal(row.label)
    with name.container(key=f"series-{_series(row, look)}-{row.id}"):
        st.markdown(f"{label}  \n:small[:gray[{literal(words, 90)}]]{missed}")
    size.markdown(_cell(bytes_text(row.size_bytes), size_delta(row)), text_alignment="right")
    packed.markdown(_cell(bytes_text(row.gzip_bytes), size_delta(row, compressed=True)), text_alignment="right")
    latency.markdown(_cell(ms_text(row.p50_ms), latency_delta(row)), text_alignment="right")
    quality.markdown(_cell(row.quality.text if row.quality else "–", quality_delta(row)), text_alignment="right")
    with download.container(horizontal=True, gap="xsmall", key=f"files-{row.id}"):
        draw_downloads(store, row.run, "row")
    show_refused_download(row.run)


def _series(row: Row, look: Look) -> str:
    if row.is_baseline:
        return "baseline"
    if row.id == look.chosen:
        return "dark" if look.dark else "light"
    return str(look.places.get(row.id, 0) % len(palette.SERIES))


def _cell(value: str, delta: Delta | None) -> str:
    """A number, and under it its difference: plain where it is one, grey where it is a tie."""
    if delta is None:
        return literal(value)
    text = literal(delta.text)
    return f"{literal(value)}  \n:small[{f':gray[{text}]' if delta.tie else text}]"


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
    st.dataframe(table, hide_index=True, column_config=columns, height="content")
