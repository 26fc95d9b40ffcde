from __future__ import annotations

import numpy as np

from optimizer.measure.latency import Latency, compare_latency


def blocks(*milliseconds: float) -> Latency:
    return Latency(blocks_ms=tuple(np.array([m, m * 1.5]) for m in milliseconds))


def test_a_file_against_itself_is_a_tie() -> None:
    same = blocks(*[1.0, 1.1, 0.9] * 8)
    assert compare_latency(same, same)["tie"]


def test_twice_as_fast_is_told_even_when_the_machine_drifts() -> None:
    drift = np.linspace(1, 3, 24)
    comparison = compare_latency(blocks(*drift), blocks(*(2 * drift)))
    assert abs(comparison["ratio"] - 2) < 1e-9
    assert not comparison["tie"]


def test_one_percent_is_within_the_noise() -> None:
    assert compare_latency(blocks(*[1.0] * 24), blocks(*[1.01] * 24))["tie"]


def test_percentiles_are_over_single_invocations() -> None:
    record = blocks(1.0, 2.0).to_json()
    assert record["n"] == 4
    assert record["min"] == 1.0
    assert record["p50"] <= record["p95"]
