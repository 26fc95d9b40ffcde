from __future__ import annotations

import numpy as np
import pytest

from optimizer.measure.significance import auc_interval, paired_auc_difference, paired_difference, proportion_interval


def test_wilson_agrees_with_the_published_example() -> None:
    # Newcombe 1998 (Stat. Med. 17:857), table I: 81 of 263 gives 0.2553 to 0.3662 by the score method without correction.
    interval = proportion_interval(81, 263)
    assert (interval.low, interval.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_intervals_stay_inside_the_possible() -> None:
    assert proportion_interval(0, 10).low == 0.0
    assert proportion_interval(10, 10).high == 1.0
    assert proportion_interval(10, 10).low < 1.0
    assert proportion_interval(0, 0).n == 0


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        old = (random.random(200) < 0.9).astype(float)
        new = np.where(random.random(200) < 0.1, 1 - old, old)
        truth = 0.1 * 0.1 - 0.9 * 0.1
        interval = paired_difference(new, old)
        covered += interval.low <= truth <= interval.high
    assert 0.92 <= covered / 400 <= 0.99


def test_two_equal_files_are_a_tie_without_false_certainty() -> None:
    scores = np.ones(100)
    interval = paired_difference(scores, scores)
    assert interval.value == 0
    assert interval.low < 0 < interval.high


def test_a_clear_loss_excludes_zero() -> None:
    old, new = np.ones(200), np.r_[np.zeros(40), np.ones(160)]
    assert paired_difference(new, old).high < 0
    assert paired_difference(np.full(50, 0.3) + np.arange(50) * 1e-4, np.full(50, 0.1)).low > 0


def test_auc_matches_a_count_of_pairs() -> None:
    scores, labels = np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1])
    assert auc_interval(scores, labels).value == 0.75
    assert paired_auc_difference(scores, scores, labels).value == 0
