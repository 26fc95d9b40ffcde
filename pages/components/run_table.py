"""The list of runs, newest first: one line a run, a page at a time; a click opens the run beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import streamlit as st

from optimizer.runs.run import FAILURE_WORDS, Run, RunState
from pages.components.compared import Row, rows_of
from pages.components.format import bytes_text, ms_text, percent_text

ROW_PX = 36
_ORDER = (*(state.value for state in RunState if state is not RunState.FAILED), RunState.FAILED.value, *FAILURE_WORDS.values())


def in_order(outcomes: Iterable[str]) -> list[str]:
    """Outcomes as a filter offers them: what is under way first, failures last, each with its own."""
    return sorted(outcomes, key=_ORDER.index)


def draw_table(runs: Sequence[Run], opened: str | None) -> None:
    """Draw the runs; the chosen one's id goes into the URL."""
    rows = rows_of(runs, None)
    ids = [run.id for run in runs]
    # A selection is by row number: a new key whenever the rows are others, so that it never points at another run.
    key = f"runs.{hash((*ids, opened))}"
    chosen = [ids.index(opened)] if opened in ids else []
    st.dataframe(
        {
            "Run": [row.label for row in rows],
            "Recipe": [run.recipe_in_words or run.kind.value for run in runs],
            "State": [_state(run) for run in runs],
            "Size": [bytes_text(row.size_bytes) for row in rows],
            "Latency": [ms_text(row.p50_ms) for row in rows],
            "Quality": [_quality(row) for row in rows],
        },
        hide_index=True,
        height="content",
        row_height=ROW_PX,
        key=key,
        on_select=lambda: _open(key, ids, opened),
        selection_mode="single-row",
        selection_default={"selection": {"rows": chosen}},
        column_config={
            "Run": st.column_config.TextColumn(width=104),
            "Recipe": st.column_config.TextColumn(width=182),
            "State": st.column_config.TextColumn(width=76),
            **{name: st.column_config.TextColumn(width=62, alignment="right") for name in ("Size", "Latency", "Quality")},
        },
    )


def _open(key: str, ids: Sequence[str], opened: str | None) -> None:
    rows = st.session_state[key]["selection"]["rows"]
    chosen = ids[rows[0]] if rows else None
    if chosen is not None and chosen != opened:
        st.query_params["run"] = chosen


def _state(run: Run) -> str:
    return f"running {percent_text(run.progress.fraction, 0)}" if run.state is RunState.RUNNING else run.outcome


def _quality(row: Row) -> str:
    return row.quality.text if row.quality else "–"
