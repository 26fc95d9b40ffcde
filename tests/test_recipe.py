from __future__ import annotations

from typing import Any

import pytest

from optimizer.errors import InputError
from optimizer.recipe import recipe_from_json, recipe_from_text

PRUNE = {"technique": "magnitude_pruning"}
CLUSTER = {"technique": "weight_clustering"}
QAT = {"technique": "quantization_aware_training"}
PTQ = {"technique": "post_training_quantization"}
NARROW = {"technique": "knowledge_distillation", "student": "narrower_copy"}


def steps(*records: dict[str, Any]) -> dict[str, Any]:
    return {"version": 1, "seed": 0, "steps": list(records)}


@pytest.mark.parametrize(
    "order",
    [
        (),
        (PRUNE,),
        (PRUNE, CLUSTER, QAT),
        (PRUNE, CLUSTER, PTQ),
        (NARROW, PRUNE, QAT, PTQ),
        (CLUSTER, {**NARROW, "student": "itself"}),
    ],
    ids=len,
)
def test_sensible_orders_are_accepted(order: tuple[dict[str, Any], ...]) -> None:
    assert len(recipe_from_json(steps(*order)).steps) == len(order)


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ((PTQ, PRUNE), "move magnitude_pruning before it"),
        ((PTQ, PTQ), "move post_training_quantization before it"),
        ((CLUSTER, PRUNE), "prune first"),
        ((QAT, PRUNE), "prune before"),
        ((QAT, CLUSTER), "cluster before"),
        ((QAT, QAT), "already prepared"),
        ((PRUNE, NARROW), "put knowledge_distillation first"),
        ((QAT, {**PTQ, "weights": "int4", "activations": "float32"}), "trained for int8"),
        ((PRUNE, {**CLUSTER, "number_of_clusters": 2}), "3 or more"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_orders_without_sense_are_refused_with_the_reason(order: tuple[dict[str, Any], ...], reason: str) -> None:
    with pytest.raises(InputError) as caught:
        recipe_from_json(steps(*order))
    assert caught.value.code == "BAD_ORDER"
    assert reason in caught.value.line


def test_a_mistake_names_its_step() -> None:
    with pytest.raises(InputError) as caught:
        recipe_from_json(steps(PRUNE, {**CLUSTER, "epoch": 3}))
    assert caught.value.place == "step 2"
    assert caught.value.code == "UNKNOWN_SETTING"


@pytest.mark.parametrize(
    "settings",
    [
        {"weights": "float16", "activations": "int8"},
        {"weights": "float16", "activations": "int16"},
        {"weights": "int8", "activations": "float32", "input_output": "int8"},
        {"weights": "int8", "activations": "int16", "input_output": "int8"},
    ],
    ids=str,
)
def test_impossible_pairs_of_types_are_refused_with_the_reason(settings: dict[str, str]) -> None:
    with pytest.raises(InputError) as caught:
        recipe_from_json(steps({**PTQ, **settings}))
    assert caught.value.code == "IMPOSSIBLE_PAIR"
    assert caught.value.fix


@pytest.mark.parametrize(
    "record",
    [
        [],
        "x",
        {"version": 2, "steps": []},
        {"version": True, "steps": []},
        {"steps": {}},
        {"steps": [1]},
        {"steps": [{"technique": 1}]},
        {"steps": [{}]},
        {"seed": -1},
        {"seed": 1.5},
        {"seed": True},
        {"seed": 2**40},
        {"surprise": 1},
        {"steps": [PRUNE] * 33},
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_malformed_recipe_is_refused(record: Any) -> None:
    with pytest.raises(InputError) as caught:
        recipe_from_json(record)
    assert caught.value.code == "BAD_RECIPE"


def test_a_misspelt_technique_or_setting_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match="Did you mean magnitude_pruning"):
        recipe_from_json(steps({"technique": "magnitud_pruning"}))
    with pytest.raises(InputError, match="Did you mean final_sparsity"):
        recipe_from_json(steps({**PRUNE, "finalsparsity": 0.5}))


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"seed": 1e999999}', "{" + " " * 2_000_000], ids=len)
def test_text_that_is_no_recipe_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        recipe_from_text(text)


def test_a_recipe_speaks_in_words_and_estimates_its_size() -> None:
    recipe = recipe_from_json(steps({**PRUNE, "final_sparsity": 0.8}, PTQ))
    assert recipe.in_words() == "prune 80 % → int8"
    size = recipe.estimate(1000)
    assert size.stored_bits == 8
    assert 0.5 < size.packed_bits() < 3
