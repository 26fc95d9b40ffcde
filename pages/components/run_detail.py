"""One run in full: how far it is, what it says, what came out, what went wrong and the way on from there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from optimizer.errors import OptimizerError, error_from_json
from optimizer.recipe import recipe_from_json
from optimizer.runs.requests import run_again
from optimizer.runs.run import Run, RunKind, RunState
from optimizer.runs.store import Store
from optimizer.titles import in_words
from pages.components import session
from pages.components.compared import Row, qualities_of, rows_of
from pages.components.deltas import P50_WORDS, PAIRED_WORDS, latency_delta, quality_delta, sentence, size_delta
from pages.components.downloads import draw_downloads, show_refused_download
from pages.components.draft_memory import load_recipe
from pages.components.format import ago_text, bytes_text, count_text, duration_text, literal, ms_text, percent_text
from pages.components.guard import guarded, show_error
from pages.components.job_tray import progress_words
from pages.components.live_curves import draw_curves
from pages.components.start_and_presets import KERAS_RESULT
from pages.components.submit_panel import submit_key

REFRESH_S = 1.0


def draw_run(store: Store, run: Run) -> None:
    """Draw the panel of one run. While the run works, its moving part refreshes by itself."""
    st.subheader(literal(run.name or run.recipe_in_words), anchor=False)
    if run.recipe_in_words and run.recipe_in_words != run.name:
        st.caption(literal(run.recipe_in_words, 300))
    if run.note:
        st.caption(f"Note: {literal(run.note, 2000)}")
    if run.state.is_final:
        _draw_finished(store, run)
    else:
        st.fragment(_draw_working, run_every=REFRESH_S)(run.id)
    _draw_actions(store, run)
    _draw_notes(store, run)
    with st.expander("Log"):
        st.code(store.log(run.id) or "Nothing was printed.", language=None, height=280)


def _draw_working(run_id: str) -> None:
    with guarded("a running run"):
        store = session.store()
        run = store.run(run_id)
        fraction = min(1.0, max(0.0, run.progress.fraction))
        st.progress(fraction, text=f"{percent_text(fraction, 0)}: {literal(progress_words(run), 160)}")
        draw_curves(store, run_id)


def _draw_finished(store: Store, run: Run) -> None:
    took = None if run.started_at is None or run.finished_at is None else run.finished_at - run.started_at
    st.caption(f"{run.outcome}, {ago_text(run.finished_at)}" + ("" if took is None else f", took {duration_text(took)}"))
    if run.error is not None:
        show_error(error_from_json(run.error))
        if run.progress.stage:
            st.caption(f"It stopped in: {literal(in_words(run.progress.stage))}")
    if run.state is RunState.SUCCEEDED and run.metrics:
        (row,) = rows_of([run], None)
        if run.kind is RunKind.EXPERIMENT:
            st.markdown(literal(sentence(row), 400))
        _draw_numbers(row)
        with st.container(horizontal=True):
            draw_downloads(store, run, "detail")
        show_refused_download(run)
    draw_curves(store, run.id)


def _draw_numbers(row: Row) -> None:
    size, speed, quality = size_delta(row), latency_delta(row), quality_delta(row)
    left, middle, right = st.columns(3)
    arrow: dict[str, Any] = {"delta_color": "off", "delta_arrow": "off"}
    left.metric("Size", bytes_text(row.size_bytes), size.text if size else None, **arrow)
    middle.metric("Latency, p50", ms_text(row.p50_ms), speed.text if speed else None, help=f"{P50_WORDS} {PAIRED_WORDS}", **arrow)
    if row.quality is not None:
        words = None if quality is None else quality.text.replace(" points", "").replace(" (tie)", ", tie")
        right.metric(row.quality.words[:1].upper() + row.quality.words[1:], row.quality.text, words, **arrow)
        others = [f"{quality.words} {quality.text}" for quality in qualities_of(row.run.metrics)[1:]]
        if others:
            right.caption(", ".join(others))
    left.caption(f"{bytes_text(row.gzip_bytes)} compressed")
    middle.caption(f"p95 {ms_text(row.p95_ms)}")
    right.caption(f"{count_text(row.parameters)} parameters, {count_text(row.macs)} MACs")


def _draw_actions(store: Store, run: Run) -> None:
    with st.container(horizontal=True):
        if not run.state.is_final:
            if st.button("Cancel", icon=":material/close:", key=f"stop.{run.id}", disabled=run.cancel_requested):
                store.request_cancel(run.id)
                st.rerun()
            return
        first: dict[str, Any] = {"type": "primary"} if run.state is not RunState.SUCCEEDED else {}
        if st.button("Run again", icon=":material/replay:", key=f"again.{run.id}", **first):
            _run_again(store, run)
        if run.kind is RunKind.EXPERIMENT:
            if st.button("Change the recipe", icon=":material/tune:", key=f"edit.{run.id}"):
                _open_recipe(run, run.parent_id)
            if KERAS_RESULT in run.artifacts and st.button(
                "Start from this", icon=":material/subdirectory_arrow_right:", key=f"from.{run.id}"
            ):
                _open_recipe(run, run.id)


def _run_again(store: Store, run: Run) -> None:
    try:
        again = run_again(store, run.id, key=submit_key(f"again{run.id}"))
    except OptimizerError as error:
        show_error(error)
    else:
        st.query_params["run"] = again.id
        st.rerun()


def _open_recipe(run: Run, parent_id: str | None) -> None:
    """Load the recipe into Experiment; starting from the run itself, its steps are done already, so none is loaded."""
    record: Mapping[str, Any] = run.recipe or {}
    if parent_id == run.id:
        record = {**record, "steps": []}
    try:
        load_recipe(run.project_id, recipe_from_json(record), parent_id)
    except OptimizerError as error:
        show_error(error)
    else:
        session.go(session.EXPERIMENT)


def _draw_notes(store: Store, run: Run) -> None:
    notes = [str(event.data.get("text", "")) for event in store.events(run.id, kinds=("note",))]
    if notes:
        with st.expander(f"What it said ({len(notes)})", expanded=len(notes) < 4):
            for note in notes:
                st.text(note)
