"""The loss of each task, and the distance of a student from its teacher."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from optimizer.losses import soft_distance, task_loss
from optimizer.sources.dataset import IGNORED, PreparedData, Task


def prepared(digits: PreparedData, task: Task, shape: Any, **settings: Any) -> PreparedData:
    return dataclasses.replace(digits, task=task, output_shape=shape, **settings)


@pytest.mark.parametrize(
    ("task", "shape", "settings", "targets", "outputs", "expected"),
    [
        (Task.MULTI_LABEL, (2,), {}, [[1.0, 0.0]], [[0.5, 0.25]], -(np.log(0.5) + np.log(0.75)) / 2),
        (Task.MULTI_LABEL, (2,), {"from_logits": True}, [[1.0, 0.0]], [[0.0, 0.0]], np.log(2)),
        (Task.CLASSIFICATION, (2,), {"independent": True}, [1], [[0.5, 0.5]], np.log(2)),
        (Task.CLASSIFICATION, (1, 1, 2), {}, [1], [[[[0.25, 0.75]]]], -np.log(0.75)),
        (Task.PER_STEP, (2, 2), {}, [[1, IGNORED]], [[[0.5, 0.5], [0.9, 0.1]]], np.log(2)),
        (Task.PER_STEP, (2, 2), {"independent": True}, [[1, IGNORED]], [[[0.5, 0.5], [0.9, 0.1]]], np.log(2)),
        (Task.PER_STEP, (2, 1), {}, [[1, IGNORED]], [[[0.5], [0.9]]], np.log(2)),
        (Task.PER_STEP, (2, 1), {}, [[IGNORED, IGNORED]], [[[0.5], [0.9]]], 0.0),
        (Task.RECONSTRUCTION, (2,), {}, np.float32([[1.0, 0.0]]), [[0.5, 0.0]], 0.125),
        (Task.RECONSTRUCTION, (2,), {"from_logits": True}, np.float32([[1.0, 0.5]]), [[0.0, 0.0]], 0.125),
    ],
    ids=str,
)
def test_each_task_has_its_textbook_loss(
    digits: PreparedData, task: Task, shape: Any, settings: Any, targets: Any, outputs: Any, expected: float
) -> None:
    loss = task_loss(prepared(digits, task, shape, **settings))
    assert float(loss(None, np.array(targets), np.array(outputs, np.float32))) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("task", "shape", "settings"),
    [
        (Task.CLASSIFICATION, (3,), {}),
        (Task.CLASSIFICATION, (3,), {"independent": True}),
        (Task.CLASSIFICATION, (1,), {}),
        (Task.MULTI_LABEL, (3,), {"from_logits": True}),
        (Task.PER_STEP, (2, 3), {}),
        (Task.PER_STEP, (2, 3), {"independent": True}),
        (Task.PER_STEP, (2, 1), {"from_logits": True}),
        (Task.REGRESSION, (2,), {}),
        (Task.UNLABELLED, (3,), {}),
        (Task.UNLABELLED, (3,), {"from_logits": True}),
    ],
    ids=str,
)
def test_a_student_that_repeats_its_teacher_is_at_no_distance(
    digits: PreparedData, task: Task, shape: Any, settings: Any
) -> None:
    data = prepared(digits, task, shape, **settings)
    random = np.random.default_rng(0)
    teacher, student = (random.dirichlet(np.ones(max(shape[-1], 2)), (4, *shape[:-1]))[..., : shape[-1]] for _ in range(2))
    targets = np.zeros((4, *shape[:-1]), np.int64)
    distance = soft_distance(data, temperature=2.0)
    same = distance(targets, teacher.astype(np.float32), teacher.astype(np.float32))
    other = distance(targets, teacher.astype(np.float32), student.astype(np.float32))
    assert float(same) == pytest.approx(0, abs=1e-6)
    assert float(other) > 1e-3


def test_steps_that_do_not_count_do_not_teach(digits: PreparedData) -> None:
    distance = soft_distance(prepared(digits, Task.PER_STEP, (2, 2)), temperature=1.0)
    teacher = np.array([[[0.5, 0.5], [0.9, 0.1]]], np.float32)
    student = np.array([[[0.5, 0.5], [0.1, 0.9]]], np.float32)
    assert float(distance(np.array([[0, IGNORED]]), teacher, student)) == pytest.approx(0, abs=1e-6)
    assert float(distance(np.array([[0, 1]]), teacher, student)) > 0.5
