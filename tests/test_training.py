from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest

from optimizer.answers import predicted_classes
from optimizer.context import Event, RunContext
from optimizer.errors import RunError
from optimizer.losses import task_loss
from optimizer.model import copy_of
from optimizer.sources.dataset import Task
from optimizer.training import Schedule, fit

PLAN = Schedule(epochs=2, batch_size=64, learning_rate=1e-3)


def test_the_learning_rate_warms_up_holds_and_ends_near_zero() -> None:
    rates = [PLAN.learning_rate_at(step, 100) for step in range(100)]
    assert rates[0] < rates[4] == rates[50] == 1e-3
    assert rates[-1] < 1e-5
    assert all(a >= b for a, b in itertools.pairwise(rates[4:]))
    assert PLAN.learning_rate_at(0, 1) == 1e-3


def test_training_lowers_the_loss_and_reports_each_epoch(context: RunContext) -> None:
    events: list[Event] = []
    model = copy_of(context.original.keras)
    random = np.random.default_rng(0)
    model.set_weights([w + random.normal(0, 0.05, w.shape) for w in model.get_weights()])
    fit(model, dataclasses.replace(context, report=events.append), dataclasses.replace(PLAN, epochs=4))
    epochs = [event.data for event in events if event.kind == "metrics"]
    assert [epoch["epoch"] for epoch in epochs] == [1, 2, 3, 4]
    assert epochs[-1]["loss"] < epochs[0]["loss"]
    assert {"validation_loss", "validation_accuracy"} <= set(epochs[-1])


def test_moving_averages_follow_a_short_training(context: RunContext) -> None:
    model = copy_of(context.original.keras)
    layer = model.get_layer("first_bn")
    layer.moving_mean.assign(layer.moving_mean + 100)
    fit(model, context, dataclasses.replace(PLAN, learning_rate=1e-6))
    assert abs(layer.moving_mean.numpy() - context.original.keras.get_layer("first_bn").moving_mean.numpy()).max() < 1


def test_a_loss_that_explodes_is_a_plain_error(context: RunContext) -> None:
    with pytest.raises(RunError) as caught:
        fit(copy_of(context.original.keras), context, PLAN, loss=lambda x, y, z: z[0, 0] * float("nan"))
    assert caught.value.code == "NOT_FINITE"
    assert "learning rate" in caught.value.fix


def test_frozen_layers_stay_frozen(context: RunContext) -> None:
    model = copy_of(context.original.keras)
    model.get_layer("hidden").trainable = False
    before = model.get_layer("hidden").get_weights()[0]
    fit(model, context, PLAN)
    np.testing.assert_array_equal(before, model.get_layer("hidden").get_weights()[0])


@pytest.mark.parametrize(
    ("task", "outputs", "from_logits", "targets", "values", "expected"),
    [
        (Task.CLASSIFICATION, (3,), False, [1], [[0.25, 0.5, 0.25]], np.log(2)),
        (Task.CLASSIFICATION, (3,), True, [1], [[0.0, 0.0, 0.0]], np.log(3)),
        (Task.CLASSIFICATION, (1,), False, [1], [[0.5]], np.log(2)),
        (Task.CLASSIFICATION, (1,), True, [0], [[0.0]], np.log(2)),
        (Task.REGRESSION, (1,), True, [[2.0]], [[5.0]], 9.0),
        (Task.REGRESSION, (1,), True, [[2]], [[5.0]], 9.0),
        (Task.RECONSTRUCTION, (2,), False, [[1.0, 1.0]], [[0.0, 1.0]], 0.5),
        (Task.RECONSTRUCTION, (2,), True, [[1.0, 1.0]], [[0.0, 0.0]], 0.25),
    ],
    ids=str,
)
def test_each_task_has_its_textbook_loss(
    digits: Any, task: Task, outputs: Any, from_logits: bool, targets: Any, values: Any, expected: float
) -> None:
    data = dataclasses.replace(digits, task=task, output_shape=outputs, from_logits=from_logits)
    value = task_loss(data)(None, np.array(targets), np.array(values, np.float32))
    assert float(value) == pytest.approx(expected, rel=1e-4)


def test_classes_are_read_off_probabilities_and_logits() -> None:
    assert list(predicted_classes(np.array([[0.1, 0.9], [0.6, 0.4]]), from_logits=False)) == [1, 0]
    assert list(predicted_classes(np.array([[0.4], [0.6]]), from_logits=False)) == [0, 1]
    assert list(predicted_classes(np.array([[-0.4], [0.4]]), from_logits=True)) == [0, 1]
