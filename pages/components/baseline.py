"""Which baseline a project's numbers are read against."""

from __future__ import annotations

from optimizer.runs.requests import ensure_baseline
from optimizer.runs.run import Project, Run, RunKind, RunState
from optimizer.runs.store import Store
from pages.components.compared import data_identity

_MOST_BASELINES = 50


def finished_baselines(store: Store, project_id: str) -> list[Run]:
    """The measured originals of a project (one for each model, data and seed), newest first."""
    return store.runs(project_id, kinds=(RunKind.BASELINE,), states=(RunState.SUCCEEDED,), limit=_MOST_BASELINES)


def baseline_of(store: Store, project: Project) -> Run | None:
    """The newest finished baseline of the project's present model and data; None until there is one."""
    if project.model is None or project.data_source is None:
        return None
    for run in finished_baselines(store, project.id):
        if _works_on(run, project):
            return run
    return None


def measure_original(store: Store, project: Project) -> None:
    """Queue the baseline as soon as a project has model and data, so that it is there before any option is weighed.

    A baseline that was tried is not tried again by itself, whatever became of it.
    """
    if project.model is None or project.data_source is None:
        return
    inputs = {
        "model": {"sha256": project.model["sha256"], "name": project.model["name"]},
        "data": dict(project.data_source),
    }
    for run in store.runs(project.id, kinds=(RunKind.BASELINE,), limit=_MOST_BASELINES):
        if _works_on(run, project):
            return
    ensure_baseline(store, project.id, inputs, seed=0)


def _works_on(run: Run, project: Project) -> bool:
    same_model = (run.inputs.get("model") or {}).get("sha256") == (project.model or {}).get("sha256")
    return same_model and data_identity(run.inputs.get("data")) == data_identity(project.data_source)
