from __future__ import annotations

import pytest

from optimizer.context import Event
from optimizer.runs.progress import ProgressEstimate


def stage(index: int, count: int, name: str = "a") -> Event:
    return Event(kind="stage", data={"index": index, "count": count, "name": name})


def at(fraction: object, seconds_left: object = None) -> Event:
    return Event(kind="progress", data={"fraction": fraction, "seconds_left": seconds_left})


def test_nothing_is_promised_before_anything_was_heard() -> None:
    progress = ProgressEstimate(clock=0.0).now(5.0)
    assert (progress.fraction, progress.seconds_left, progress.stage) == (0.0, None, "")


def test_the_steps_of_a_recipe_weigh_more_than_the_frame_around_them() -> None:
    estimate = ProgressEstimate(clock=0.0)
    estimate.hear(stage(2, 5, "prune 80 %"), 1.0)
    assert estimate.now(1.0).fraction == pytest.approx(2 / 10)
    estimate.hear(at(0.5, 3.0), 4.0)

    progress = estimate.now(4.0)
    assert (progress.stage, progress.stage_index, progress.stage_count) == ("prune 80 %", 2, 5)
    assert progress.fraction == pytest.approx(5 / 10)
    # The stage takes 6 s for its 6 parts, so the 2 parts after it take 2 s more.
    assert progress.seconds_left == pytest.approx(5.0)
    assert estimate.now(5.0).seconds_left == pytest.approx(4.0)


def test_the_fraction_never_falls_back_from_stage_to_stage() -> None:
    estimate = ProgressEstimate(clock=0.0)
    seen = []
    for index in range(6):
        for event in (stage(index, 6), at(0.3), at(1.0)):
            estimate.hear(event, float(index))
            seen.append(estimate.now(float(index)).fraction)
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1.0)


@pytest.mark.parametrize("value", [-5, 7.0, float("nan"), "half", None, True])
def test_nonsense_from_a_worker_stays_within_bounds(value: object) -> None:
    estimate = ProgressEstimate(clock=0.0)
    estimate.hear(Event(kind="stage", data={"index": value, "count": value, "name": value}), 1.0)
    estimate.hear(at(value, value), 1.0)
    progress = estimate.now(2.0)
    assert 0.0 <= progress.fraction <= 1.0
    assert progress.seconds_left is None or progress.seconds_left >= 0.0


@pytest.mark.parametrize(("fraction", "seconds_left"), [(0.5, 1.7e308), (5e-324, None), (5e-324, 1.7e308)])
def test_numbers_that_add_up_to_infinity_are_left_out(fraction: float, seconds_left: float | None) -> None:
    estimate = ProgressEstimate(clock=0.0)
    estimate.hear(stage(0, 900), 1.0)
    estimate.hear(at(fraction, seconds_left), 1.0)
    assert estimate.now(2.0).seconds_left is None
