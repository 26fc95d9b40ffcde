"""Compare: any number of runs beside the baseline; decide, and take the file along."""

from functools import partial

import streamlit as st

from optimizer.runs.run import RUN_KINDS, RunState
from pages.components import session
from pages.components.bar_chart import bars
from pages.components.baseline import baseline_of, finished_baselines
from pages.components.compare_table import draw_settings, draw_table
from pages.components.compared import AXES, rows_of
from pages.components.deltas import most_worthwhile, sentence
from pages.components.format import literal
from pages.components.frame import require_frame
from pages.components.front_chart import front
from pages.components.next_step import ready_to_run, suggest
from pages.components.view import choose_accent, choose_baseline, choose_runs, look_of, offer
from pages.components.waiting import draw_waiting

require_frame()

CHART = {"displayModeBar": False, "responsive": True}

st.title("Compare", anchor=False)
project = session.current_project()
if project is not None:
    store = session.store()
    baselines = finished_baselines(store, project.id)
    active = store.count_runs(project.id, kinds=RUN_KINDS, states=(RunState.QUEUED, RunState.RUNNING))
    if baselines:
        baseline = choose_baseline(baselines, baseline_of(store, project))
        offered = offer(store, project.id, baseline)
        runs_column, focus_column, axis_column = st.columns([3, 1.1, 1.1], vertical_alignment="bottom")
        with runs_column:
            runs = choose_runs(offered.comparable)
        with focus_column:
            chosen = choose_accent(runs, most_worthwhile(rows_of(runs, None))) if runs else ""
        axis = axis_column.selectbox(
            "Quality against", list(AXES), format_func=lambda name: AXES[name].title, key="axis", bind="query-params"
        )
        rows = rows_of(runs, baseline)
        look = look_of(runs, chosen, project.budget)
        focus = next((row for row in rows if row.id == chosen), None)
        if focus is not None:
            st.markdown(f"##### {literal(sentence(focus), 500)}")
        left, right = st.columns([1.75, 1], gap="medium")
        left.plotly_chart(
            bars(rows, look), config=CHART, key="bars", alt="Size, latency and quality of each run beside the baseline"
        )
        right.plotly_chart(front(rows, look, axis), config=CHART, key="front", alt="Quality of each run against the chosen axis")
        if project.budget:
            st.caption("Dotted lines: the original. Dashed lines: your budget.")
        draw_table(store, rows, look, partial(draw_waiting, project.id) if active else None)
        draw_settings(rows)
        if offered.others:
            with st.expander(f"Not comparable with this baseline: {len(offered.others)}"):
                st.dataframe(
                    {"Run": [run.name for run, _ in offered.others], "Why": [reason for _, reason in offered.others]},
                    hide_index=True,
                )
        if not runs and not active:
            suggest("The original is measured. Put a recipe together and run it.", "Go to Experiment", session.EXPERIMENT)
    elif active:
        st.info("The original is being measured; results stand here as they come in.", icon=":material/hourglass_top:")
        draw_waiting(project.id)
    elif ready_to_run(project):
        failed = store.runs(project.id, kinds=RUN_KINDS, limit=1)
        sentence_ = (
            "The last run did not succeed; Runs tells why."
            if failed
            else "Nothing has been run yet. Put a recipe together and run it."
        )
        suggest(sentence_, "Go to Runs" if failed else "Go to Experiment", session.RUNS if failed else session.EXPERIMENT)
else:
    ready_to_run(project)
