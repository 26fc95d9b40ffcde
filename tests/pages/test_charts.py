"""The figures: colours that stay with their run, numbers beside the bars, names that stay text, ticks that are round."""

from __future__ import annotations

import itertools
import json

import pytest
from test_compared import BASELINE, BETTER, measured, run

from pages.components import palette
from pages.components.bar_chart import bars
from pages.components.compared import AXES, rows_of
from pages.components.front_chart import front
from pages.components.look import Look, label_places, round_ticks

ROWS = rows_of([measured("tiny", 16_000, 0.978, **BETTER), measured("mid", 40_000, 0.95, **BETTER)], BASELINE)


def test_a_run_keeps_its_colour_while_others_come_and_go() -> None:
    first = palette.places_in_series(["a", "b", "c"], {})
    assert first == {"a": 0, "b": 1, "c": 2}
    assert palette.places_in_series(["a", "c", "d"], first) == {"a": 0, "c": 2, "d": 1}


def test_many_runs_repeat_colours_but_not_markers() -> None:
    places = range(len(palette.SERIES) * 2)
    marks = {(palette.colour(place), palette.symbol(place)) for place in places}
    assert len(marks) == len(places)


def test_a_run_has_the_same_colour_on_every_chart() -> None:
    look = Look(chosen="tiny", places={"tiny": 0, "mid": 1})
    in_bars = [trace["marker"]["color"] for trace in bars(ROWS, look)["data"] if trace["type"] == "bar"]
    in_front = [trace["marker"]["color"] for trace in front(ROWS, look)["data"] if trace["mode"] == "markers+text"]
    assert in_bars == [in_front, in_front]
    assert in_front[0] == palette.BASELINE
    assert in_front[1] == palette.ACCENT["light"]


@pytest.mark.parametrize("axis", AXES)
def test_every_axis_can_be_drawn_also_where_a_measurement_is_missing(axis: str) -> None:
    import plotly.graph_objects as go

    rows = [*ROWS, *rows_of([run("empty")], None)]
    go.Figure(front(rows, Look(), axis))
    go.Figure(bars(rows, Look(budget={"max_bytes": 30_000, "max_ms": 1.0, "max_accuracy_drop": 0.01})))


def test_a_name_made_of_markup_stays_text_in_both_figures() -> None:
    rows = rows_of([run("x", name="<a href='javascript:alert(1)'>x</a>", metrics=ROWS[1].run.metrics)], None)
    for figure in (bars(rows, Look()), front(rows, Look())):
        assert "<a href" not in json.dumps(figure, ensure_ascii=False)


def test_the_budget_is_a_line_on_each_chart_that_it_limits() -> None:
    look = Look(budget={"max_bytes": 30_000, "max_accuracy_drop": 0.01})
    dashed = [shape for shape in bars(ROWS, look)["layout"]["shapes"] if shape["line"]["dash"] == "dash"]
    assert [shape["x0"] for shape in dashed] == [30_000, pytest.approx(0.97)]
    assert len(front(ROWS, look)["layout"]["shapes"]) == 2


def test_dominated_runs_are_faded() -> None:
    opacity = {trace["text"][0]: trace["opacity"] for trace in front(ROWS, Look())["data"] if "text" in trace}
    assert opacity["mid"] < 1
    assert opacity["tiny"] == 1


@pytest.mark.parametrize(("low", "high"), [(0, 97), (0.931, 0.999), (0, 1e-9), (5, 5), (0, 3e7)])
def test_ticks_are_few_round_and_inside(low: float, high: float) -> None:
    ticks = round_ticks(low, high)
    assert 1 <= len(ticks) <= 6
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)


def test_names_of_points_that_lie_close_do_not_cover_each_other() -> None:
    from pages.components.look import PLACES, _label_box, _overlap

    points = [(0.3, 0.5, "Safe"), (0.31, 0.48, "Balanced"), (0.9, 0.55, "baseline"), (0.9, 0.5, "prune only")]
    boxes = [_label_box(x, y, name, PLACES[place]) for (x, y, name), place in zip(points, label_places(points), strict=True)]
    for one, other in itertools.combinations(boxes, 2):
        assert _overlap(one, [other]) < 0.004
