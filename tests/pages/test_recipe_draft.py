"""Putting a recipe together: every change gives a new draft, what is wrong is said, and what would mend it is offered."""

from __future__ import annotations

from optimizer.recipe import recipe_from_json, recipe_from_text
from optimizer.sources.summary import LayerSummary, ModelSummary
from optimizer.technique import technique_named
from pages.components.expected import whole_refusal
from pages.components.recipe_draft import Draft, checked, repairs


def draft(*names: str) -> Draft:
    made = Draft()
    for name in names:
        made = made.added(name)
    return made


def test_steps_are_added_moved_and_removed_and_keep_their_ids() -> None:
    made = draft("magnitude_pruning", "weight_clustering")
    first, second = (step.uid for step in made.steps)
    assert [step.uid for step in made.moved(second, -1).steps] == [second, first]
    assert made.moved(first, -1) == made
    assert [step.uid for step in made.removed(first).steps] == [second]
    assert [step.technique for step in made.steps] == ["magnitude_pruning", "weight_clustering"], (
        "the draft itself is not changed"
    )


def test_a_right_draft_gives_the_recipe_that_its_text_says() -> None:
    made = draft("magnitude_pruning", "post_training_quantization")
    recipe = checked(made).recipe
    assert recipe is not None
    assert recipe == recipe_from_text(made.to_text())


def test_a_senseless_order_is_refused_with_the_reason() -> None:
    verdict = checked(draft("post_training_quantization", "magnitude_pruning"))
    assert verdict.recipe is None
    assert "magnitude_pruning" in verdict.order_error


def test_an_impossible_pair_stands_at_its_step_and_the_repairs_mend_it() -> None:
    made = draft("post_training_quantization")
    uid = made.steps[0].uid
    wrong = made.changed(uid, {**made.steps[0].settings, "weights": "float16"})
    assert checked(wrong).step_errors[uid].code == "IMPOSSIBLE_PAIR"
    fixes = repairs(wrong.steps[0])
    assert ("activations", "float32") in fixes
    for setting, value in fixes:
        assert checked(wrong.changed(uid, {**wrong.steps[0].settings, setting: value})).recipe is not None


def test_a_recipe_is_taken_over_with_new_ids() -> None:
    recipe = recipe_from_json({"version": 1, "seed": 7, "steps": [{"technique": "magnitude_pruning", "final_sparsity": 0.8}]})
    taken = draft("weight_clustering").with_recipe(recipe)
    assert taken.seed == 7
    assert checked(taken).recipe == recipe
    assert taken.with_recipe(recipe).steps[0].uid != taken.steps[0].uid


def tflite(*layers: LayerSummary) -> ModelSummary:
    """A .tflite of one dense operator and `layers`."""
    connected = LayerSummary(
        name="dense", class_name="FULLY_CONNECTED", config={"stored": {"kernel": "FLOAT32"}}, weight_shapes={"kernel": (3, 4)}
    )
    return ModelSummary(
        name="a.tflite",
        sha256="0" * 64,
        format="tflite",
        size_bytes=1000,
        class_name="LiteRT",
        layers=(connected, *layers),
        input_shapes=((1, 4),),
        output_shapes=((1, 3),),
        output_layers=("dense",),
    )


def test_a_step_that_the_model_rules_out_says_so_and_leaves_no_recipe() -> None:
    made = draft("magnitude_pruning", "post_training_quantization")
    assert checked(made).recipe is not None
    verdict = checked(made, tflite())
    assert verdict.recipe is None
    assert {error.code for error in verdict.step_errors.values()} == {"NEEDS_KERAS_MODEL"}
    assert checked(draft("post_training_quantization"), tflite()).recipe is not None
    assert repairs(made.steps[0], tflite()) == []


def test_a_repair_is_offered_only_where_the_model_takes_it() -> None:
    loop = tflite(LayerSummary(name="step", class_name="ADD", config={"subgraph": 1}))
    made = draft("post_training_quantization")
    assert {error.code for error in checked(made, loop).step_errors.values()} == {"LOOP_NOT_QUANTIZABLE"}
    assert repairs(made.steps[0], loop) == [("activations", "float32")]


def test_a_technique_is_ruled_out_only_where_no_setting_of_it_would_do() -> None:
    loop = tflite(LayerSummary(name="step", class_name="ADD", config={"subgraph": 1}))
    quantized = tflite(LayerSummary(name="more", class_name="CONV_2D", config={"stored": {"kernel": "INT8"}}))
    quantization = technique_named("post_training_quantization")
    assert whole_refusal(quantization, loop) is None
    refusal = whole_refusal(quantization, quantized)
    assert refusal is not None
    assert refusal.code == "ALREADY_QUANTIZED"
