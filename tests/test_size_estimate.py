"""How large a file will be: beside the sizes that files really had (benchmarks on this code, November 2026)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from optimizer.recipe import recipe_from_json
from optimizer.size_estimate import USUAL_ERROR, SizeEstimate, estimate_file
from optimizer.sources.preflight import read_model_summary
from optimizer.sources.summary import ModelSummary

SAMPLE = Path(__file__).parents[1] / "assets" / "models" / "digits_cnn.keras"
BASELINE = {"size_bytes": 89_168, "gzip_bytes": 81_124}


@pytest.fixture(scope="module")
def sample() -> ModelSummary:
    return read_model_summary(SAMPLE, name=SAMPLE.name)


def ptq(weights: str, activations: str) -> dict[str, Any]:
    return {"technique": "post_training_quantization", "weights": weights, "activations": activations}


@pytest.mark.parametrize(
    ("steps", "size_bytes", "gzip_bytes"),
    [
        ([], 89_168, 81_124),
        ([ptq("float16", "float32")], 47_280, 41_623),
        ([ptq("int8", "float32")], 25_912, 22_998),
        ([ptq("int8", "int8")], 27_720, 23_597),
        ([ptq("int4", "float32")], 15_184, 12_287),
        ([{"technique": "quantization_aware_training"}], 27_240, 21_771),
        ([{"technique": "weight_clustering"}, ptq("int8", "int8")], 25_784, 14_600),
        ([{"technique": "magnitude_pruning", "final_sparsity": 0.8}], 89_168, 22_431),
    ],
    ids=lambda value: value[-1].get("weights", value[-1]["technique"]) if isinstance(value, list) and value else "",
)
def test_the_sample_is_estimated_to_a_few_per_cent(sample: ModelSummary, steps: Any, size_bytes: int, gzip_bytes: int) -> None:
    found = estimate_file(recipe_from_json({"steps": steps}), sample, BASELINE)
    assert found.now == BASELINE["size_bytes"]
    assert found.size == pytest.approx(size_bytes, rel=USUAL_ERROR)
    assert found.packed == pytest.approx(gzip_bytes, rel=0.12)


def test_without_a_baseline_the_graph_is_guessed_too(sample: ModelSummary) -> None:
    assert estimate_file(recipe_from_json({}), sample, None).now == pytest.approx(89_168, rel=USUAL_ERROR)


def test_a_narrower_student_is_a_smaller_file(sample: ModelSummary) -> None:
    steps = [{"technique": "knowledge_distillation", "student": "narrower_copy", "width_factor": 0.5}]
    found = estimate_file(recipe_from_json({"steps": steps}), sample, BASELINE)
    assert found.size == pytest.approx(25_088, rel=0.1)


def test_layers_that_a_step_leaves_keep_their_bytes(sample: ModelSummary) -> None:
    skipping = {"technique": "quantization_aware_training", "skip_layers": ["dense"]}
    whole = estimate_file(recipe_from_json({"steps": [{"technique": "quantization_aware_training"}]}), sample, BASELINE)
    part = estimate_file(recipe_from_json({"steps": [skipping]}), sample, BASELINE)
    assert part.size - whole.size == pytest.approx(16_384 * 3, rel=0.02)


def test_zeros_and_shared_values_lower_what_gzip_leaves() -> None:
    plain = SizeEstimate(parameters=1_000, stored_bits=8)
    assert plain.packed_bits() < 8
    assert SizeEstimate(parameters=1_000, stored_bits=8, nonzero=0.2).packed_bits() < plain.packed_bits() / 2
    assert SizeEstimate(parameters=1_000, stored_bits=8, distinct_values=4).packed_bits() < 3
