"""The command line's tables: proper words, no more digits than were measured."""

from __future__ import annotations

from typing import Any

import pytest

from optimizer.report_text import bench_in_words, latency_text, report_in_words, speed_in_words


@pytest.mark.parametrize(
    ("latency_ms", "text"),
    [(0.004083, "4.1 µs"), (0.0999, "100 µs"), (0.2449, "0.24 ms"), (12.34, "12 ms"), (1234.5, "1,234 ms"), (0.0, "0 µs")],
)
def test_latencies_have_two_significant_digits(latency_ms: float, text: str) -> None:
    assert latency_text(latency_ms) == text


@pytest.mark.parametrize(
    ("ratio", "low", "high", "tie", "words"),
    [
        (1.953, 1.94, 1.97, False, "2.0 times as fast (1.9 to 2.0)"),
        (0.0333, 0.032, 0.0345, False, "30 times slower (29 to 31)"),
        (1.004, 0.99, 1.012, True, "as fast (0.99 to 1.01, a tie)"),
        (1.034, 1.03, 1.041, False, "1.03 times as fast (1.03 to 1.04)"),
    ],
)
def test_speeds_are_told_the_way_round_that_is_read_easily(ratio: float, low: float, high: float, tie: bool, words: str) -> None:
    assert speed_in_words({"ratio": ratio, "low": low, "high": high, "tie": tie}) == words


def metrics(**changes: Any) -> dict[str, Any]:
    quality = {name: {"value": value} for name, value in {"accuracy": 0.9861, "auc": 0.99213, "f1": 0.91}.items()}
    quality["accuracy"]["per"] = "label"
    return {"size_bytes": 89_160, "gzip_bytes": 81_000, "latency_ms": {"p50": 0.00408, "p95": 0.005}, **quality, **changes}


def test_a_report_names_its_metrics_properly() -> None:
    comparison = {
        "quality": {"metric": "accuracy", "difference": -0.0028, "low": -0.011, "high": 0.005, "tie": True},
        "latency": {"ratio": 1.95, "low": 1.9, "high": 2.0, "tie": False},
    }
    told = report_in_words({"baseline": metrics(), "result": metrics(), "comparison": comparison}, "out")
    assert "accuracy per label" in told
    assert "98.6%" in told
    assert "AUC" in told
    assert "F1" in told
    assert "accuracy differs by -0.3 points (-1.1 to +0.5, a tie)" in told
    assert told.endswith("written to out")
    assert "auc" not in told


def test_a_baseline_alone_is_compared_with_nothing() -> None:
    told = report_in_words({"baseline": metrics(), "result": metrics(), "comparison": {}}, "out")
    assert "differs" not in told


def test_a_bench_has_a_line_a_file() -> None:
    speed = {"ratio": 1.0, "low": 0.99, "high": 1.01, "tie": True}
    first = {"name": "a.tflite", "size_bytes": 10, "latency_ms": {"p50": 0.2449, "p95": 0.3}, "speed": speed}
    rows = [first, {**first, "name": "a/long/path/to/the/folder/of/results/b.tflite"}]
    head, line, other = bench_in_words(rows).splitlines()
    assert head.split()[:4] == ["file", "bytes", "p50", "p95"]
    assert line.split()[:6] == ["a.tflite", "10", "0.24", "ms", "0.30", "ms"]
    assert line.endswith("the reference")
    assert other.split()[0].endswith("folder/of/results/b.tflite")
    assert "a tie" in other
    assert len(line.split("10")[0]) == len(other.split("10")[0])
