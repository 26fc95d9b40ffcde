"""The runs of a project that are still to come, with their progress; refreshes in place."""

from __future__ import annotations

import streamlit as st

from optimizer.runs.run import RUN_KINDS, RunState
from pages.components import session
from pages.components.compared import run_label
from pages.components.format import counted, literal
from pages.components.guard import guarded
from pages.components.job_tray import progress_words

MOST_SHOWN = 6
WIDTHS = (2.6, 7.95)


@st.fragment(run_every=1.0)
def draw_waiting(project_id: str) -> None:
    """One line a run: name and progress. The page is drawn again by the job tray when one of them finishes."""
    with guarded("runs under way"):
        store = session.store()
        running = store.runs(project_id, kinds=RUN_KINDS, states=(RunState.RUNNING,), limit=MOST_SHOWN)
        queued = store.count_runs(project_id, kinds=RUN_KINDS, states=(RunState.QUEUED,))
        waiting = store.runs(
            project_id, kinds=RUN_KINDS, states=(RunState.QUEUED,), limit=MOST_SHOWN, offset=max(0, queued - MOST_SHOWN)
        )
        shown = [*reversed(running), *reversed(waiting)][:MOST_SHOWN]
        with st.container(gap="xsmall", key="coming-runs"):
            for run in shown:
                name, bar = st.columns(WIDTHS, gap="small", vertical_alignment="center")
                name.markdown(f"{literal(run_label(run))}  \n:small[:gray[{literal(run.recipe_in_words, 60)}]]")
                bar.progress(min(1.0, max(0.0, run.progress.fraction)), text=literal(progress_words(run), 120))
            if len(running) + queued > len(shown):
                st.caption(f"and {counted(len(running) + queued - len(shown), 'run')} more")
