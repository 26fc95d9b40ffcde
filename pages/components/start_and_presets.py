"""Where a recipe starts from (the original, or the result of an earlier run), and the ready-made recipes."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from optimizer.presets import presets
from optimizer.recipe import Recipe
from optimizer.runs.run import Run
from optimizer.sources.summary import ModelSummary
from pages.components.compared import run_label, told_apart
from pages.components.draft_memory import draft_from, draft_of, keep_draft, load_recipe
from pages.components.format import literal

KERAS_RESULT = "model.keras"


def draw_start_and_presets(project_id: str, earlier: Sequence[Run], train_samples: int | None, model: ModelSummary) -> None:
    """One row: the start at the left, presets (with epochs to suit the number of training samples) at the right."""
    starts = {run.id: run for run in earlier if KERAS_RESULT in run.artifacts}
    draft = draft_of(project_id)
    if draft.parent_id is not None and draft.parent_id not in starts:
        keep_draft(project_id, draft_from(draft, None))
    left, right = st.columns([1, 1.6], gap="large", vertical_alignment="bottom")
    shown = draft_of(project_id).parent_id or ""
    words = told_apart({run_id: run_label(run, 40) for run_id, run in starts.items()})
    options, key = ["", *starts], f"start.{project_id}.{shown}"
    left.selectbox(
        "Start from",
        options,
        options.index(shown),
        format_func=lambda run_id: words[run_id] if run_id else "the original model",
        key=key,
        on_change=_choose_start,
        args=(project_id, key),
        help="A recipe can go on from what an earlier run has made, as long as that run left a Keras model "
        "(its last step was no conversion).",
    )
    with right.container(horizontal=True, vertical_alignment="center"):
        st.caption("Presets:", width="content")
        for name, recipe in presets(train_samples).items():
            refusal = next((found for step in recipe.steps if (found := step.refusal_of(model)) is not None), None)
            st.button(
                name,
                key=f"preset.{name}",
                help=recipe.in_words() if refusal is None else literal(f"Not here: {refusal.reason}. {refusal.fix}", 300),
                disabled=refusal is not None,
                on_click=load_recipe,
                args=(project_id, recipe),
            )
        st.button("Empty", key="preset.empty", help="No steps", on_click=load_recipe, args=(project_id, Recipe(seed=draft.seed)))


def _choose_start(project_id: str, key: str) -> None:
    keep_draft(project_id, draft_from(draft_of(project_id), st.session_state[key] or None))
