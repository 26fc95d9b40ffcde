"""Model & Data: a file goes to the store at once, what was refused says why where it was handed over, what was there stays."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from dashboard import Open, store_of_test
from seed import HOSTILE, Seeder

from optimizer.errors import InputError
from optimizer.runs.requests import bring_data, bring_model
from optimizer.runs.run import UNNAMED, RunKind, RunState

LAMBDA = InputError(
    "Layer 'Lambda' contains code; not accepted", code="UNSAFE_LAYER", place="evil.h5", fix="Replace it with a Keras layer."
)

UNCLEAR = InputError("The file does not tell what the model is for", code="TASK_UNCLEAR", place="own.npz", fix="Choose the task.")


def test_an_upload_makes_a_project_is_stored_and_queued_once(opened: Open) -> None:
    app = opened(None, "model_and_data")
    app.file_uploader[0].set_value(("kws v3.keras", b"PK" + b"0" * 3_000_000, "application/octet-stream"))
    app.run()
    app.run()
    store = store_of_test()
    (run,) = store.runs(kinds=(RunKind.INSPECT_MODEL,))
    assert run.name == "kws v3.keras"
    assert store.object_path(run.inputs["model"]["sha256"]).stat().st_size == 3_000_002
    assert store.projects()[0].name == UNNAMED, "a file that may be refused gives no name"
    assert app.file_uploader[0].value is None, "the box must be a new one, so that the upload's memory is freed"


def test_a_name_made_of_markup_is_stored_and_shown_as_text(opened: Open) -> None:
    app = opened(None, "model_and_data")
    app.file_uploader[0].set_value((HOSTILE.replace("/", "") + ".h5", b"x", "application/octet-stream"))
    app.run()
    assert not app.exception
    assert not app.error
    assert store_of_test().runs(kinds=(RunKind.INSPECT_MODEL,))


def test_a_refused_model_says_why_and_the_earlier_one_stays(opened: Open, tmp_path: Path) -> None:
    seeder = Seeder(tmp_path / "home")
    project = seeder.project()
    run = bring_model(seeder.store, project.id, BytesIO(b"x"), "evil.h5")
    seeder.finish(run, RunState.FAILED, error=LAMBDA.to_json())
    app = opened(tmp_path / "home", "model_and_data")
    assert "contains code" in app.error[0].value
    assert "Replace it" in app.error[0].value
    assert any("Nothing has changed" in caption.value and "digits\\_cnn" in caption.value for caption in app.caption)
    assert any(metric.label == "Parameters" and metric.value == "21,690" for metric in app.metric)


def test_a_bundled_set_is_one_click(opened: Open) -> None:
    app = opened(None, "model_and_data")
    app.button(key="bundled.digits").click().run()
    (run,) = store_of_test().runs(kinds=(RunKind.INSPECT_DATA,))
    assert run.inputs["data"] == {"bundled": "digits"}


def test_the_label_column_goes_along_and_can_be_mended_without_another_upload(opened: Open) -> None:
    app = opened(None, "model_and_data")
    app.text_input(key="label_column").set_value("species").run()
    app.file_uploader[1].set_value(("iris.csv", b"a,b\n1,2\n", "text/csv"))
    app.run()
    app.text_input(key="label_column").set_value("b").run()
    next(button for button in app.button if button.label == "Read again with it").click().run()
    newer, older = store_of_test().runs(kinds=(RunKind.INSPECT_DATA,))
    assert (older.inputs["data"]["label"], newer.inputs["data"]["label"]) == ("species", "b")
    assert older.inputs["data"]["sha256"] == newer.inputs["data"]["sha256"]


def test_the_task_is_said_and_can_be_chosen_without_another_upload(opened: Open, tmp_path: Path) -> None:
    seeder = Seeder(tmp_path / "home")
    seeder.project()
    app = opened(tmp_path / "home", "model_and_data")
    box = next(box for box in app.selectbox if box.label == "What is the model for?")
    assert (box.value, box.options[0]) == ("auto", "found by itself: classification")
    assert "multi-label: any number of labels" in box.options[2]
    box.set_value("multi_label").run()
    store = store_of_test()
    run = store.runs(kinds=(RunKind.INSPECT_DATA,))[0]
    assert run.inputs["data"] == {"bundled": "digits", "task": "multi_label"}
    assert store.count_runs(kinds=(RunKind.INSPECT_DATA,)) == 2
    app.run()
    assert store.count_runs(kinds=(RunKind.INSPECT_DATA,)) == 2
    assert next(box for box in app.selectbox if box.label == "What is the model for?").value == "multi_label"


def test_data_whose_task_is_unclear_say_so_and_offer_the_choice(opened: Open, tmp_path: Path) -> None:
    seeder = Seeder(tmp_path / "home")
    project = seeder.project()
    run = bring_data(seeder.store, project.id, stream=BytesIO(b"x"), name="own.npz")
    seeder.finish(run, RunState.FAILED, error=UNCLEAR.to_json())
    app = opened(tmp_path / "home", "model_and_data")
    assert any("does not tell what the model is for" in error.value for error in app.error)
    box = next(box for box in app.selectbox if box.label == "What is the model for?")
    assert box.options[0] == "found by itself"
    box.set_value("regression").run()
    assert store_of_test().runs(kinds=(RunKind.INSPECT_DATA,))[0].inputs["data"]["task"] == "regression"


def test_what_was_understood_is_a_sentence_for_every_task() -> None:
    from pages.components.data_view import data_lines

    words = data_lines(
        {"task": "multi_label", "task_words": "any number", "class_names": ["a", "b"], "sample_shape": [4], "dtype": "float32"}
    )
    assert words == ["Task: multi-label (2): any number", "Samples: arrays of 4, float32"]
    several = data_lines(
        {"inputs": [{"name": "left", "shape": [4], "dtype": "int64"}, {"name": "right", "shape": [], "dtype": "int8"}]}
    )
    assert several == ["Input left: 4, int64", "Input right: one number, int8"]


def test_the_original_is_measured_as_soon_as_model_and_data_are_there(opened: Open, tmp_path: Path) -> None:
    seeder = Seeder(tmp_path / "home")
    seeder.project()
    opened(tmp_path / "home", "model_and_data")
    store = store_of_test()
    assert store.count_runs(kinds=(RunKind.BASELINE,)) == 1
    opened(None, "model_and_data")
    assert store.count_runs(kinds=(RunKind.BASELINE,)) == 1


def test_samples_are_drawn_from_checked_base64_and_escaped_labels_only() -> None:
    from pages.components.data_view import _figure

    assert _figure({"image": 'x" onerror="alert(1)', "label": "a"}) == ""
    assert _figure({"image": "aGk=", "label": "<script>"}).count("<script>") == 0
    assert 'src="data:image/png;base64,aGk="' in _figure({"image": "aGk=", "label": "7"})


def test_a_tflite_and_a_zip_are_taken_and_the_second_model_must_be_keras(opened: Open, seeded: Path) -> None:
    app = opened(seeded, "model_and_data")
    assert list(app.file_uploader[0].proto.type) == [".keras", ".h5", ".zip", ".tflite"]
    assert any(list(box.proto.type) == [".keras", ".h5"] for box in app.file_uploader)
