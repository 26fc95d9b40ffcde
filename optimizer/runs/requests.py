"""What a person asks for in one click, as one call: the sample, an upload, an experiment, a sweep."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from optimizer.errors import InputError, printable
from optimizer.presets import presets
from optimizer.recipe import Recipe, check_takes, recipe_from_json
from optimizer.runs.run import Project, Run, RunKind, RunState
from optimizer.runs.sandbox.policy import require_sandbox_for_uploads
from optimizer.runs.store import Store
from optimizer.runs.submission import Order
from optimizer.sources.summary import model_summary_from_json
from optimizer.technique import technique_from_json

ASSETS = Path(__file__).parents[2] / "assets"
SAMPLE_MODEL = ASSETS / "models" / "digits_cnn.keras"
SAMPLE_DATA = {"bundled": "digits"}
SAMPLE_TRAIN_SAMPLES = 1_150
"""About what the split leaves of the 1,797 digits for training."""
BASELINE_NAME = "baseline"
_NOT_LOST = (RunState.QUEUED, RunState.RUNNING, RunState.SUCCEEDED)


def try_sample(store: Store) -> Project:
    """The project "digits sample", with its inspections, baseline and the three presets queued.

    A second click finds the same project and queues again only what did not succeed.
    """
    project = store.create_project("digits sample", key="sample")
    with SAMPLE_MODEL.open("rb") as stream:
        model = store.add_file(stream, SAMPLE_MODEL.name)
    inputs = {"model": {"sha256": model.sha256, "name": model.name}, "data": SAMPLE_DATA}
    inspect_model = Order(
        project_id=project.id, kind=RunKind.INSPECT_MODEL, name=model.name, inputs={"model": inputs["model"], "role": "model"}
    )
    inspect_data = Order(project_id=project.id, kind=RunKind.INSPECT_DATA, name="digits", inputs={"data": SAMPLE_DATA})
    _submit_unless_done(store, inspect_model, "sample:model")
    _submit_unless_done(store, inspect_data, "sample:data")
    for name, recipe in presets(SAMPLE_TRAIN_SAMPLES).items():
        ensure_baseline(store, project.id, inputs, seed=recipe.seed)
        experiment = Order(project_id=project.id, kind=RunKind.EXPERIMENT, name=name, recipe=recipe, inputs=inputs)
        _submit_unless_done(store, experiment, f"sample:{name}")
    return store.project(project.id)


def _submit_unless_done(store: Store, order: Order, key: str) -> Run:
    """Submit under a numbered key; the number rises only when the run of the last one was lost, so a double click is one run."""
    attempt = 0
    while True:
        run = _submit(store, dataclasses.replace(order, key=f"{key}:{attempt}"))
        if run.state in _NOT_LOST:
            return run
        attempt += 1


def _submit(store: Store, order: Order) -> Run:
    fields = {field.name: getattr(order, field.name) for field in dataclasses.fields(order)}
    return store.submit(fields.pop("project_id"), fields.pop("kind"), **fields)


def ensure_baseline(store: Store, project_id: str, inputs: Mapping[str, Any], *, seed: int) -> Run:
    """The baseline of this model, these data and this seed: the one there is (queued, running or done), or a new one."""
    kept = {name: inputs[name] for name in ("model", "data")}
    order = Order(project_id=project_id, kind=RunKind.BASELINE, name=BASELINE_NAME, recipe=Recipe(seed=seed), inputs=kept)
    earlier = store.baselines(project_id, str(order.baseline_key))
    for run in earlier:
        if run.state in _NOT_LOST:
            return run
    return _submit(store, dataclasses.replace(order, key=f"baseline:{project_id}:{order.baseline_key}:{len(earlier)}"))


def bring_model(
    store: Store, project_id: str, stream: BinaryIO, name: str, role: str = "model", *, key: str | None = None
) -> Run:
    """Store an uploaded model and queue its inspection; only when that succeeds does the project change.

    `role` is "model" or "second_model" (a teacher or student).

    Raises:
        KeyError: there is no such project.
        InputError: NO_SANDBOX.
        RunError: DISK_FULL or BUSY.
    """
    if role not in ("model", "second_model"):
        raise ValueError(f"role must be model or second_model. Received: {role!r}.")
    require_sandbox_for_uploads()
    file = store.add_file(stream, name)
    inputs = {"model": {"sha256": file.sha256, "name": file.name}, "role": role}
    return store.submit(project_id, RunKind.INSPECT_MODEL, name=file.name, inputs=inputs, key=key)


def bring_data(
    store: Store,
    project_id: str,
    stream: BinaryIO,
    name: str,
    *,
    label: str = "",
    test: tuple[BinaryIO, str] | None = None,
    key: str | None = None,
) -> Run:
    """Store uploaded data and queue their inspection; only when that succeeds does the project change.

    Args:
        stream: The file.
        name: The file's name.
        label: Name of the label column of a .csv; empty to look for the usual names.
        test: A second file (stream, name) that holds the test split.

    Raises:
        KeyError: there is no such project.
        InputError: NO_SANDBOX.
        RunError: DISK_FULL or BUSY.
    """
    require_sandbox_for_uploads()
    file = store.add_file(stream, name)
    source: dict[str, Any] = {"sha256": file.sha256, "name": file.name, "label": label}
    if test is not None:
        test_file = store.add_file(*test)
        source["test"] = {"sha256": test_file.sha256, "name": test_file.name}
    return store.submit(project_id, RunKind.INSPECT_DATA, name=printable(name, 200), inputs={"data": source}, key=key)


def bring_bundled_data(store: Store, project_id: str, name: str, *, key: str | None = None) -> Run:
    """Queue the inspection of a bundled set; only when that succeeds does the project change.

    Raises:
        KeyError: there is no such project.
        RunError: BUSY.
    """
    return store.submit(project_id, RunKind.INSPECT_DATA, name=printable(name, 200), inputs={"data": {"bundled": name}}, key=key)


def run_recipe(
    store: Store,
    project_id: str,
    recipe: Recipe,
    *,
    name: str = "",
    note: str = "",
    parent_id: str | None = None,
    key: str | None = None,
) -> Run:
    """Queue an experiment, and before it the baseline of the same model, data and seed where there is none.

    With a `parent_id` it starts from that run's result, on that run's model and data.

    Raises:
        KeyError: there is no such project or parent.
        InputError: NO_MODEL, NO_DATA, BAD_START, OTHER_SEED, OTHER_PROJECT, FILE_GONE, or what `check_takes` raises.
        RunError: BUSY.
    """
    project = store.project(project_id)
    inputs = inputs_of_project(project) if parent_id is None else _inputs_of_parent(store.run(parent_id), project, recipe)
    if parent_id is None:
        check_takes(recipe, model_summary_from_json(project.model or {}))
    ensure_baseline(store, project_id, inputs, seed=recipe.seed)
    words = name or recipe.in_words()
    return store.submit(
        project_id, RunKind.EXPERIMENT, name=words, note=note, recipe=recipe, parent_id=parent_id, inputs=inputs, key=key
    )


def inputs_of_project(project: Project) -> dict[str, Any]:
    """What an experiment of the project works on. Raises InputError NO_MODEL or NO_DATA."""
    if project.model is None:
        raise InputError("This project has no model yet", code="NO_MODEL", fix="Upload one on Model & Data.")
    if project.data_source is None:
        raise InputError(
            "This project has no data yet", code="NO_DATA", fix="Upload some, or choose a bundled set, on Model & Data."
        )
    return {
        "model": {"sha256": project.model["sha256"], "name": project.model["name"]},
        "data": dict(project.data_source),
        **_second_model(project),
    }


def _second_model(project: Project) -> dict[str, Any]:
    if project.second_model is None:
        return {}
    return {"second_model": {"sha256": project.second_model["sha256"], "name": project.second_model["name"]}}


def _inputs_of_parent(parent: Run, project: Project, recipe: Recipe) -> dict[str, Any]:
    if parent.kind is not RunKind.EXPERIMENT or (parent.state.is_final and "model.keras" not in parent.artifacts):
        raise InputError(
            "This run cannot be the start of another one: it has left no Keras model",
            code="BAD_START",
            place=parent.name,
            received=f"a run that is {parent.state.value}",
            fix="Start from an experiment that succeeded, or from the original model.",
        )
    if parent.seed != recipe.seed:
        raise InputError(
            "The recipe's seed must be that of the run it starts from: another seed splits the data in another way, "
            "and what one run trained on would be another's test",
            code="OTHER_SEED",
            expected=str(parent.seed),
            received=str(recipe.seed),
        )
    return {"model": dict(parent.inputs["model"]), "data": dict(parent.inputs["data"]), **_second_model(project)}


def run_sweep(
    store: Store,
    project_id: str,
    recipe: Recipe,
    step: int,
    setting: str,
    values: Sequence[Any],
    key_prefix: str | None = None,
    *,
    parent_id: str | None = None,
) -> list[Run]:
    """Queue one experiment for each value of one setting of one step (counted from 0); all are checked before any is queued.

    Raises:
        InputError: BAD_SETTING, BAD_ORDER, UNKNOWN_SETTING, UNKNOWN_STEP, and what `run_recipe` raises.
    """
    if not 0 <= step < len(recipe.steps):
        expected = f"1 to {len(recipe.steps)}"
        raise InputError("The recipe has no such step", code="UNKNOWN_STEP", expected=expected, received=f"{step + 1}")
    recipes = []
    for value in values:
        changed = technique_from_json({**recipe.steps[step].to_json(), setting: value})
        recipes.append(dataclasses.replace(recipe, steps=(*recipe.steps[:step], changed, *recipe.steps[step + 1 :])))
    return [
        run_recipe(store, project_id, each, parent_id=parent_id, key=None if key_prefix is None else f"{key_prefix}:{number}")
        for number, each in enumerate(recipes)
    ]


def run_again(store: Store, run_id: str, *, key: str | None = None) -> Run:
    """Queue the same work once more: same recipe, model, data and start.

    Raises:
        KeyError: there is no such run.
        InputError: FILE_GONE where an uploaded file was removed; what `Recipe` raises where a technique is gone.
        RunError: BUSY.
    """
    run = store.run(run_id)
    recipe = None if run.recipe is None else recipe_from_json(run.recipe)
    if run.kind is RunKind.EXPERIMENT:
        ensure_baseline(store, run.project_id, run.inputs, seed=run.seed)
    return store.submit(
        run.project_id,
        run.kind,
        name=run.name,
        note=run.note,
        recipe=recipe,
        parent_id=run.parent_id,
        inputs=run.inputs,
        key=key,
    )
