"""Putting a recipe together: every change gives a new draft, what is wrong is said, and what would mend it is offered."""

from __future__ import annotations

from optimizer.recipe import recipe_from_json, recipe_from_text
from pages.components.recipe_draft import Draft, checked, repairs, title


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


def test_names_are_written_in_words() -> None:
    assert title("quantization_aware_training") == "Quantization aware training"
