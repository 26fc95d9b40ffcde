"""Which pages there are, in which groups."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st
from streamlit.navigation.page import Page

from pages.components.session import COMPARE, EXPERIMENT, MODEL_AND_DATA, RUNS, START

_FRAME = "frame"


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


def chosen_page() -> Page:
    """Draw the menu; returns the page to run, which must run `in_frame`."""
    return st.navigation(pages(), expanded=True)


@contextmanager
def in_frame() -> Iterator[None]:
    """Within it, pages know that app.py has drawn what stands around them."""
    st.session_state[_FRAME] = True
    try:
        yield
    finally:
        st.session_state.pop(_FRAME, None)


def require_frame() -> None:
    """Called first by every page: begin again with app.py where it was left out.

    A server's very first request makes Streamlit 1.67 run the files of a folder named pages/ by themselves, without app.py, when it
    is for a page's own address (a reload after a restart). Calling `st.navigation` once ends that for the whole process.
    """
    if _FRAME not in st.session_state:
        st.navigation(pages(), expanded=True)
        st.rerun()
