"""Litesmith's dashboard: `streamlit run app.py`. Page config, navigation and the sidebar; the pages are in pages/."""

from pathlib import Path

import streamlit as st

from pages.components.guard import guarded
from pages.components.session import COMPARE, EXPERIMENT, MODEL_AND_DATA, RUNS, START, current_project, keep_runner_alive
from pages.components.sidebar import draw_sidebar

ASSETS = Path(__file__).parent / "assets"

st.set_page_config(page_title="Litesmith", page_icon=str(ASSETS / "icon.svg"), layout="wide", initial_sidebar_state="expanded")
st.logo(str(ASSETS / "logo.svg"), size="medium", icon_image=str(ASSETS / "icon.svg"))
st.html(ASSETS / "style.css")

page = st.navigation(
    {
        "Prepare": [
            st.Page(START, title="Start", icon=":material/home:", default=True),
            st.Page(MODEL_AND_DATA, title="Model & Data", icon=":material/dataset:"),
        ],
        "Experiment": [
            st.Page(EXPERIMENT, title="Experiment", icon=":material/tune:"),
            st.Page(RUNS, title="Runs", icon=":material/list_alt:"),
        ],
        "Decide": [st.Page(COMPARE, title="Compare", icon=":material/leaderboard:")],
    },
    expanded=True,
)

with guarded("the sidebar"):
    keep_runner_alive()
    draw_sidebar(current_project())
with guarded(page.title):
    page.run()
