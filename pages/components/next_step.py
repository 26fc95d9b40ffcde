"""What to do next on a page that has nothing to show yet."""

from __future__ import annotations

import streamlit as st

from optimizer.runs.run import Project
from pages.components import session


def ready_to_run(project: Project | None) -> bool:
    """Whether the project has model and data; where it has not, say so and show the way."""
    if project is None:
        suggest("There is no project yet. Try the sample, or bring a trained model.", "Go to Start", session.START)
        return False
    missing = [name for name, part in (("a model", project.model), ("data", project.data)) if part is None]
    if missing:
        suggest(f"This project needs {' and '.join(missing)} first.", "Go to Model & Data", session.MODEL_AND_DATA)
    return not missing


def suggest(sentence: str, label: str, page: str) -> None:
    """One sentence and the button that leads on."""
    st.info(sentence, icon=":material/info:")
    if st.button(label, type="primary"):
        session.go(page)
