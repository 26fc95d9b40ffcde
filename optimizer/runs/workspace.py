"""The folder of one job: what the worker finds in it, and in which words."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optimizer.errors import RunError
from optimizer.job import DataSource, Job
from optimizer.recipe import recipe_from_json
from optimizer.runs.objects import CHUNK_BYTES, Objects, disk_full_as_error
from optimizer.runs.run import Project, Run, RunKind, RunState
from optimizer.runs.store import Store
from optimizer.runs.submission import Order

JOB_FILE = "job.json"
OUT = "out"
BASELINE_FILES = ("model.tflite", "report.json", "scores.npz")
START_FILES = ("model.keras", "promises.json")
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """Lays the files of one run into a worker's folder.

    Inputs are copies, not links: the worker may write in its folder, and what it writes must never reach the object store.
    """

    store: Store
    folder: Path

    def lay_out(self, run: Run) -> None:
        """Copy what the run works on into the folder and write job.json, last.

        Raises:
            RunError: MISSING, DAMAGED, DISK_FULL or LOST_START.
            InputError: the stored recipe is not understood any more.
            OSError: the folder cannot be written.
        """
        for name in ("in", OUT, "tmp"):
            (self.folder / name).mkdir(mode=0o700, exist_ok=True)
        inspects = run.kind in (RunKind.INSPECT_MODEL, RunKind.INSPECT_DATA)
        record = self._inspection(run) if inspects else {"kind": run.kind.value, "job": self._job(run).to_json()}
        with disk_full_as_error():
            (self.folder / JOB_FILE).write_text(json.dumps(record), encoding="utf-8")

    def _inspection(self, run: Run) -> dict[str, Any]:
        """The project as it is now gives the other half of the pair, so that the fit of model and data can be judged."""
        project = self.store.project(run.project_id)
        role = run.inputs.get("role", "model")
        source: Mapping[str, Any] | None
        if run.kind is RunKind.INSPECT_MODEL:
            model = run.inputs["model"]
            source = project.data_source if role == "model" else None
        else:
            model = _stored_model(project)
            source = run.inputs["data"]
        return {
            "kind": run.kind.value,
            "role": role,
            "model": None if model is None else str(self._input("model", model)),
            "model_name": "" if model is None else model["name"],
            "data": None if source is None else self._data(source).to_json(),
            "seed": run.seed,
        }

    def _job(self, run: Run) -> Job:
        inputs = run.inputs
        second = inputs.get("second_model")
        return Job(
            model=self._input("model", inputs["model"]),
            model_name=inputs["model"]["name"],
            data=self._data(inputs["data"]),
            recipe=recipe_from_json(run.recipe),
            out=self.folder / OUT,
            work=self.folder / "tmp",
            second_model=None if second is None else self._input("second_model", second),
            baseline=self._baseline(run),
            start=self._start(run),
        )

    def _data(self, source: Mapping[str, Any]) -> DataSource:
        scaling, task = source.get("scaling", "auto"), source.get("task", "auto")
        if "bundled" in source:
            return DataSource(name=source["bundled"], scaling=scaling, task=task)
        test = source.get("test")
        return DataSource(
            name=source["name"],
            path=self._input("data", source),
            label=source.get("label", ""),
            test_path=None if test is None else self._input("test", test),
            scaling=scaling,
            task=task,
        )

    def _input(self, name: str, file: Mapping[str, Any]) -> Path:
        """Copy an uploaded file to `in/<name><suffix>`: the person's own file name never becomes a path."""
        suffix = Path(file["name"]).suffix
        target = self.folder / "in" / (name + (suffix.lower() if _SUFFIX.fullmatch(suffix) else ""))
        copy_object(self.store.objects, file["sha256"], target)
        return target

    def _baseline(self, run: Run) -> Path | None:
        if run.kind is not RunKind.EXPERIMENT:
            return None
        order = Order(project_id=run.project_id, kind=run.kind, recipe=recipe_from_json(run.recipe), inputs=run.inputs)
        for baseline in self.store.baselines(run.project_id, str(order.baseline_key)):
            if baseline.state is RunState.SUCCEEDED:
                return self._copies("baseline", baseline, BASELINE_FILES)
        return None

    def _start(self, run: Run) -> Path | None:
        if run.parent_id is None:
            return None
        parent = self.store.run(run.parent_id)
        if parent.state is not RunState.SUCCEEDED or "model.keras" not in parent.artifacts:
            raise RunError(
                "The run that this one starts from has left no Keras model",
                code="LOST_START",
                place=parent.name,
                received=f"a run that is {parent.state.value}",
                fix="Run that one again first, or start from the original model.",
            )
        return self._copies("start", parent, START_FILES)

    def _copies(self, name: str, run: Run, files: tuple[str, ...]) -> Path:
        folder = self.folder / name
        folder.mkdir(mode=0o700, exist_ok=True)
        for file in files:
            if file in run.artifacts:
                copy_object(self.store.objects, run.artifacts[file], folder / file)
        return folder


def _stored_model(project: Project) -> dict[str, str] | None:
    return None if project.model is None else {"sha256": project.model["sha256"], "name": project.model["name"]}


def copy_object(objects: Objects, sha256: str, target: Path) -> None:
    """Copy an object, and check on the way that its bytes are the ones that were stored.

    Raises:
        RunError: MISSING, DAMAGED or DISK_FULL.
    """
    digest = hashlib.sha256()
    try:
        with disk_full_as_error(), objects.path(sha256).open("rb") as source, target.open("wb") as copy:
            while chunk := source.read(CHUNK_BYTES):
                digest.update(chunk)
                copy.write(chunk)
    except FileNotFoundError:
        objects.read(sha256)
        raise
    if digest.hexdigest() != sha256:
        target.unlink()
        objects.read(sha256)
