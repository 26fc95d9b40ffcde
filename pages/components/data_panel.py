"""Bringing data: a file, a bundled set, a label column, a separate test file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import streamlit as st

from optimizer.errors import OptimizerError
from optimizer.runs.requests import bring_bundled_data, bring_data
from optimizer.runs.run import Project, Run, RunKind, RunState
from optimizer.sources.readers.bundled import BUNDLED
from pages.components import session
from pages.components.guard import show_error
from pages.components.task_choice import draw_task_choice
from pages.components.upload import draw_upload

TYPES = ("npz", "csv", "zip")
FORMATS = (
    ".npz with x_train, y_train, x_test, y_test (or x, y; for a model of several inputs x_train_<input> for each); "
    ".csv with a label column; .zip with one folder of images a class. "
    "Labels may be class numbers, one-hot, 0 or 1 for each of several labels, numbers to predict, or a class a step or pixel. "
    "Where there is no test part, a fixed, stratified fifth is set aside."
)


def draw_data_boxes(project: Project | None, project_id: Callable[[str], str], newest: Run | None) -> None:
    """The ways to bring data. `project_id` gives the project to bring them to, and makes one where there is none yet."""
    label = st.session_state.get("label_column", "")
    draw_upload(
        "data",
        "Data",
        TYPES,
        lambda file: bring_data(session.store(), project_id(file.name), file, file.name, label=label.strip()),
    )
    st.caption(FORMATS)
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.caption("or bundled:", width="content")
        for name in BUNDLED:
            if st.button(name, key=f"bundled.{name}", help="Needs no network" if name == "digits" else "Downloaded on first use"):
                _bring(partial(_bring_bundled, project_id, name))
    source = _source(project, newest)
    if source is not None and project is not None and project.model:
        understood = (project.data or {}).get("task") if newest is None or newest.state is RunState.SUCCEEDED else None
        draw_task_choice(source, understood, lambda changed: _bring(lambda: _read_again(project_id(""), changed)))
    with st.expander("Label column, separate test file"):
        left, right = st.columns([2, 1], vertical_alignment="bottom")
        left.text_input(
            "Label column of a .csv",
            key="label_column",
            max_chars=200,
            placeholder="found by itself where it is named label, target, y or class",
        )
        if source is not None and "sha256" in source:
            if right.button("Read again with it", width="stretch"):
                _bring(lambda: _read_again(project_id(""), {**source, "label": label.strip()}))
            st.caption("A second file that holds the test samples:")
            draw_upload("test_data", "Test data", TYPES, lambda file: _add_test(project_id(""), source, file))


def _source(project: Project | None, newest: Run | None) -> Mapping[str, Any] | None:
    """What was handed over last, accepted or not: a wrong label column can be mended without another upload."""
    if newest is not None:
        return newest.inputs.get("data")
    return None if project is None else project.data_source


def _bring_bundled(project_id: Callable[[str], str], name: str) -> Run:
    return bring_bundled_data(session.store(), project_id(name), name)


def _bring(submit: Callable[[], Run]) -> None:
    try:
        submit()
    except OptimizerError as error:
        show_error(error)
    else:
        st.rerun()


def _read_again(project_id: str, source: Mapping[str, Any]) -> Run:
    return session.store().submit(
        project_id, RunKind.INSPECT_DATA, name=str(source.get("name", "data")), inputs={"data": dict(source)}
    )


def _add_test(project_id: str, source: Mapping[str, Any], file: st.runtime.uploaded_file_manager.UploadedFile) -> Run:
    stored = session.store().add_file(file, file.name)
    return _read_again(project_id, {**source, "test": {"sha256": stored.sha256, "name": stored.name}})
