"""What one browser session looks at: the store, and the project in view."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NoReturn

import streamlit as st

from optimizer.runs.home import default_home
from optimizer.runs.launch import ensure_runner, touch_web_alive
from optimizer.runs.run import Project
from optimizer.runs.store import Store

START, MODEL_AND_DATA, EXPERIMENT, RUNS, COMPARE = (
    f"pages/{name}.py" for name in ("start", "model_and_data", "experiment", "runs", "compare")
)
_SECONDS_BETWEEN_LAUNCHES = 5.0
_NEW_PROJECT = ""


@st.cache_resource(show_spinner=False)
def _store_of(home: str) -> Store:
    return Store(Path(home))


def store() -> Store:
    """The process's one store."""
    return _store_of(str(default_home()))


@st.cache_resource(show_spinner=False)
def _launches(home: str) -> dict[str, float]:
    return {"last": 0.0}


def keep_runner_alive() -> None:
    """Tell the runner that someone is here, and start one where none is alive."""
    home = store().home
    touch_web_alive(home)
    launches = _launches(str(home))
    if time.monotonic() - launches["last"] >= _SECONDS_BETWEEN_LAUNCHES:
        launches["last"] = time.monotonic()
        ensure_runner(home)


def current_project() -> Project | None:
    """The project in view: the one in the URL, else this session's, else the one that was last worked on. None where there is none."""
    wanted = st.query_params.get("project") or st.session_state.get("project")
    if wanted == _NEW_PROJECT:
        return None
    project = None
    if wanted is not None:
        try:
            project = store().project(str(wanted))
        except KeyError:
            st.warning("The project in this address is not known here; the latest one is shown instead.")
    if project is None:
        project = next(iter(store().projects()), None)
    if project is not None:
        show_project(project.id)
    return project


def show_project(project_id: str) -> None:
    """Bring a project into view, in this session and in the URL."""
    st.session_state["project"] = project_id
    if st.query_params.get("project") != project_id:
        st.query_params["project"] = project_id


def begin_new_project() -> None:
    """Look at no project, so that the next model brought begins one."""
    st.session_state["project"] = _NEW_PROJECT
    if "project" in st.query_params:
        del st.query_params["project"]


def go(page: str, **query: str) -> NoReturn:
    """Switch to a page of the project in view, with further parameters in its URL."""
    project_id = st.session_state.get("project")
    st.switch_page(page, query_params={**({"project": project_id} if project_id else {}), **query})
