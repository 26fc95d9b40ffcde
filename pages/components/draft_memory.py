"""Where the draft of each project's recipe is kept, so that neither another page nor a reload loses it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import streamlit as st

from optimizer.recipe import Recipe
from pages.components import session
from pages.components.recipe_draft import Draft

_MOST_PROJECTS = 64


@st.cache_resource(show_spinner=False)
def _drafts_of(home: str) -> dict[str, Draft]:
    return {}


def _drafts() -> dict[str, Draft]:
    return _drafts_of(str(session.store().home))


def draft_of(project_id: str) -> Draft:
    """This session's draft; at first the one that was last worked on in any session, else an empty one."""
    key = f"draft.{project_id}"
    if key not in st.session_state:
        st.session_state[key] = _drafts().get(project_id, Draft())
    draft: Draft = st.session_state[key]
    return draft


def keep_draft(project_id: str, draft: Draft) -> None:
    """Store the draft in the session and, for a reload, in the process."""
    st.session_state[f"draft.{project_id}"] = draft
    drafts = _drafts()
    drafts.pop(project_id, None)
    drafts[project_id] = draft
    while len(drafts) > _MOST_PROJECTS:
        drafts.pop(next(iter(drafts)))


def change_draft(project_id: str, change: Callable[[Draft], Draft]) -> None:
    """Apply a change to the kept draft."""
    keep_draft(project_id, change(draft_of(project_id)))


def load_recipe(project_id: str, recipe: Recipe, parent_id: Any = ...) -> None:
    """Replace the draft's steps by a recipe's; and the run to start from, where one is given (None: the original)."""
    draft = draft_of(project_id).with_recipe(recipe)
    if parent_id is not ...:
        draft = draft_from(draft, parent_id)
    keep_draft(project_id, draft)


def draft_from(draft: Draft, parent_id: str | None) -> Draft:
    """The draft with another run to start from."""
    return dataclasses.replace(draft, parent_id=parent_id)
