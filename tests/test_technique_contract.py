"""What holds for every technique in the registry; a new technique is found here without an edit."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from optimizer.context import RunContext
from optimizer.errors import InputError
from optimizer.litert_file import LiteRTFile
from optimizer.measure.interpreter import run
from optimizer.model import Model
from optimizer.promises import promise_from_json, promise_to_json
from optimizer.recipe import Recipe, recipe_from_json
from optimizer.sources.summary import Finding
from optimizer.steps import final_conversion
from optimizer.technique import Param, Stage, Technique, describe, params, registry, technique_from_json

TECHNIQUES = list(registry().values())
SETTINGS = [(cls, setting) for cls in TECHNIQUES for setting in params(cls)]


def name_of(value: Any) -> str:
    return value.name if isinstance(value, type) else value.name if isinstance(value, Param) else ""


def quick(cls: type[Technique]) -> Technique:
    """The technique with its defaults, but a single epoch."""
    return cls(**{p.name: 1 for p in params(cls) if p.name == "epochs"})


@pytest.mark.parametrize("cls", TECHNIQUES, ids=name_of)
def test_it_is_constructible_by_default_and_survives_json(cls: type[Technique]) -> None:
    step = cls()
    record = json.loads(json.dumps(step.to_json()))
    assert technique_from_json(record) == step
    assert record["technique"] == cls.name


@pytest.mark.parametrize("cls", TECHNIQUES, ids=name_of)
def test_it_explains_itself(cls: type[Technique]) -> None:
    entry = describe(cls)
    assert len(entry["description"]) > 80
    assert "arXiv" in entry["description"] or "doi" in entry["description"].lower()
    assert cls().in_words()
    assert cls.family
    assert isinstance(cls.consumes, Stage)


@pytest.mark.parametrize(("cls", "setting"), SETTINGS, ids=name_of)
def test_each_setting_has_help_and_a_domain(cls: type[Technique], setting: Param) -> None:
    assert len(setting.help) > 10
    assert setting.help.endswith((".", "!"))
    if setting.kind in (int, float):
        assert setting.low is not None
        assert setting.high is not None
        assert setting.low <= setting.default <= setting.high


@pytest.mark.parametrize(("cls", "setting"), SETTINGS, ids=name_of)
@pytest.mark.parametrize(
    "bad", [None, "no such choice", -1e9, 1e9, float("nan"), float("inf"), [1], {}, 10**400], ids=lambda value: repr(value)[:12]
)
def test_a_bad_value_is_refused_in_the_standard_words(cls: type[Technique], setting: Param, bad: Any) -> None:
    with pytest.raises(InputError) as caught:
        technique_from_json({"technique": cls.name, setting.name: bad})
    assert str(caught.value).startswith(f"`{setting.name}` of {cls.name} must be ")
    assert "Received: " in str(caught.value)
    assert caught.value.exit_status == 2


@pytest.mark.parametrize("cls", TECHNIQUES, ids=name_of)
def test_it_is_frozen(cls: type[Technique]) -> None:
    step = cls()
    with pytest.raises(AttributeError):
        step.anything = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("cls", TECHNIQUES, ids=name_of)
def test_it_judges_each_layer_of_a_model_without_tensorflow(cls: type[Technique], digits_summary: Any) -> None:
    findings = cls().check(digits_summary)
    assert findings
    assert all(isinstance(finding, Finding) for finding in findings)
    names = {layer.name for layer in digits_summary.layers}
    assert {finding.layer for finding in findings} <= names
    assert all(finding.reason for finding in findings if finding.verdict != "works")


@pytest.fixture(scope="module")
def applied(context_once: RunContext) -> dict[str, tuple[Model, Model, list[np.ndarray]]]:
    """Each technique applied once to the same model: {name: (first result, second result with the same seed, weights before)}."""
    import tensorflow as tf

    results = {}
    for cls in TECHNIQUES:
        before = [w.copy() for w in context_once.original.keras.get_weights()]
        made = []
        for _ in range(2):
            tf.keras.utils.set_random_seed(0)
            made.append(quick(cls).apply(context_once.original, context_once))
        results[cls.name] = (made[0], made[1], before)
    return results


@pytest.mark.parametrize("cls", TECHNIQUES, ids=name_of)
def test_the_model_handed_in_is_left_unchanged(cls: type[Technique], applied: Any, context_once: RunContext) -> None:
    _, _, before = applied[cls.name]
    for old, new in zip(before, context_once.original.keras.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert context_once.original.promises == ()


@pytest.mark.parametrize("cls", TECHNIQUES, ids=name_of)
def test_it_leaves_the_stage_that_it_declares(cls: type[Technique], applied: Any) -> None:
    assert applied[cls.name][0].stage is cls.produces


@pytest.mark.parametrize("cls", TECHNIQUES, ids=name_of)
def test_the_same_seed_gives_the_same_result(cls: type[Technique], applied: Any) -> None:
    first, second, _ = applied[cls.name]
    assert first.litert == second.litert
    for a, b in zip(first.keras.get_weights(), second.keras.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("cls", TECHNIQUES, ids=name_of)
def test_its_promises_hold_on_the_exported_file_and_survive_json(cls: type[Technique], applied: Any) -> None:
    model = applied[cls.name][0]
    content = model.litert or final_conversion(model)
    assert model.promises
    for promise in model.promises:
        assert promise_from_json(json.loads(json.dumps(promise_to_json(promise)))) == promise
        result = promise.check_litert(LiteRTFile(content), model.keras)
        assert result.holds is True, result


@pytest.mark.parametrize("cls", TECHNIQUES, ids=name_of)
def test_the_exported_file_takes_and_gives_what_the_original_does(cls: type[Technique], applied: Any, digits: Any) -> None:
    model = applied[cls.name][0]
    content = model.litert or final_conversion(model)
    outputs = run(content, [(digits.inputs(digits.dataset.test.x[:3]), None)])
    assert outputs.shape == (3, 10)
    assert np.isfinite(outputs).all()


@pytest.mark.parametrize("cls", TECHNIQUES, ids=name_of)
def test_a_recipe_of_it_alone_is_accepted_and_reads_back(cls: type[Technique]) -> None:
    recipe = Recipe(steps=(cls(),), seed=3)
    assert recipe_from_json(json.loads(json.dumps(recipe.to_json()))) == recipe
    assert recipe.estimate(1000).packed_bits() <= 32
