"""The optional second model: a teacher or a student for distillation."""

from __future__ import annotations

import streamlit as st

from optimizer.runs.requests import bring_model
from optimizer.runs.run import Project, RunKind
from pages.components import session
from pages.components.format import count_text, literal
from pages.components.upload import KERAS_TYPES, draw_inspection, draw_upload, newest_inspection

ROLE = "second_model"


def draw_second_model(project: Project) -> None:
    """The fold with its upload box and what was brought."""
    second = project.second_model
    with st.expander("Second model: a teacher or student for distillation" + (" (brought)" if second else " (optional)")):
        draw_upload(
            "second",
            "Second model",
            KERAS_TYPES,
            lambda file: bring_model(session.store(), project.id, file, file.name, role=ROLE),
        )
        draw_inspection(newest_inspection(project.id, RunKind.INSPECT_MODEL, ROLE), (second or {}).get("name", ""))
        if second is not None:
            st.markdown(f"{literal(second.get('name', ''))}: {count_text(second.get('parameters'))} parameters")
