"""Downloads of a run's files. Nothing is read before the click; then the stored file is hashed again, and a damaged one is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

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
_REFUSALS = "refused_downloads"


@dataclass
class Refusals:
    """Why files of runs were not handed out in this session, by run id. `unseen` until a page has shown the newest."""

    errors: dict[str, OptimizerError] = field(default_factory=dict)
    unseen: bool = False


def refusals() -> Refusals:
    """This session's refusals. The object is also written to by the thread that serves a download."""
    found: Refusals = st.session_state.setdefault(_REFUSALS, Refusals())
    return found


def draw_downloads(store: Store, run: Run, place: str) -> None:
    """One button a file, for the files that the run has left. `place` keeps the keys of two such rows apart."""
    for artifact, label, mime, icon, words in KINDS:
        sha256 = run.artifacts.get(artifact)
        if sha256 is None:
            continue
        st.download_button(
            label,
            data=reader(store, run.id, sha256, refusals()),
            file_name=download_name(run, artifact, sha256),
            mime=mime,
            icon=icon or None,
            key=f"{place}.{run.id}.{artifact}",
            help=words,
            type="tertiary",
            on_click="ignore",
        )


def reader(store: Store, run_id: str, sha256: str, refused: Refusals) -> Callable[[], bytes]:
    """What a click on a download calls. A refusal is kept for the page: the button itself would only say that there is no file."""

    def read() -> bytes:
        try:
            content = store.read_object(sha256)
        except OptimizerError as error:
            refused.errors[run_id], refused.unseen = error, True
            raise
        refused.errors.pop(run_id, None)
        return content

    return read


def show_refused_download(run: Run) -> None:
    """Why a file of this run was not handed out; nothing where none was refused."""
    error = refusals().errors.get(run.id)
    if error is not None:
        show_error(error)


def download_name(run: Run, artifact: str, sha256: str) -> str:
    """A file name that tells files apart: two results of equal name and length must not be taken for one another by a cache."""
    stem, _, extension = artifact.rpartition(".")
    kind = "" if stem == "model" else f"-{stem}"
    return f"{file_stem(run.name or run.recipe_in_words)}{kind}-{sha256[:8]}.{extension}"
