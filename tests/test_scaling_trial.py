"""Which input scaling a model expects: taken where it is plain, left alone where nothing is plain."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from optimizer.conversion import convert
from optimizer.scaling_trial import choose_scaling, is_clearly_better
from optimizer.sources.dataset import Dataset, PreparedData, Split, Task

RANDOM = np.random.default_rng(0)
BYTES = RANDOM.integers(0, 256, (600, 4), dtype=np.uint8)
TRUTH = (BYTES[:, 0] > 127).astype(np.int64)


def prepared(y: Any, *, task: Task = Task.CLASSIFICATION, x: Any = BYTES) -> PreparedData:
    part = Split(x=x, y=y)
    parts = dict.fromkeys(("train", "calibration", "validation", "test"), part)
    dataset = Dataset(name="d.npz", sha256="0" * 64, kind="table", labels="class", class_names=("no", "yes"), **parts)
    shape = (2,) if task is Task.CLASSIFICATION else (4,) if task is Task.RECONSTRUCTION else (1,)
    return PreparedData(
        dataset=dataset, task=task, input_shape=(4,), output_shape=shape, input_dtype="float32", from_logits=False
    )


def dense(kernel: Any, bias: Any, activation: str) -> bytes:
    """A .tflite of one layer with these weights."""
    import tensorflow as tf

    model = tf.keras.Sequential([tf.keras.Input((4,)), tf.keras.layers.Dense(len(bias), activation)])
    model.layers[-1].set_weights([np.asarray(kernel, np.float32), np.asarray(bias, np.float32)])
    return convert(model)


def judge(steepness: float, middle: float) -> bytes:
    """Says yes where the first feature is above `middle`, the surer the steeper."""
    kernel = np.zeros((4, 2))
    kernel[0] = -steepness, steepness
    return dense(kernel, [steepness * middle, -steepness * middle], "softmax")


def chosen(data: PreparedData, content: bytes, summary: Any) -> tuple[str, str]:
    found, reason = choose_scaling(data, summary, content, "auto")
    return found.scaling.name, reason


@pytest.fixture
def summary(digits_summary: Any) -> Any:
    """Of a model that does not scale its input itself."""
    return digits_summary


def test_a_model_of_fractions_gets_bytes_divided_and_the_reason_is_plain(summary: Any) -> None:
    name, reason = chosen(prepared(TRUTH), judge(40.0, 0.5), summary)
    assert name == "x / 255"
    assert reason.startswith("on 600 training samples this model then gives the right answer 9")
    assert "with the values as stored" in reason


def test_a_model_that_has_learned_nothing_leaves_values_as_stored(summary: Any) -> None:
    noise = dense(RANDOM.normal(0, 1, (4, 2)), [0.0, 0.0], "softmax")
    assert chosen(prepared(TRUTH), noise, summary) == ("as stored", "")


def test_labels_that_the_model_does_not_know_leave_values_as_stored(summary: Any) -> None:
    strangers = RANDOM.integers(0, 2, 600)
    assert chosen(prepared(strangers), judge(40.0, 0.5), summary) == ("as stored", "")


@pytest.mark.parametrize(
    ("new", "old", "clear"),
    [
        (-0.4, -0.45, False),  # a tenth less
        (-0.4, -1.6, True),
        (-0.004, -0.008, False),  # both next to nothing
        (-2.5, -9.0, False),  # both worse than guessing
    ],
)
def test_only_a_large_gain_over_guessing_is_clear(new: float, old: float, clear: bool) -> None:
    noise = RANDOM.normal(0, 0.002, 600)
    assert is_clearly_better(new + noise, np.full(600, old), chance=-2.3) is clear


def test_a_gain_that_rests_on_few_samples_is_not_clear() -> None:
    old = np.full(20, -1.0)
    old[0] = -13.0
    assert not is_clearly_better(np.full(20, -1.0), old, chance=-2.3)


def test_regression_needs_an_error_below_that_of_the_median(summary: Any) -> None:
    y = BYTES[:, :1].astype(np.float32) / 255
    line = dense([[1.0], [0.0], [0.0], [0.0]], [0.0], "linear")
    name, reason = chosen(prepared(y, task=Task.REGRESSION), line, summary)
    assert name == "x / 255"
    assert "standard deviation" in reason
    shuffled = RANDOM.permutation(y)
    assert chosen(prepared(shuffled, task=Task.REGRESSION), line, summary) == ("as stored", "")


def test_a_scaling_that_was_asked_for_is_taken_untried(summary: Any) -> None:
    data, reason = choose_scaling(prepared(TRUTH), summary, b"", "x / 255")
    assert (data.scaling.name, reason) == ("x / 255", "as you asked")
    with pytest.raises(ValueError, match="no input scaling named"):
        choose_scaling(replace(data), summary, b"", "x / 3")
