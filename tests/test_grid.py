"""The grid of layers and techniques, from a real file, without TensorFlow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from optimizer.environment import Host
from optimizer.grid import Grid, technique_grid
from optimizer.sources.preflight import read_model_summary
from optimizer.sources.summary import ModelSummary, Verdict
from optimizer.technique import registry, technique_named

OLD = Host(processor="Old", avx=True, integer_dot_product=False)
SAMPLE = Path(__file__).parents[1] / "assets" / "models" / "digits_cnn.keras"


@pytest.fixture(scope="module")
def sample() -> ModelSummary:
    return read_model_summary(SAMPLE, name=SAMPLE.name)


@pytest.fixture(scope="module")
def grid(sample: ModelSummary) -> Grid:
    return technique_grid(sample, host=OLD)


def test_every_technique_has_a_verdict_on_every_layer_with_weights(sample: ModelSummary, grid: Grid) -> None:
    assert set(grid.findings) == set(registry())
    weighted = {layer.name for layer in sample.layers if layer.parameters}
    for name, findings in grid.findings.items():
        assert weighted <= set(findings), name
    assert weighted <= set(grid.layers)


def test_layers_of_one_reason_stand_together(grid: Grid) -> None:
    pruning = [reason for reason in grid.reasons() if reason.technique == "magnitude_pruning"]
    (reason,) = pruning
    assert reason.verdict is Verdict.LEFT
    assert reason.layers == ("norm1", "norm2")
    assert reason.reason


def test_settings_change_what_is_said(sample: ModelSummary) -> None:
    skipping = technique_named("magnitude_pruning")(skip_layers=("conv1",))
    grid = technique_grid(sample, steps=[skipping], host=OLD)
    assert grid.findings["magnitude_pruning"]["conv1"].reason == "named in skip_layers"
    float16 = technique_grid(
        sample, steps=[technique_named("post_training_quantization")(weights="float16", activations="float32")]
    )
    assert "widened to float32" in " ".join(float16.cautions["post_training_quantization"])


def test_pruning_says_that_the_plain_file_stays_as_large(grid: Grid) -> None:
    told = " ".join(grid.cautions["magnitude_pruning"])
    assert "stores zeros like any number" in told
    assert "DENSIFY" in told


def test_the_grid_is_plain_json(grid: Grid) -> None:
    record = json.loads(json.dumps(grid.to_json()))
    assert {"techniques", "cautions", "model_cautions"} == set(record)
    assert {"layer", "verdict", "reason", "fix"} == set(record["techniques"]["magnitude_pruning"][0])
