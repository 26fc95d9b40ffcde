"""Handing over a file: it goes to the store in chunks at once, a worker looks into it, and what it says stands right here."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from optimizer.errors import OptimizerError, error_from_json
from optimizer.runs.run import Run, RunKind, RunState
from pages.components import session
from pages.components.format import literal
from pages.components.guard import show_error
from pages.components.job_tray import progress_words

KERAS_TYPES = ("keras", "h5")
MODEL_TYPES = (*KERAS_TYPES, "zip", "tflite")
_RECENT = 12


def draw_upload(slot: str, label: str, types: Sequence[str], submit: Callable[[UploadedFile], Run]) -> None:
    """An upload box. The file is given to `submit` once; then the box is replaced by a new one, so that its memory is freed.

    Args:
        slot: What is handed over; begins the widget's key.
        label: The box's label.
        types: Extensions that the box takes.
        submit: Stores the file and queues its inspection.
    """
    nonce = st.session_state.setdefault(f"{slot}.nonce", 0)
    file = st.file_uploader(label, type=list(types), key=f"{slot}.{nonce}", label_visibility="collapsed")
    error: OptimizerError | None = st.session_state.get(f"{slot}.error")
    if file is not None:
        st.session_state[f"{slot}.nonce"] = nonce + 1
        st.session_state[f"{slot}.error"] = None
        try:
            with st.spinner("Storing the file"):
                submit(file)
        except OptimizerError as refused:
            st.session_state[f"{slot}.error"] = refused
        free_upload(file)
        st.rerun()
    if error is not None:
        show_error(error)


def free_upload(file: UploadedFile) -> None:
    """Take an upload out of the server's memory, where Streamlit 1.67 would keep it until some time after the session's end."""
    context = get_script_run_ctx()
    manager = None if context is None else context.uploaded_file_mgr
    if context is not None and isinstance(manager, MemoryUploadedFileManager):
        manager.remove_file(context.session_id, file.file_id)
    file.close()


def newest_inspection(project_id: str, kind: RunKind, role: str = "") -> Run | None:
    """The latest look into a file of this kind (and, for models, of this role)."""
    for run in session.store().runs(project_id, kinds=(kind,), limit=_RECENT):
        if not role or run.inputs.get("role", "model") == role:
            return run
    return None


def draw_inspection(run: Run | None, kept: str) -> None:
    """What became of the latest file: being read, refused (with what to do), or nothing to say.

    `kept` names what stays in use when it was refused; empty where there was nothing before.
    """
    if run is None or run.state is RunState.SUCCEEDED:
        return
    if not run.state.is_final:
        st.progress(
            min(1.0, max(0.05, run.progress.fraction)), text=f"Reading {literal(run.name)}: {literal(progress_words(run))}"
        )
        return
    if run.error is not None:
        st.caption(f"Not accepted: {literal(run.name)}")
        show_error(error_from_json(run.error))
    else:
        st.warning(f"{literal(run.name)}: {run.state.value}. Hand it over again.", icon=":material/warning:")
    if kept:
        st.caption(f"Nothing has changed: {literal(kept)} is still in use.")
