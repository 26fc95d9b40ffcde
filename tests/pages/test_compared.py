"""Deltas, ties, the Pareto front, the sentence and the settings that differ."""

from __future__ import annotations

from typing import Any

import pytest

from optimizer.runs.run import Run, RunKind, RunState
from pages.components import compared, deltas

INPUTS = {"model": {"sha256": "a" * 64, "name": "m.h5"}, "data": {"bundled": "digits"}}


def run(run_id: str, **changes: Any) -> Run:
    fields: dict[str, Any] = {
        "id": run_id,
        "project_id": "p",
        "kind": RunKind.EXPERIMENT,
        "state": RunState.SUCCEEDED,
        "name": run_id,
        "note": "",
        "recipe": {"version": 1, "seed": 0, "steps": []},
        "recipe_in_words": "int8",
        "seed": 0,
        "parent_id": None,
        "inputs": INPUTS,
        "created_at": 0.0,
    }
    return Run(**{**fields, **changes})


def measured(run_id: str, size: float, accuracy: float, **comparison: Any) -> Run:
    metrics = {
        "size_bytes": size,
        "gzip_bytes": size / 2,
        "accuracy": {"value": accuracy, "low": accuracy - 0.02, "high": accuracy + 0.02, "n": 360},
    }
    return run(run_id, metrics=metrics, comparison=comparison or None)


BASELINE = measured("base", 100_000, 0.98)
BETTER = {"size_ratio": 6.1, "gzip_ratio": 4.0, "latency": {"ratio": 1.42, "tie": False},
          "quality": {"metric": "accuracy", "difference": -0.002, "low": -0.008, "high": 0.004, "tie": True}}  # fmt: skip


def test_the_sentence_says_gain_cost_and_tie() -> None:
    row = compared.rows_of([measured("tiny", 16_000, 0.978, **BETTER)], BASELINE)[1]
    assert (
        deltas.sentence(row) == "tiny is 6.1× smaller and 1.4× faster than the original; accuracy is a tie (−0.2 ± 0.6 points)."
    )


def test_a_file_that_only_compresses_better_is_not_called_smaller() -> None:
    pruned = {**BETTER, "size_ratio": 1.0, "latency": {"ratio": 1.0, "tie": True}}
    row = compared.rows_of([measured("pruned", 100_000, 0.978, **pruned)], BASELINE)[1]
    assert deltas.sentence(row).startswith("pruned is as large as the original (4.0× smaller when compressed) and as fast;")


def test_a_worse_result_is_called_worse() -> None:
    slow = {
        "size_ratio": 0.5,
        "latency": {"ratio": 0.5, "tie": False},
        "quality": {**BETTER["quality"], "difference": -0.05, "tie": False},
    }
    row = compared.rows_of([measured("slow", 200_000, 0.93, **slow)], BASELINE)[1]
    assert (
        deltas.sentence(row)
        == "slow is 2.0× larger and 2.0× slower than the original; accuracy changes by −5.0 ± 0.6 points, to 93.0 %."
    )


def test_a_margin_below_a_tenth_of_a_point_is_not_written_as_none() -> None:
    fine = {**BETTER, "quality": {**BETTER["quality"], "difference": 0.0008, "low": 0.0004, "high": 0.0012, "tie": False}}
    row = compared.rows_of([measured("fine", 16_000, 0.98, **fine)], BASELINE)[1]
    assert "accuracy changes by +0.08 ± 0.04 points" in deltas.sentence(row)


@pytest.mark.parametrize("comparison", [{}, {"latency": {}}, {"quality": {"difference": None}}, {"size_ratio": None}])
def test_missing_parts_of_a_comparison_leave_no_delta(comparison: dict[str, Any]) -> None:
    row = compared.rows_of([run("bare", metrics={}, comparison=comparison)], None)[0]
    assert (deltas.size_delta(row), deltas.latency_delta(row), deltas.quality_delta(row)) == (None, None, None)
    assert "not compared" in deltas.sentence(row)


def test_the_first_metric_that_a_task_is_judged_by_stands_for_quality() -> None:
    quality = compared.quality_of({"mse": {"value": 0.5}, "auc": {"value": 0.9, "low": 0.8, "high": 0.95, "n": 10}})
    assert quality is not None
    assert (quality.metric, quality.higher_is_better) == ("auc", True)
    error = compared.quality_of({"mae": {"value": 0.1234}})
    assert error is not None
    assert not error.higher_is_better
    assert error.text == "0.123"
    assert compared.quality_of(None) is None


def test_a_run_is_dominated_where_another_is_as_good_in_both_and_better_in_one() -> None:
    rows = compared.rows_of(
        [measured("a", 10, 0.9), measured("b", 20, 0.9), measured("c", 20, 0.95), measured("d", 10, 0.9)], None
    )
    assert compared.dominated(rows, "size") == {"b"}


def test_smaller_errors_are_better() -> None:
    rows = compared.rows_of(
        [
            run("x", metrics={"size_bytes": 10, "mae": {"value": 0.1}}),
            run("y", metrics={"size_bytes": 10, "mae": {"value": 0.2}}),
        ],
        None,
    )
    assert compared.dominated(rows, "size") == {"y"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        (
            {"inputs": {**INPUTS, "data": {"sha256": "b" * 64, "name": "mine.npz"}}},
            "measured on other data (mine.npz, not digits)",
        ),
        ({"inputs": {**INPUTS, "model": {"sha256": "c" * 64, "name": "n.h5"}}}, "made from another model (n.h5, not m.h5)"),
        ({"inputs": {**INPUTS, "data": {"bundled": "digits", "label": ""}}}, ""),
        (
            {"inputs": {**INPUTS, "data": {"bundled": "digits", "test": {"sha256": "d" * 64}}}},
            "measured on other data (digits, not digits)",
        ),
        ({"seed": 3}, "seed 3 splits the data in another way than seed 0, so the test samples differ"),
    ],
)
def test_runs_of_other_ground_are_not_comparable_and_say_why(changes: dict[str, Any], reason: str) -> None:
    assert compared.not_comparable(run("r", **changes), run("base")) == reason


def test_only_the_settings_that_differ_are_columns() -> None:
    def steps(**settings: Any) -> dict[str, Any]:
        return {"seed": 0, "steps": [{"technique": "magnitude_pruning", "epochs": 2, **settings}]}

    rows = compared.rows_of(
        [run("a", recipe=steps(final_sparsity=0.5)), run("b", recipe=steps(final_sparsity=0.8)), run("c")], None
    )
    assert compared.differing_settings(rows) == (["final sparsity"], [["0.5"], ["0.8"], [""]])


def test_a_setting_of_two_techniques_is_told_apart_by_the_technique() -> None:
    def recipe(first: int, second: int) -> dict[str, Any]:
        return {
            "steps": [{"technique": "magnitude_pruning", "epochs": first}, {"technique": "weight_clustering", "epochs": second}]
        }

    rows = compared.rows_of([run("a", recipe=recipe(1, 2)), run("b", recipe=recipe(3, 4))], None)
    assert compared.differing_settings(rows)[0] == ["magnitude pruning: epochs", "weight clustering: epochs"]


def test_equal_names_are_told_apart() -> None:
    rows = compared.rows_of([run("abcdef12", name="same"), run("12345678", name="same"), run("x", name="other")], None)
    assert [row.label for row in rows] == ["same abcdef", "same 123456", "other"]


def test_the_budget_names_what_it_is_missed_by() -> None:
    baseline, row = compared.rows_of([measured("r", 50_000, 0.95)], BASELINE)
    budget = {"max_bytes": 40_000, "max_accuracy_drop": 0.01, "device": "Pi"}
    assert compared.budget_misses(row, baseline, budget) == [
        "file size 48.8 KB is above 39.1 KB",
        "accuracy 95.0 % is below 97.0 %",
    ]
    assert compared.budget_misses(row, baseline, {}) == []


def test_the_smallest_tie_is_looked_at_first() -> None:
    lossy = {**BETTER, "quality": {**BETTER["quality"], "tie": False}}
    rows = compared.rows_of(
        [measured("a", 20_000, 0.98, **BETTER), measured("b", 16_000, 0.97, **BETTER), measured("c", 9_000, 0.5, **lossy)],
        BASELINE,
    )
    assert deltas.most_worthwhile(rows) == "b"
    assert deltas.most_worthwhile(rows[:1]) == ""
