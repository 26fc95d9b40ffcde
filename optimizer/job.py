"""A job: everything one run needs, as plain paths and JSON, so that the command line and the sandboxed worker do the same thing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optimizer.recipe import Recipe, recipe_from_json


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """Where the data come from: a file, or a bundled set's name.

    Args:
        name: What the person calls it (a file name, or the bundled set's name).
        path: The file; None for a bundled set.
        label: Name of the label column of a .csv; empty to look for the usual names.
        test_path: A second file that holds the test split; None to take it from the first.
        scaling: "auto", or the name of one input scaling ("as stored", "x / 255", ...).
        task: "auto", or the value of a Task where model and data do not tell it ("multi_label", "regression", ...).
    """

    name: str
    path: Path | None = None
    label: str = ""
    test_path: Path | None = None
    scaling: str = "auto"
    task: str = "auto"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; reads back with `data_source_from_json`."""
        return {
            "name": self.name,
            "path": None if self.path is None else str(self.path),
            "label": self.label,
            "test_path": None if self.test_path is None else str(self.test_path),
            "scaling": self.scaling,
            "task": self.task,
        }


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run's whole order.

    Args:
        model: The model file as it came; `model_name` is what the person calls it.
        data: The data.
        recipe: The steps; none of them for a baseline.
        out: Folder that receives model.tflite, report.json, recipe.json, scores.npz, and model.keras + promises.json where the
            result can be the start of another run.
        work: Folder for temporary files.
        second_model: The person's teacher or student.
        baseline: `out` of a finished baseline of the same model, data and seed; None to make the baseline within this run.
        start: `out` of the earlier run whose model.keras this recipe starts from; None for the original model.
        threads: Threads of the interpreter in latency measurements.
    """

    model: Path
    model_name: str
    data: DataSource
    recipe: Recipe
    out: Path
    work: Path
    second_model: Path | None = None
    baseline: Path | None = None
    start: Path | None = None
    threads: int = 1

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; reads back with `job_from_json`."""
        paths = {name: getattr(self, name) for name in ("model", "out", "work", "second_model", "baseline", "start")}
        return {
            **{name: None if path is None else str(path) for name, path in paths.items()},
            "model_name": self.model_name,
            "data": self.data.to_json(),
            "recipe": self.recipe.to_json(),
            "threads": self.threads,
        }


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def data_source_from_json(record: Mapping[str, Any]) -> DataSource:
    """Rebuild a DataSource from its JSON."""
    return DataSource(
        name=record["name"],
        path=_path(record.get("path")),
        label=record.get("label", ""),
        test_path=_path(record.get("test_path")),
        scaling=record.get("scaling", "auto"),
        task=record.get("task", "auto"),
    )


def job_from_json(record: Mapping[str, Any]) -> Job:
    """Rebuild a Job from its JSON. Raises InputError where the recipe is at fault."""
    return Job(
        model=Path(record["model"]),
        model_name=record["model_name"],
        data=data_source_from_json(record["data"]),
        recipe=recipe_from_json(record["recipe"]),
        out=Path(record["out"]),
        work=Path(record["work"]),
        second_model=_path(record.get("second_model")),
        baseline=_path(record.get("baseline")),
        start=_path(record.get("start")),
        threads=record.get("threads", 1),
    )
