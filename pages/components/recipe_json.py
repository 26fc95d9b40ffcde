"""The recipe as JSON: to read and copy, to paste, to upload."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from optimizer.errors import InputError
from optimizer.recipe import MAX_JSON_CHARACTERS, Recipe, recipe_from_text
from pages.components.guard import show_error
from pages.components.recipe_draft import Draft
from pages.components.upload import free_upload

_MOST_MB = 1


def draw_recipe_json(draft: Draft, use: Callable[[Recipe], None]) -> None:
    """Draw the fold. `use` takes a recipe that was pasted or uploaded."""
    with st.expander("Recipe as JSON"):
        st.code(draft.to_text(), language="json")
        st.text_area(
            "Paste a recipe",
            key="pasted_recipe",
            max_chars=MAX_JSON_CHARACTERS,
            height=110,
            placeholder='{"version": 1, "steps": [...]}',
        )
        st.button("Use the pasted recipe", on_click=_paste, args=(use,))
        nonce = st.session_state.setdefault("recipe_upload", 0)
        file = st.file_uploader("Upload a recipe", type="json", max_upload_size=_MOST_MB, key=f"recipe_upload.{nonce}")
        if file is not None:
            text = file.getvalue().decode("utf-8", errors="replace")
            st.session_state["recipe_upload"] = nonce + 1
            free_upload(file)
            _read(text, use)
            st.rerun()
        error = st.session_state.get("recipe_error")
        if error is not None:
            show_error(error)


def _paste(use: Callable[[Recipe], None]) -> None:
    _read(st.session_state["pasted_recipe"], use)


def _read(text: str, use: Callable[[Recipe], None]) -> None:
    try:
        use(recipe_from_text(text))
    except InputError as error:
        st.session_state["recipe_error"] = error
    else:
        st.session_state["recipe_error"] = None
