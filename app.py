"""Litesmith's dashboard: `streamlit run app.py`. Page config, navigation and the sidebar; the pages are in pages/."""

from pathlib import Path

import streamlit as st

from pages.components.guard import guarded
from pages.components.navigation import chosen_page, in_frame
from pages.components.session import current_project, keep_runner_alive
from pages.components.sidebar import draw_sidebar

SIDEBAR_PX = 264
ASSETS = Path(__file__).parent / "assets"

st.set_page_config(page_title="Litesmith", page_icon=str(ASSETS / "icon.svg"), layout="wide", initial_sidebar_state=SIDEBAR_PX)
st.logo(str(ASSETS / "logo.svg"), size="medium", icon_image=str(ASSETS / "icon.svg"))
st.html(ASSETS / "style.css")

page = chosen_page()
with guarded("the sidebar"):
    keep_runner_alive()
    draw_sidebar(current_project())
with guarded(page.title), in_frame():
    page.run()
