"""Experiment: forms made from the registry, orders refused at once, runs and sweeps that reach the queue exactly once."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path

import pytest
from dashboard import Open, store_of_test
from streamlit.testing.v1 import AppTest

from optimizer.runs.run import Run, RunKind, RunState

PRUNE = {"version": 1, "seed": 0, "steps": [{"technique": "magnitude_pruning", "final_sparsity": 0.8}]}


def add(app: AppTest, technique: str) -> AppTest:
    """Press the button of the menu that adds a step."""
    next(
        button for button in app.button if (button.key or "").startswith("add.") and button.key.endswith("." + technique)
    ).click()
    return app.run()


def run_button(app: AppTest) -> object:
    return next(button for button in app.button if button.label == "Run")


def experiments() -> list[Run]:
    return [
        run
        for run in store_of_test().runs(kinds=(RunKind.EXPERIMENT,), states=(RunState.QUEUED,))
        if run.name != "balanced again"
    ]


def recipe_text(app: AppTest) -> dict[str, object]:
    return json.loads(app.code[0].value)


def test_sparsity_and_bit_width_are_sliders_in_sight_and_reach_the_queued_recipe(opened: Open, seeded: Path) -> None:
    app = add(add(opened(seeded, "experiment"), "magnitude_pruning"), "post_training_quantization")
    sparsity = next(slider for slider in app.slider if slider.label == "Final sparsity")
    weights = next(slider for slider in app.select_slider if slider.label == "Weights")
    assert weights.options == ["16 bit float", "8 bit", "4 bit"]
    sparsity.set_value(75)
    weights.set_value("int4")
    app.run()
    run_button(app).click()
    app.run()
    (run,) = experiments()
    assert run.recipe["steps"][0]["final_sparsity"] == 0.75
    assert run.recipe["steps"][1]["weights"] == "int4"


def test_a_double_click_is_one_run(opened: Open, seeded: Path) -> None:
    app = add(opened(seeded, "experiment"), "magnitude_pruning")
    run_button(app).click()
    app.run()
    run_button(app).click()
    app.run()
    assert len(experiments()) == 1


def test_the_draft_survives_another_page_and_a_new_session(opened: Open, seeded: Path) -> None:
    app = add(opened(seeded, "experiment"), "magnitude_pruning")
    next(slider for slider in app.slider if slider.label == "Final sparsity").set_value(65).run()
    app.switch_page("pages/runs.py").run()
    app.switch_page("pages/experiment.py").run()
    assert recipe_text(app)["steps"][0]["final_sparsity"] == 0.65
    assert recipe_text(opened(seeded, "experiment"))["steps"][0]["final_sparsity"] == 0.65


def test_a_senseless_order_is_refused_at_once_and_cannot_run(opened: Open, seeded: Path) -> None:
    app = add(add(opened(seeded, "experiment"), "post_training_quantization"), "magnitude_pruning")
    assert "Step 2 (magnitude_pruning)" in app.error[0].value.replace("\\", "")
    assert run_button(app).disabled
    next(button for button in app.button if (button.key or "").startswith("up.") and not button.disabled).click()
    app.run()
    assert not app.error
    assert not run_button(app).disabled


def test_an_impossible_pair_offers_its_repair_as_a_button(opened: Open, seeded: Path) -> None:
    app = add(opened(seeded, "experiment"), "post_training_quantization")
    next(slider for slider in app.select_slider if slider.label == "Weights").set_value("float16").run()
    assert "IMPOSSIBLE" in app.error[0].value
    next(button for button in app.button if button.label == "Set activations to float32").click()
    app.run()
    assert not app.error
    assert recipe_text(app)["steps"][0]["activations"] == "float32"


def test_a_preset_fills_the_steps_and_empty_clears_them(opened: Open, seeded: Path) -> None:
    app = opened(seeded, "experiment")
    app.button(key="preset.Tiny").click().run()
    assert [step["technique"] for step in recipe_text(app)["steps"]] == [
        "magnitude_pruning",
        "weight_clustering",
        "quantization_aware_training",
    ]
    app.button(key="preset.empty").click().run()
    assert recipe_text(app)["steps"] == []


def test_a_sweep_queues_one_run_for_each_value(opened: Open, seeded: Path) -> None:
    app = add(opened(seeded, "experiment"), "magnitude_pruning")
    values = next(box for box in app.multiselect if box.label == "Values, one run each")
    values.set_value(["0.5", "0.7", "0.9"]).run()
    app.button(key="run_sweep").click().run()
    assert sorted(run.recipe["steps"][0]["final_sparsity"] for run in experiments()) == [0.5, 0.7, 0.9]


def test_a_pasted_recipe_is_taken_over_and_a_broken_one_says_what_is_wrong(opened: Open, seeded: Path) -> None:
    app = opened(seeded, "experiment")
    paste = next(button for button in app.button if button.label == "Use the pasted recipe")
    app.text_area(key="pasted_recipe").set_value(json.dumps(PRUNE))
    paste.click().run()
    assert recipe_text(app)["steps"][0]["final_sparsity"] == 0.8
    app.text_area(key="pasted_recipe").set_value('{"steps": [{"technique": "magnitude_prunning"}]}')
    next(button for button in app.button if button.label == "Use the pasted recipe").click().run()
    assert "Did you mean magnitude_pruning" in app.error[0].value.replace("\\", "")
    assert recipe_text(app)["steps"][0]["final_sparsity"] == 0.8, "the draft that was there stays"


def test_a_recipe_can_start_from_an_earlier_run_that_left_a_keras_model(opened: Open, seeded: Path) -> None:
    app = opened(seeded, "experiment")
    start = next(box for box in app.selectbox if box.label == "Start from")
    assert start.options == ["the original model", "prune only"]
    start.set_value("prune only").run()
    add(app, "post_training_quantization")
    run_button(app).click()
    app.run()
    (run,) = experiments()
    assert store_of_test().run(run.parent_id).name == "prune only"


def test_name_and_note_go_along(opened: Open, seeded: Path) -> None:
    app = add(opened(seeded, "experiment"), "magnitude_pruning")
    app.text_input(key="run_name").set_value("mine")
    app.text_area(key="run_note").set_value("why not")
    run_button(app).click()
    app.run()
    (run,) = experiments()
    assert (run.name, run.note) == ("mine", "why not")


NEW_TECHNIQUE = '''
    """A technique that no page has heard of."""
    from optimizer.sources.summary import Finding, ModelSummary, Verdict
    from optimizer.technique import Technique, param, technique

    @technique("ternary_rounding", family="rounding")
    class TernaryRounding(Technique):
        """Round to three values. Use it never."""

        threshold: float = param(0.5, low=0.0, high=4.0, step=0.5, primary=True, help="Where zero ends.")
        levels: int = param(3, low=2, high=9, primary=True, help="How many.")
        numbers: str = param("int8", choices=("float16", "int8"), primary=True, help="Bits.")
        signed: bool = param(True, help="Both signs.")
        mode: str = param("near", choices=("near", "up"), help="Which way.")
        only: tuple[str, ...] = param((), help="Layers.")

        def check(self, model: ModelSummary) -> list[Finding]:
            return [Finding(layer=layer.name, verdict=Verdict.WORKS) for layer in model.layers if layer.parameters]
'''


def test_a_technique_dropped_into_a_package_gets_its_form(
    opened: Open, seeded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "dropped_techniques"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "ternary.py").write_text(textwrap.dedent(NEW_TECHNIQUE))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("LITESMITH_TECHNIQUE_PACKAGES", "dropped_techniques")
    app = add(opened(seeded, "experiment"), "ternary_rounding")
    assert not app.exception
    assert not app.error
    labels = {
        "slider": [element.label for element in app.slider],
        "number": [element.label for element in app.number_input],
        "bits": [element.label for element in app.select_slider],
        "toggle": [element.label for element in app.toggle],
        "segments": [element.label for element in app.segmented_control],
        "layers": [element.label for element in app.multiselect],
    }
    assert labels["slider"] == ["Threshold"]
    assert "Levels" in labels["number"]
    assert labels["bits"] == ["Numbers"]
    assert labels["toggle"] == ["Signed"]
    assert labels["segments"] == ["Mode"]
    assert "Only" in labels["layers"]
    assert recipe_text(app)["steps"] == [
        {
            "technique": "ternary_rounding",
            "threshold": 0.5,
            "levels": 3,
            "numbers": "int8",
            "signed": True,
            "mode": "near",
            "only": [],
        }
    ]
    for name in [name for name in sys.modules if name.startswith("dropped_techniques")]:
        del sys.modules[name]
