"""Several labels a sample: AUC and F1 against scikit-learn's, and intervals that hold what they say."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from optimizer.measure.multi_label import label_metrics, macro_auc, macro_f1
from optimizer.measure.significance import auc_interval


def example(number: int = 300, labels: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = (random.random((number, labels)) < 0.3).astype(np.uint8)
    return np.round(truth * 0.8 + random.normal(size=truth.shape), 1), truth


def test_the_values_are_those_of_scikit_learn_ties_included() -> None:
    outputs, truth = example()
    metrics = label_metrics(outputs, truth, from_logits=True)
    assert metrics["auc"].value == pytest.approx(roc_auc_score(truth, outputs, average="macro"))
    assert metrics["f1"].value == pytest.approx(f1_score(truth, outputs > 0, average="macro"))
    for interval in metrics.values():
        assert 0 < interval.low < interval.value < interval.high < 1
        assert interval.n == 300


def test_one_label_has_about_the_interval_of_hanley_and_mcneil() -> None:
    outputs, truth = example(labels=1)
    ours, theirs = macro_auc(outputs, truth), auc_interval(outputs[:, 0], truth[:, 0])
    assert ours is not None
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.02)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    truth_auc = macro_auc(*example(200_000))
    assert truth_auc is not None
    found = [macro_auc(*example(150, seed=seed)) for seed in range(1, 301)]
    covered = sum(interval is not None and interval.low <= truth_auc.value <= interval.high for interval in found)
    assert 0.91 <= covered / 300 <= 0.98


def test_labels_that_nobody_or_everybody_has_are_left_out() -> None:
    outputs, truth = example()
    truth[:, 0], truth[:, 1] = 0, 1
    area = macro_auc(outputs, truth)
    assert area is not None
    assert area.value == pytest.approx(roc_auc_score(truth[:, 2:], outputs[:, 2:], average="macro"))
    assert macro_f1(outputs > 0, truth == 1).value == pytest.approx(f1_score(truth[:, 1:], outputs[:, 1:] > 0, average="macro"))
    assert set(label_metrics(outputs[:, :2], truth[:, :2], from_logits=True)) == {"f1"}
    assert macro_f1(np.zeros((3, 2), bool), np.zeros((3, 2), bool)).value == 0.0
