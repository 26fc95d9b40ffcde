"""What stands around every page: configuration, menu, sidebar."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import streamlit as st
from streamlit.navigation.page import Page

from optimizer.runs.sandbox.policy import sandbox_warning
from pages.components.guard import guarded
from pages.components.session import COMPARE, EXPERIMENT, MODEL_AND_DATA, RUNS, START, current_project, keep_runner_alive
from pages.components.sidebar import draw_sidebar

ASSETS = Path(__file__).parents[2] / "assets"
SIDEBAR_PX = 264
_FRAMED = "framed"


def pages() -> dict[str, list[Page]]:
    """The menu."""
    return {
        "Prepare": [
            st.Page(START, title="Start", icon=":material/home:", default=True),
            st.Page(MODEL_AND_DATA, title="Model & Data", icon=":material/dataset:"),
        ],
        "Experiment": [
            st.Page(EXPERIMENT, title="Experiment", icon=":material/tune:"),
            st.Page(RUNS, title="Runs", icon=":material/list_alt:"),
        ],
        "Decide": [st.Page(COMPARE, title="Compare", icon=":material/leaderboard:")],
    }


def draw_frame() -> Page:
    """Draw the frame; returns the page that goes into it."""
    st.set_page_config(
        page_title="Litesmith", page_icon=str(ASSETS / "icon.svg"), layout="wide", initial_sidebar_state=SIDEBAR_PX
    )
    st.logo(str(ASSETS / "logo.svg"), size="medium", icon_image=str(ASSETS / "icon.svg"))
    st.html(ASSETS / "style.css")
    page = st.navigation(pages(), expanded=True)
    if warning := sandbox_warning():
        st.error(warning, icon=":material/gpp_bad:")
    with guarded("the sidebar"):
        keep_runner_alive()
        draw_sidebar(current_project())
    return page


def run_page(page: Page) -> None:
    """Run the page within the frame that was drawn."""
    with guarded(page.title), _framed():
        page.run()


@contextmanager
def _framed() -> Iterator[None]:
    st.session_state[_FRAMED] = True
    try:
        yield
    finally:
        st.session_state.pop(_FRAMED, None)


def require_frame() -> None:
    """Called first by every page: begin with the frame where app.py was left out.

    As long as nothing in a process has called `st.navigation`, Streamlit 1.67 runs the files of a folder named pages/ by themselves:
    that is so for a server's very first request where it is for a page's own address (a reload after a restart), and in AppTest.
    """
    if _FRAMED not in st.session_state:
        run_page(draw_frame())
        st.stop()
