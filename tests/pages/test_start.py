"""Start: one click on the sample, a new project, or on with the last one."""

from __future__ import annotations

from pathlib import Path

from dashboard import Open, store_of_test

from optimizer.runs.run import RunKind


def test_one_click_on_the_sample_queues_baseline_and_presets_and_leads_to_compare(opened: Open) -> None:
    app = opened(None)
    app.button(key="start.Try the sample").click().run()
    assert app.title[0].value == "Compare"
    runs = store_of_test().runs(kinds=(RunKind.BASELINE, RunKind.EXPERIMENT))
    assert [run.name for run in reversed(runs)] == ["baseline", "Safe", "Balanced", "Tiny"]


def test_a_second_click_on_the_sample_queues_nothing_twice(opened: Open) -> None:
    opened(None).button(key="start.Try the sample").click().run()
    again = opened(None)
    again.button(key="start.Try the sample").click().run()
    assert store_of_test().count_runs() == 6


def test_continue_leads_to_the_latest_project(opened: Open, seeded: Path) -> None:
    app = opened(seeded)
    assert "8 runs" in " ".join(element.value for element in app.markdown)
    app.button(key="start.Continue").click().run()
    assert app.title[0].value == "Compare"
    assert app.query_params["project"] == store_of_test().projects()[0].id


def test_bring_your_model_begins_a_project_only_when_a_file_comes(opened: Open, seeded: Path) -> None:
    app = opened(seeded)
    app.button(key="start.Bring your model").click().run()
    assert app.title[0].value == "Model & Data"
    assert len(store_of_test().projects()) == 1
    assert not app.sidebar.metric
