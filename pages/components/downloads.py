"""Downloads of a run's files. Nothing is read before the click; then the stored file is hashed again, and a damaged one is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from optimizer.errors import OptimizerError
from optimizer.runs.run import Run
from optimizer.runs.store import Store
from pages.components.format import file_stem
from pages.components.guard import show_error

KINDS = (
    ("model.tflite", ".tflite", "application/octet-stream", ":material/download:", "The optimized model"),
    ("recipe.json", "recipe", "application/json", "", "The recipe that made it; runs again with python -m optimizer run"),
    ("report.json", "report", "application/json", "", "Every measurement, stage by stage"),
)

_REFUSED = "refused_download."


def draw_downloads(store: Store, run: Run, place: str) -> None:
    """One button a file, for the files that the run has left. `place` keeps the keys of two such rows apart."""
    for artifact, label, mime, icon, words in KINDS:
        sha256 = run.artifacts.get(artifact)
        if sha256 is None:
            continue
        st.download_button(
            label,
            data=_reader(store, sha256),
            file_name=download_name(run, artifact, sha256),
            mime=mime,
            icon=icon or None,
            key=f"{place}.{run.id}.{artifact}",
            help=words,
            type="tertiary",
            on_click=_check,
            args=(store, run.id, sha256),
        )


def show_refused_download(run: Run) -> None:
    """Why a file of this run was not handed out just now; nothing where none was refused."""
    refused: OptimizerError | None = st.session_state.pop(_REFUSED + run.id, None)
    if refused is not None:
        show_error(refused)


def _check(store: Store, run_id: str, sha256: str) -> None:
    """Keep the reason why a file is not handed out: the button itself would only say that there is none."""
    try:
        store.read_object(sha256)
    except OptimizerError as error:
        st.session_state[_REFUSED + run_id] = error


def _reader(store: Store, sha256: str) -> Callable[[], bytes]:
    return partial(store.read_object, sha256)


def download_name(run: Run, artifact: str, sha256: str) -> str:
    """A file name that tells files apart: two results of equal name and length must not be taken for one another by a cache."""
    stem, _, extension = artifact.rpartition(".")
    kind = "" if stem == "model" else f"-{stem}"
    return f"{file_stem(run.name or run.recipe_in_words)}{kind}-{sha256[:8]}.{extension}"
