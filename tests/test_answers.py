"""From outputs to answers, and how likely the truth was held to be."""

import dataclasses

import numpy as np
import pytest

from optimizer.answers import log_likelihood, right_answers
from optimizer.measure.quality import compare_quality, score
from optimizer.measure.significance import clustered_proportion_interval
from optimizer.sources.dataset import IGNORED, PreparedData, Split, Task


def per_step(digits: PreparedData, units: int) -> PreparedData:
    return dataclasses.replace(digits, task=Task.PER_STEP, output_shape=(3, units))


def test_steps_that_do_not_count_are_neither_right_nor_wrong(digits: PreparedData) -> None:
    outputs = np.eye(4, dtype=np.float32)[[[0, 1, 2], [3, 0, 0]]]
    targets = np.array([[0, 1, 1], [3, IGNORED, IGNORED]])
    right, counted = right_answers(outputs, targets, per_step(digits, 4))
    assert (right.tolist(), counted.tolist()) == ([2, 1], [3, 1])
    assert log_likelihood(outputs, targets, per_step(digits, 4)) == pytest.approx([np.log(1e-6) / 3, 0], abs=1e-6)


def test_one_unit_a_step_says_yes_above_a_half(digits: PreparedData) -> None:
    outputs = np.array([[[0.9], [0.2], [0.6]]], np.float32)
    right, counted = right_answers(outputs, np.array([[1, 0, 0]]), per_step(digits, 1))
    assert (right.tolist(), counted.tolist()) == ([2], [3])
    assert log_likelihood(outputs, np.array([[1, 0, IGNORED]]), per_step(digits, 1))[0] == pytest.approx(np.log(0.9 * 0.8) / 2)


def test_every_label_is_an_answer(digits: PreparedData) -> None:
    data = dataclasses.replace(digits, task=Task.MULTI_LABEL, output_shape=(3,), from_logits=True)
    right, counted = right_answers(np.array([[2.0, -1.0, 3.0]]), np.array([[1.0, 0.0, 0.0]]), data)
    assert (right.tolist(), counted.tolist()) == ([2], [3])


def test_scores_average_to_the_accuracy_over_all_steps(digits: PreparedData) -> None:
    random = np.random.default_rng(0)
    y = random.integers(0, 4, (40, 3))
    y[random.random(y.shape) < 0.4] = IGNORED
    y[0] = IGNORED
    outputs = np.eye(4, dtype=np.float32)[random.integers(0, 4, (40, 3))]
    split = Split(x=np.zeros((40, 8, 8, 1), np.float32), y=y)
    quality = score(outputs, per_step(digits, 4), split)
    truth = (outputs.argmax(-1) == y)[y != IGNORED].mean()
    assert quality.interval.value == pytest.approx(truth)
    assert quality.scores.mean() == pytest.approx(truth)
    assert quality.to_json()["accuracy"]["per"] == "step"
    assert compare_quality("accuracy", quality.scores, quality.scores, split)["tie"]


def test_answers_of_one_sample_that_agree_count_as_one() -> None:
    random = np.random.default_rng(0)
    alike = np.where(random.random(100) < 0.8, 50.0, 0.0)
    apart = random.binomial(50, 0.8, 100).astype(float)
    counted = np.full(100, 50.0)
    wide, narrow = (clustered_proportion_interval(right, counted, per="step") for right in (alike, apart))
    assert wide.high - wide.low == pytest.approx(2 * 1.96 * np.sqrt(0.8 * 0.2 / 100), rel=0.15)
    assert narrow.high - narrow.low == pytest.approx(2 * 1.96 * np.sqrt(0.8 * 0.2 / 5000), rel=0.25)
    sure = clustered_proportion_interval(counted, counted, per="step")
    assert (sure.high, sure.value) == (1.0, 1.0)
    assert 0.95 < sure.low < 0.97
    assert clustered_proportion_interval(np.zeros(2), np.zeros(2), per="step").low == 0.0
