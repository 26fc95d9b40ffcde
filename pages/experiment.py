"""Experiment: put steps in order, see what they will do, run them once or as a sweep."""

from functools import partial

import streamlit as st

from optimizer.runs.run import RunKind, RunState
from optimizer.sources.summary import model_summary_from_json
from pages.components import session
from pages.components.baseline import baseline_of
from pages.components.draft_memory import change_draft, draft_of, keep_draft, load_recipe
from pages.components.expectation_panel import draw_expectation
from pages.components.frame import require_frame
from pages.components.next_step import ready_to_run
from pages.components.recipe_draft import checked
from pages.components.recipe_json import draw_recipe_json
from pages.components.start_and_presets import draw_start_and_presets
from pages.components.step_editor import draw_steps
from pages.components.submit_panel import draw_submit

require_frame()

st.title("Experiment", anchor=False)
project = session.current_project()
if ready_to_run(project) and project is not None:
    store = session.store()
    model = model_summary_from_json(project.model or {})
    earlier = store.runs(project.id, kinds=(RunKind.EXPERIMENT,), states=(RunState.SUCCEEDED,), limit=100)
    project_id = project.id

    draw_start_and_presets(project_id, earlier, (project.data or {}).get("splits", {}).get("train"), model)
    steps, panel = st.columns([1.75, 1], gap="large")
    with steps:
        draft = draw_steps(draft_of(project_id), model, partial(change_draft, project_id))
        keep_draft(project_id, draft)
        draw_recipe_json(draft, partial(load_recipe, project_id))
    verdict = checked(draft, model)
    with panel, st.container(border=True):
        st.subheader("What this will do", anchor=False)
        if verdict.recipe is not None:
            draw_expectation(verdict.recipe, model, baseline_of(store, project), earlier)
        elif verdict.order_error:
            st.error(verdict.order_error + ".", icon=":material/error:")
        else:
            st.warning("A step cannot run as it is set; the reason stands at the step.", icon=":material/warning:")
        draw_submit(project_id, draft, verdict.recipe)
