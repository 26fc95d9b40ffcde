"""What a run leaves: report.json, the .tflite, and what a later run or a comparison needs."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from optimizer.context import RunContext
from optimizer.environment import environment
from optimizer.job import Job
from optimizer.measure.metrics import Measured
from optimizer.model import Model
from optimizer.promises import PromiseResult, promise_to_json
from optimizer.sources.summary import ModelSummary


@dataclass(frozen=True, kw_only=True)
class StageRecord:
    """One step as report.json tells it."""

    technique: str
    seconds: float
    metrics: dict[str, Any]
    promises: list[PromiseResult]
    notes: list[str]

    def to_json(self) -> dict[str, Any]:
        """The entry of `stages`."""
        return {
            "technique": self.technique,
            "seconds": self.seconds,
            "metrics": self.metrics,
            "promises": [result.to_json() for result in self.promises],
            "notes": self.notes,
        }


@dataclass(frozen=True, kw_only=True)
class Result:
    """The run's file and the baseline, both measured, and how they compare."""

    measured: Measured
    baseline: Measured
    comparison: dict[str, Any]


def report_of(
    job: Job,
    summary: ModelSummary,
    context: RunContext,
    records: list[StageRecord],
    result: Result,
) -> dict[str, Any]:
    """The content of report.json, in plain JSON types; `artifacts` is filled by `write_outputs`."""
    return {
        "recipe": job.recipe.to_json(),
        "model": {
            "name": summary.name,
            "sha256": summary.sha256,
            "format": summary.format,
            "parameters": summary.parameters,
            # The file of a SavedModel does not tell them; its .tflite does.
            "macs": result.baseline.metrics["macs"] if summary.macs is None else summary.macs,
            "translation": context.translation,
        },
        "second_model": None if context.second_translation is None else {"translation": context.second_translation},
        "data": context.data.to_json(),
        "baseline": result.baseline.metrics,
        "stages": [record.to_json() for record in records],
        "result": result.measured.metrics,
        "comparison": result.comparison,
        "artifacts": [],
        "environment": environment(threads=job.threads),
    }


def write_outputs(job: Job, content: dict[str, Any], model: Model, measured: Measured) -> None:
    """Write model.tflite, recipe.json, scores.npz, the start of later runs, and last report.json with the hashes of the others."""
    job.out.mkdir(parents=True, exist_ok=True)
    (job.out / "model.tflite").write_bytes(model.content)
    (job.out / "recipe.json").write_text(json.dumps(job.recipe.to_json(), indent=2) + "\n")
    quality = measured.quality
    arrays: dict[str, Any] = {"scores": quality.scores}
    if quality.metric in ("agreement", "deviation"):
        arrays["outputs"] = quality.outputs
    np.savez(job.out / "scores.npz", **arrays)
    if model.keras is not None and not model.quantization_aware:
        # Saving a copy without the layers' call history keeps the file small and free of this run's paths.
        model.keras.save(job.out / "model.keras", save_format="keras")
        promises = [promise_to_json(p) for p in model.promises if p.kind != "stored type"]
        (job.out / "promises.json").write_text(json.dumps(promises, indent=2) + "\n")
    for name in ("model.tflite", "recipe.json", "scores.npz", "model.keras", "promises.json"):
        path = job.out / name
        if path.exists():
            data = path.read_bytes()
            content["artifacts"].append({"name": name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)})
    (job.out / "report.json").write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")
