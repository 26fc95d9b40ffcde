"""Runs: everything that was tried in this project, newest first, with what is under way on top."""

import streamlit as st

from optimizer.runs.run import RUN_KINDS
from pages.components import session
from pages.components.format import counted
from pages.components.frame import require_frame
from pages.components.next_step import ready_to_run, suggest
from pages.components.run_detail import draw_run
from pages.components.run_table import draw_table, in_order

require_frame()

PAGE_ROWS = 15

st.title("Runs", anchor=False)
project = session.current_project()
if project is not None:
    store = session.store()
    search_column, state_column = st.columns([1.2, 2], vertical_alignment="bottom")
    search = search_column.text_input("Search", placeholder="name, note or recipe", icon=":material/search:", key="runs_search")
    counts = store.outcome_counts(project.id, kinds=RUN_KINDS)
    chosen = st.session_state.get("runs_outcomes") or []
    outcomes = state_column.pills(
        "State",
        in_order({*counts, *chosen}),
        selection_mode="multi",
        format_func=lambda words: f"{words} {counts.get(words, 0)}",
        key="runs_outcomes",
    )
    total = store.count_runs(project.id, kinds=RUN_KINDS, outcomes=outcomes, search=search)
    pages = max(1, -(-total // PAGE_ROWS))
    listing, detail = st.columns([1.72, 1], gap="medium")
    with listing:
        number = st.pagination(pages, key=f"runs_page.{pages}") if pages > 1 else 1
        runs = store.runs(
            project.id, kinds=RUN_KINDS, outcomes=outcomes, search=search, limit=PAGE_ROWS, offset=(number - 1) * PAGE_ROWS
        )
        opened = st.query_params.get("run") or next((run.id for run in runs), None)
        if runs:
            draw_table(runs, opened)
            st.caption(f"{counted(total, 'run')}; click the left end of a line to open it")
        elif search or outcomes:
            st.info("No run fits this search.", icon=":material/info:")
        elif ready_to_run(project):
            suggest("Nothing has been run yet. Put a recipe together and run it.", "Go to Experiment", session.EXPERIMENT)
    with detail:
        try:
            run = store.run(opened) if opened else None
        except KeyError:
            run = None
        if run is not None and run.project_id == project.id:
            with st.container(border=True):
                draw_run(store, run)
else:
    ready_to_run(project)
