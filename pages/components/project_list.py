"""The projects there are, newest activity first, each with a way in."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from optimizer.runs.run import RUN_KINDS, Project, RunState
from optimizer.runs.store import Store
from pages.components import session
from pages.components.format import ago_text, counted, literal

MOST_SHOWN = 12
_WIDTHS = (3, 3, 2, 2, 1)


def draw_projects(store: Store, projects: Sequence[Project]) -> None:
    """A list of at most MOST_SHOWN projects; the sidebar's picker has all of them."""
    st.subheader("Projects", anchor=False)
    with st.container(border=True, gap="xsmall", key="tight-projects"):
        for project in projects[:MOST_SHOWN]:
            name, model, runs, activity, button = st.columns(_WIDTHS, vertical_alignment="center")
            counts = store.run_counts(project.id, kinds=RUN_KINDS)
            name.markdown(f"**{literal(project.name)}**")
            model.caption(literal((project.model or {}).get("name", "no model yet")))
            runs.caption(f"{counted(sum(counts.values()), 'run')}, {counts.get(RunState.SUCCEEDED, 0)} succeeded")
            activity.caption(ago_text(store.last_activity(project.id)))
            if button.button("Open", key=f"open.{project.id}", type="tertiary"):
                session.show_project(project.id)
                session.go(session.COMPARE if counts else session.MODEL_AND_DATA)
    if len(projects) > MOST_SHOWN:
        st.caption(f"and {len(projects) - MOST_SHOWN} more in the list at the left")
