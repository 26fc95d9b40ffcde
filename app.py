"""Litesmith's dashboard: `streamlit run app.py`. The frame around the pages, and the page that was asked for."""

from pages.components.frame import draw_frame, run_page

run_page(draw_frame())
