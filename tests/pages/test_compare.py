"""Compare: the view is in the URL, what cannot be compared says why, downloads are the stored bytes or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from dashboard import Open, store_of_test
from streamlit.testing.v1 import AppTest

from optimizer.errors import RunError
from optimizer.recipe import Recipe
from optimizer.runs.requests import run_recipe
from optimizer.runs.run import RunKind, RunState
from pages.components.downloads import Refusals, download_name, reader


def shown(app: AppTest) -> list[str]:
    store = store_of_test()
    return [store.run(run_id).name for run_id in app.multiselect[0].value]


def test_the_newest_runs_are_shown_until_someone_chooses(opened: Open, seeded: Path) -> None:
    app = opened(seeded, "compare")
    assert shown(app) == ["Safe", "Balanced", "Tiny", "prune only"]
    assert len(app.get("plotly_chart")) == 2
    assert "runs" not in app.query_params


def test_a_choice_goes_into_the_url_and_a_url_makes_the_choice(opened: Open, seeded: Path) -> None:
    app = opened(seeded, "compare")
    kept = app.multiselect[0].value[:2]
    app.multiselect[0].set_value(kept).run()
    assert app.query_params["runs"] == ",".join(kept)
    assert shown(app) == ["Safe", "Balanced"]
    app.query_params["runs"] = f"{kept[1]},{kept[1]},nothing-like-it"
    app.run()
    assert shown(app) == ["Balanced"]


def test_the_sentence_speaks_of_the_run_in_focus(opened: Open, seeded: Path) -> None:
    app = opened(seeded, "compare")
    assert any(text.value.replace("\\", "").startswith("##### Safe is 3.2× smaller") for text in app.markdown)
    focus = next(box for box in app.selectbox if box.label == "In focus")
    focus.set_value("Tiny").run()
    assert any("accuracy changes by −2.8 ± 0.6 points" in text.value.replace("\\", "") for text in app.markdown)
    assert app.query_params["chosen"]


def test_ties_are_grey_and_differences_are_not(opened: Open, seeded: Path) -> None:
    app = opened(seeded, "compare")
    cells = [text.value.replace("\\", "") for text in app.markdown]
    assert any(":gray[−0.3 ± 0.6 points (tie)]" in cell for cell in cells)
    assert any(":small[−2.8 ± 0.6 points]" in cell for cell in cells)


def test_only_differing_settings_are_in_the_table(opened: Open, seeded: Path) -> None:
    table = opened(seeded, "compare").dataframe[0].value
    assert "final sparsity" in table.columns
    assert "schedule" not in table.columns


def test_a_run_with_another_seed_is_listed_with_the_reason(opened: Open, seeded: Path) -> None:
    app = opened(seeded, "compare")
    store = store_of_test()
    project = store.projects()[0]
    run_recipe(store, project.id, Recipe(seed=5), name="other seed")
    from seed import BASELINE, Seeder

    seeder = Seeder(store.home)
    for run in store.runs(project.id, kinds=(RunKind.EXPERIMENT,), states=(RunState.QUEUED,)):
        if run.name == "balanced again":
            store.request_cancel(run.id)
    seeder.succeed(store.runs(project.id, kinds=(RunKind.BASELINE,), states=(RunState.QUEUED,))[0], BASELINE)
    seeder.succeed(store.runs(project.id, kinds=(RunKind.EXPERIMENT,), states=(RunState.QUEUED,))[0], BASELINE)
    app.run()
    baseline = next(box for box in app.selectbox if box.label == "Compare with")
    assert len(baseline.options) == 2
    reasons = [list(frame.value["Why"]) for frame in app.dataframe if "Why" in frame.value.columns]
    assert reasons
    assert all("splits the data in another way" in reason for reason in reasons[0])


def test_runs_under_way_stand_below_with_their_progress(opened: Open, seeded: Path) -> None:
    app = opened(seeded, "compare")
    assert any("38 s left" in element.proto.text for element in app.main.get("progress"))


def test_a_download_is_the_stored_file_under_a_name_with_its_hash(opened: Open, seeded: Path) -> None:
    opened(seeded, "compare")
    store = store_of_test()
    run = next(run for run in store.runs() if run.name == "Tiny")
    sha256 = run.artifacts["model.tflite"]
    assert reader(store, run.id, sha256, Refusals())() == f"tflite of {run.id}".encode()
    assert download_name(run, "model.tflite", sha256) == f"Tiny-{sha256[:8]}.tflite"
    assert download_name(run, "report.json", run.artifacts["report.json"]).startswith("Tiny-report-")


def test_a_damaged_file_is_refused(opened: Open, seeded: Path) -> None:
    opened(seeded, "compare")
    store = store_of_test()
    sha256 = next(run for run in store.runs() if run.name == "Tiny").artifacts["model.tflite"]
    path = store.object_path(sha256)
    path.chmod(0o600)
    path.write_bytes(b"another file of the same run")
    refused = Refusals()
    with pytest.raises(RunError, match="DAMAGED"):
        reader(store, "a run", sha256, refused)()
    assert refused.unseen
    assert refused.errors["a run"].code == "DAMAGED"


def test_a_url_may_name_runs_older_than_those_on_offer(opened: Open, seeded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pages.components import view

    monkeypatch.setattr(view, "MOST_OFFERED", 2)
    app = opened(seeded, "compare")
    assert shown(app) == ["Tiny", "prune only"]
    app.query_params["runs"] = next(run.id for run in store_of_test().runs() if run.name == "Safe")
    app.run()
    assert shown(app) == ["Safe"]
