"""Fills a store with finished, failed, running and queued runs, through the runner's own side of the store.

Also a command, to look at the pages: `PYTHONPATH=. python tests/pages/seed.py HOME [--runs N] [--hostile]`.
"""

from __future__ import annotations

import argparse
import json
import random
from io import BytesIO
from pathlib import Path
from typing import Any

from optimizer.context import Event
from optimizer.errors import PromiseBroken
from optimizer.job import DataSource
from optimizer.presets import presets
from optimizer.recipe import Recipe, recipe_from_json
from optimizer.runs.claims import Claims, News, Outcome
from optimizer.runs.processes import this_process
from optimizer.runs.requests import SAMPLE_MODEL, bring_bundled_data, bring_model, run_recipe
from optimizer.runs.run import Progress, Project, Run, RunKind, RunState
from optimizer.runs.store import Store
from optimizer.sources.inspection import inspect_data, inspect_model

HOSTILE = "<img src=x onerror=alert(1)> **b** [l](javascript:alert(1)) :smile: $x$ `c` \u202egpj.exe"
BASELINE = {
    "size_bytes": 90_160,
    "gzip_bytes": 83_420,
    "parameters": 21_690,
    "macs": 320_832,
    "arena_bytes": 18_432,
    "accuracy": {"value": 0.9806, "low": 0.9614, "high": 0.9903, "n": 360},
    "latency_ms": {"p50": 0.0412, "p95": 0.0463, "n": 400},
}
RESULTS = {
    "Safe": (27_912, 21_904, 0.0214, 0.9778, True, False),
    "Balanced": (28_640, 16_130, 0.0209, 0.9750, True, False),
    "Tiny": (28_640, 9_105, 0.0211, 0.9528, False, False),
}


class Seeder:
    """One store with a runner's claims on it."""

    def __init__(self, home: Path) -> None:
        self.store = Store(home)
        self.claims = Claims(self.store, this_process())
        self.chance = random.Random(0)

    def project(self, name: str = "digits sample", model_name: str = SAMPLE_MODEL.name) -> Project:
        """A project with the sample's model and the digits, both looked into for real."""
        project = self.store.create_project(name)
        with SAMPLE_MODEL.open("rb") as stream:
            run = bring_model(self.store, project.id, stream, model_name)
        self.finish(run, project={"model": inspect_model(SAMPLE_MODEL, model_name)})
        run = bring_bundled_data(self.store, project.id, "digits")
        record = inspect_data(DataSource(name="digits"), SAMPLE_MODEL, model_name, 0)
        self.finish(run, project={"data": record, "data_source": {"bundled": "digits"}})
        return self.store.project(project.id)

    def start(self) -> Run:
        """Claim the next queued run."""
        run = self.claims.claim(list(RunKind), this_process(), "")
        assert run is not None
        return run

    def finish(self, run: Run, state: RunState = RunState.SUCCEEDED, **outcome: Any) -> Run:
        """Claim a run and end it."""
        started = self.start()
        assert started.id == run.id, (started.name, run.name)
        return self.claims.finish(run.id, Outcome(state=state, **outcome))

    def succeed(self, run: Run, metrics: dict[str, Any], comparison: dict[str, Any] | None = None) -> Run:
        """End a run well, with files."""
        files = {
            "model.tflite": f"tflite of {run.id}".encode(),
            "recipe.json": json.dumps(run.recipe).encode(),
            "report.json": json.dumps({"recipe": run.recipe, "result": metrics}).encode(),
            "log.txt": b"Epoch 1/2\nEpoch 2/2\n",
        }
        if run.kind is RunKind.EXPERIMENT and "quantization" not in json.dumps(run.recipe):
            files["model.keras"] = f"keras of {run.id}".encode()
        artifacts = {name: self.store.add_file(BytesIO(content), name).sha256 for name, content in files.items()}
        started = self.start()
        assert started.id == run.id, (started.name, run.name)
        self.tell(run, epochs=4)
        return self.claims.finish(
            run.id, Outcome(state=RunState.SUCCEEDED, metrics=metrics, comparison=comparison, artifacts=artifacts)
        )

    def tell(self, run: Run, epochs: int, progress: Progress | None = None) -> None:
        """Report training curves and a note of a run that was claimed."""
        events = [Event(kind="stage", data={"index": 0, "count": 2, "name": "magnitude_pruning"})]
        for epoch in range(1, epochs + 1):
            data = {
                "epoch": epoch,
                "epochs": epochs,
                "loss": 1.2 / epoch,
                "accuracy": 1 - 0.4 / epoch,
                "validation_accuracy": 1 - 0.5 / epoch,
            }
            events.append(Event(kind="metrics", data=data))
        events.append(Event(kind="note", data={"text": "Layer flatten has no weights and stays as it is."}))
        moments = [(run.created_at, event) for event in events]
        self.claims.report([News(run_id=run.id, events=moments, progress=progress)], spares_ready=2)

    def baseline(self, project: Project) -> Run:
        """The finished baseline, which the first experiment brings with it."""
        run = self.store.runs(project.id, kinds=(RunKind.BASELINE,), limit=1)[0]
        return self.succeed(run, BASELINE) if not run.state.is_final else run

    def experiment(
        self, project: Project, recipe: Recipe, name: str, numbers: tuple[float, float, float, float, bool, bool], note: str = ""
    ) -> Run:
        """A finished experiment. `numbers`: bytes, gzip bytes, p50 in ms, accuracy, quality tie, latency tie."""
        size, packed, p50, accuracy, quality_tie, latency_tie = numbers
        run = run_recipe(self.store, project.id, recipe, name=name, note=note)
        self.baseline(project)
        metrics = {
            **BASELINE,
            "size_bytes": int(size),
            "gzip_bytes": int(packed),
            "accuracy": {"value": accuracy, "low": accuracy - 0.018, "high": min(1.0, accuracy + 0.011), "n": 360},
            "latency_ms": {"p50": p50, "p95": p50 * 1.14, "n": 400},
        }
        difference = accuracy - BASELINE["accuracy"]["value"]  # type: ignore[index]
        comparison = {
            "size_ratio": BASELINE["size_bytes"] / size,  # type: ignore[operator]
            "gzip_ratio": BASELINE["gzip_bytes"] / packed,  # type: ignore[operator]
            "latency": {"ratio": 0.0412 / p50, "low": 0.0412 / p50 * 0.97, "high": 0.0412 / p50 * 1.03, "tie": latency_tie},
            "quality": {
                "metric": "accuracy",
                "difference": difference,
                "low": difference - 0.006,
                "high": difference + 0.006,
                "tie": quality_tie,
            },
        }
        return self.succeed(run, metrics, comparison)

    def many(self, project: Project, count: int) -> None:
        """A sweep of `count` finished experiments."""
        for number in range(count):
            sparsity = round(0.05 + 0.9 * number / max(1, count), 3)
            steps = [{"technique": "magnitude_pruning", "final_sparsity": sparsity}, {"technique": "post_training_quantization"}]
            recipe = recipe_from_json({"version": 1, "steps": steps})
            numbers = (
                15_000,
                12_000 * (1.05 - sparsity),
                0.02 + self.chance.random() / 500,
                0.98 - sparsity**4 / 8,
                sparsity < 0.6,
                False,
            )
            self.experiment(project, recipe, f"sweep {sparsity:.3f}", numbers)


def seed(home: Path, *, many: int = 0, hostile: bool = False, active: bool = False) -> tuple[Store, Project]:
    """A store with one project: baseline, three presets, a prune-only run, a failed run; more where asked for."""
    seeder = Seeder(home)
    project = seeder.project(HOSTILE if hostile else "digits sample", HOSTILE + ".keras" if hostile else SAMPLE_MODEL.name)
    for name, recipe in presets().items():
        seeder.experiment(project, recipe, name, RESULTS[name])
    pruning = recipe_from_json({"version": 1, "steps": [{"technique": "magnitude_pruning", "final_sparsity": 0.8, "epochs": 3}]})
    seeder.experiment(
        project, pruning, HOSTILE if hostile else "prune only", (90_160, 31_020, 0.0409, 0.9722, True, True), note="Zeros alone."
    )
    lossy = recipe_from_json(
        {"version": 1, "steps": [{"technique": "post_training_quantization", "weights": "int4", "activations": "float32"}]}
    )
    failed = run_recipe(seeder.store, project.id, lossy, name=HOSTILE if hostile else "int4 attempt")
    error = PromiseBroken(
        "weight_clustering promised at most 16 values per kernel; dense_1 holds 81 after conversion",
        code="PROMISE_BROKEN",
        place="post_training_quantization",
        fix="Set granularity to per_tensor, or leave clustering out.",
    )
    seeder.finish(failed, RunState.FAILED, error=error.to_json())
    if many:
        seeder.many(project, many)
    if active:
        _under_way(seeder, project)
    return seeder.store, seeder.store.project(project.id)


def _under_way(seeder: Seeder, project: Project) -> None:
    recipe = presets()["Tiny"]
    run_recipe(seeder.store, project.id, recipe, name="tiny again")
    run = seeder.start()
    seeder.tell(run, 5, Progress(stage="weight_clustering", stage_index=1, stage_count=4, fraction=0.42, seconds_left=38))
    run_recipe(seeder.store, project.id, presets()["Balanced"], name="balanced again")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("home", type=Path)
    parser.add_argument("--many", type=int, default=0)
    parser.add_argument("--hostile", action="store_true")
    parser.add_argument("--active", action="store_true")
    words = parser.parse_args()
    seed(words.home, many=words.many, hostile=words.hostile, active=words.active)
