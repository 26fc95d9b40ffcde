"""Runs: the list, its filters, and one run in full with the way on from there."""

from __future__ import annotations

from pathlib import Path

from dashboard import Open, store_of_test
from streamlit.testing.v1 import AppTest

from optimizer.runs.run import Run, RunState


def named(name: str) -> Run:
    return next(run for run in store_of_test().runs() if run.name == name)


def opened_run(opened: Open, home: Path, name: str) -> AppTest:
    app = opened(home, "runs")
    app.query_params["run"] = named(name).id
    return app.run()


def test_runs_stand_newest_first(opened: Open, seeded: Path) -> None:
    table = opened(seeded, "runs").dataframe[0].value
    assert list(table["Run"]) == [
        "balanced again",
        "tiny again",
        "int4 attempt",
        "prune only",
        "Tiny",
        "Balanced",
        "Safe",
        "baseline",
    ]
    assert list(table["State"])[:3] == ["queued", "running 42 %", "promise broken"]


def test_the_list_is_filtered_by_words_and_state(opened: Open, seeded: Path) -> None:
    app = opened(seeded, "runs")
    app.text_input(key="runs_search").set_value("PRUNE 80").run()
    assert list(app.dataframe[0].value["Run"]) == ["tiny again", "prune only", "Tiny"]
    app.button_group(key="runs_outcomes").set_value(["succeeded"]).run()
    assert list(app.dataframe[0].value["Run"]) == ["prune only", "Tiny"]
    app.text_input(key="runs_search").set_value("nothing like it").run()
    assert "No run fits" in app.info[0].value


def test_the_filter_offers_what_the_list_says_and_shows_exactly_that(opened: Open, seeded: Path) -> None:
    app = opened(seeded, "runs")
    filters = app.button_group(key="runs_outcomes")
    assert list(filters.options) == ["queued 1", "running 1", "succeeded 5", "promise broken 1"]
    filters.set_value(["promise broken"]).run()
    assert list(app.dataframe[0].value["Run"]) == ["int4 attempt"]
    assert list(app.dataframe[0].value["State"]) == ["promise broken"]


def test_a_chosen_filter_stays_when_its_last_run_leaves_it(opened: Open, seeded: Path) -> None:
    app = opened(seeded, "runs")
    app.button_group(key="runs_outcomes").set_value(["queued"]).run()
    assert list(app.dataframe[0].value["Run"]) == ["balanced again"]
    store_of_test().request_cancel(named("balanced again").id)
    app.run()
    assert app.button_group(key="runs_outcomes").value == ["queued"]
    assert "No run fits" in app.info[0].value


def test_a_failed_run_tells_the_sentence_and_the_fix_and_leads_to_its_recipe(opened: Open, seeded: Path) -> None:
    app = opened_run(opened, seeded, "int4 attempt")
    shown = app.error[0].value.replace("\\", "")
    assert "promised at most 16 values per kernel" in shown
    assert "Set granularity to per_tensor" in shown
    app.button(key=f"edit.{named('int4 attempt').id}").click().run()
    assert app.title[0].value == "Experiment"
    assert '"weights": "int4"' in app.code[0].value


def test_run_again_queues_the_same_work(opened: Open, seeded: Path) -> None:
    app = opened_run(opened, seeded, "int4 attempt")
    before = named("int4 attempt")
    app.button(key=f"again.{before.id}").click().run()
    again = named("int4 attempt")
    assert again.id != before.id
    assert again.recipe == before.recipe
    assert app.query_params["run"] == again.id


def test_start_from_this_leads_to_an_empty_recipe_on_top_of_the_run(opened: Open, seeded: Path) -> None:
    app = opened_run(opened, seeded, "prune only")
    app.button(key=f"from.{named('prune only').id}").click().run()
    assert app.title[0].value == "Experiment"
    assert next(box for box in app.selectbox if box.label == "Start from").value == named("prune only").id
    assert '"steps": []' in app.code[0].value


def test_a_running_run_shows_progress_curves_and_cancel(opened: Open, seeded: Path) -> None:
    app = opened_run(opened, seeded, "tiny again")
    assert any("38 s left" in element.proto.text for element in app.get("progress"))
    assert len(app.get("vega_lite_chart")) == 2
    app.button(key=f"stop.{named('tiny again').id}").click().run()
    assert named("tiny again").cancel_requested


def test_a_queued_run_is_cancelled_at_once_from_the_tray(opened: Open, seeded: Path) -> None:
    app = opened(seeded, "runs")
    app.button(key=f"cancel.{named('balanced again').id}").click().run()
    assert named("balanced again").state is RunState.CANCELLED


def test_an_unknown_run_in_the_url_shows_the_list_alone(opened: Open, seeded: Path) -> None:
    app = opened(seeded, "runs", run="nothing-like-it")
    assert not app.exception
    assert not app.error
    assert len(app.dataframe[0].value) == 8
