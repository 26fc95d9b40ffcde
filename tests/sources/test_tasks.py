"""Which task shapes, labels, activation and compiled loss make together, and when it is asked for."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from test_fit import classes, data, model, refused, values

from optimizer.measure.quality import score
from optimizer.sources.dataset import IGNORED, Split, Task
from optimizer.sources.fit import prepare
from optimizer.sources.summary import LayerSummary

X = np.random.default_rng(0).random((8, 4), np.float32)
TOKENS = np.array([[3, 1, 2, 0], [1, 2, 0, 0]] * 4)
IMAGES = np.zeros((8, 4, 4, 1), np.float32)
MULTI_HOT = np.array([[1, 1, 0], [0, 0, 0], [0, 1, 0], [1, 1, 1]] * 2, np.uint8)
ONE_HOT = np.eye(3, dtype=np.uint8)[np.arange(8) % 3]


def raw(x: Any, y: Any) -> Any:
    """Labels as the reader hands over those that are no class numbers."""
    return data(x, y, "value")


def logits(**settings: Any) -> Any:
    return model(activation="linear", **settings)


def sigmoid(**settings: Any) -> Any:
    return model(activation="sigmoid", **settings)


@pytest.mark.parametrize(
    "summary", [sigmoid(), sigmoid(loss="my_focal_loss"), sigmoid(loss="mse")], ids=lambda s: str(s.training_config)
)
def test_several_yes_or_no_a_sample_are_multi_label(summary: Any) -> None:
    found = prepare(raw(X, MULTI_HOT), summary)
    assert (found.task, found.from_logits, found.independent) == (Task.MULTI_LABEL, False, True)
    assert found.dataset.labels == "labels"
    assert found.dataset.class_names == ("0", "1", "2")
    assert found.targets(found.dataset.train).dtype == np.float32


def test_linear_outputs_with_several_labels_go_by_the_loss() -> None:
    stored = {"class_name": "BinaryCrossentropy", "config": {"from_logits": True}}
    found = prepare(raw(X, MULTI_HOT), logits(loss=stored))
    assert (found.task, found.from_logits) == (Task.MULTI_LABEL, True)
    assert prepare(raw(X, MULTI_HOT), logits(loss="mse")).task is Task.REGRESSION
    for open_loss in (None, "total_cost"):
        error = refused(raw(X, MULTI_HOT), logits(loss=open_loss), "TASK_UNCLEAR")
        assert "--task multi_label" in error.fix
    assert prepare(raw(X, MULTI_HOT), logits(), "multi_label").task is Task.MULTI_LABEL
    assert prepare(raw(X, MULTI_HOT), logits(), "regression").task is Task.REGRESSION


def test_softmax_cannot_answer_with_several_labels() -> None:
    assert "sigmoid" in refused(raw(X, MULTI_HOT), model()).fix
    soft = prepare(raw(X, (ONE_HOT * 0.8 + 0.2 / 3).astype(np.float32)), model())
    assert (soft.task, soft.dataset.train.y.tolist()) == (Task.CLASSIFICATION, (np.arange(8) % 3).tolist())
    assert "largest share" in soft.notes[-1]


def test_one_class_of_several_sigmoid_units_is_a_class_and_can_be_asked_to_be_labels() -> None:
    one_hot = classes(X, [0, 1, 2])
    found = prepare(one_hot, sigmoid(loss="binary_crossentropy"))
    assert (found.task, found.independent) == (Task.CLASSIFICATION, True)
    asked = prepare(one_hot, sigmoid(), "multi_label")
    assert asked.dataset.train.y.tolist() == ONE_HOT.tolist()


def test_minus_one_and_one_are_two_classes() -> None:
    signs = raw(X, np.where(np.arange(8) % 2, 1, -1))
    for summary in (sigmoid(out=(1,)), model(out=(1,), activation="tanh", loss="hinge"), model(out=(1,), activation="tanh")):
        found = prepare(signs, summary)
        assert found.dataset.train.y.tolist() == [0, 1] * 4
    assert prepare(signs, logits(out=(1,), loss="mse")).task is Task.REGRESSION


def test_a_custom_loss_that_says_nothing_is_asked_about_where_it_matters() -> None:
    two = classes(X, [0, 1])
    error = refused(two, logits(out=(1,), loss="total_cost"), "TASK_UNCLEAR")
    assert error.expected == "classification or regression"
    assert "total_cost" in error.received
    assert prepare(two, sigmoid(out=(1,), loss="total_cost")).task is Task.CLASSIFICATION
    assert prepare(two, logits(out=(1,), loss="total_cost"), "regression").task is Task.REGRESSION
    assert prepare(two, logits(out=(1,), loss="total_cost"), "classification").from_logits


def test_logits_as_wide_as_the_input_are_no_autoencoder_where_the_loss_says_so() -> None:
    several = classes(X, [0, 1, 2])
    stored = {"class_name": "SparseCategoricalCrossentropy", "config": {"from_logits": True}}
    assert prepare(several, logits(out=(4,), loss=stored)).task is Task.CLASSIFICATION
    assert prepare(several, logits(out=(4,), loss="my_focal_loss")).task is Task.CLASSIFICATION
    assert prepare(several, logits(out=(4,), loss="mse")).task is Task.RECONSTRUCTION
    refused(several, logits(out=(4,)), "TASK_UNCLEAR")
    assert prepare(several, logits(out=(4,)), "reconstruction").task is Task.RECONSTRUCTION


def test_labels_that_repeat_the_samples_are_reconstruction() -> None:
    found = prepare(values(X, X), logits(out=(4,), loss="mse"))
    assert (found.task, found.dataset.train.y) == (Task.RECONSTRUCTION, None)
    assert prepare(values(X, X + 1), logits(out=(4,), loss="mse")).task is Task.REGRESSION


@pytest.mark.parametrize(
    "y", [TOKENS % 3, np.eye(3)[TOKENS % 3], (TOKENS % 3).astype(np.float32)], ids=["int", "one-hot", "float"]
)
def test_a_class_for_each_step(y: Any) -> None:
    found = prepare(raw(TOKENS, y), model(out=(4, 3)))
    assert (found.task, found.output_shape, found.from_logits) == (Task.PER_STEP, (4, 3), False)
    assert found.targets(found.dataset.test).tolist() == (TOKENS % 3).tolist()


def test_padding_that_the_model_masks_does_not_count() -> None:
    embedding = model(out=(4, 3), first=("Embedding", {"input_dim": 9, "output_dim": 2, "mask_zero": True}))
    found = prepare(raw(TOKENS, TOKENS % 3), embedding)
    assert (found.dataset.train.y == IGNORED).tolist() == (TOKENS == 0).tolist()
    assert "Padded steps" in found.notes[0]
    series = np.repeat(TOKENS[..., np.newaxis], 2, axis=-1).astype(np.float32)
    masking = model(shape=(4, 2), out=(4, 3), first=("Masking", {"mask_value": 0.0}))
    assert (prepare(raw(series, TOKENS % 3), masking).dataset.train.y == IGNORED).sum() == (TOKENS == 0).sum()


def test_steps_marked_by_negative_numbers_void_or_rows_of_zeros_do_not_count() -> None:
    for y in (np.where(TOKENS == 0, -100, TOKENS % 3), np.where(TOKENS == 0, 255, TOKENS % 3), np.eye(4)[TOKENS % 4][..., 1:]):
        found = prepare(raw(TOKENS, y), model(out=(4, 3)))
        assert (found.dataset.train.y == IGNORED).sum() == (TOKENS == 0).sum()
    assert "for each of 4 steps" in refused(raw(TOKENS, TOKENS), model(out=(4, 3))).expected


@pytest.mark.parametrize("mask", [np.uint8([0, 1]), np.uint8([0, 255]), np.int8([-1, 1])], ids=["0 1", "0 255", "-1 1"])
@pytest.mark.parametrize("axes", [(8, 4, 4), (8, 4, 4, 1)], ids=str)
def test_masks_of_images(mask: Any, axes: Any) -> None:
    pixels = np.resize(mask, axes)
    found = prepare(raw(IMAGES, pixels), sigmoid(shape=(4, 4, 1), out=(4, 4, 1), loss="dice_coef_loss"))
    assert found.task is Task.PER_STEP
    assert found.dataset.class_names == ("0", "1")
    assert found.targets(found.dataset.train).shape == (8, 4, 4)
    assert set(np.unique(found.dataset.train.y)) == {0, 1}


def test_numbers_for_each_step_are_regression() -> None:
    series = np.random.default_rng(0).random((8, 4), np.float32)
    for y in (series, series[..., np.newaxis]):
        found = prepare(raw(np.zeros((8, 4, 2), np.float32), y), logits(shape=(4, 2), out=(4, 1), loss="mse"))
        assert (found.task, found.targets(found.dataset.train).shape) == (Task.REGRESSION, (8, 4, 1))
    refused(raw(np.zeros((8, 4, 2)), np.resize([0, 1], (8, 4))), logits(shape=(4, 2), out=(4, 1)), "TASK_UNCLEAR")


def test_a_row_of_a_single_one_can_mark_a_step() -> None:
    spans = classes(np.zeros((8, 4, 2), np.float32), [0, 1, 2, 3])
    found = prepare(spans, sigmoid(shape=(4, 2), out=(4, 1)))
    assert (found.task, found.dataset.train.y.shape) == (Task.PER_STEP, (8, 4))


def test_one_label_a_sample_for_an_output_of_steps_is_refused() -> None:
    assert "shape 4" in refused(classes(np.zeros((8, 4, 2), np.float32), [0, 1]), model(shape=(4, 2), out=(4, 3))).expected


def test_the_end_of_a_network_is_found_behind_layers_that_only_move_numbers() -> None:
    one = model()
    timed = LayerSummary(
        name="out",
        class_name="TimeDistributed",
        config={"layer": {"class_name": "Dense", "config": {"activation": "softmax"}}},
        inbound=("in",),
    )
    flat = LayerSummary(name="flat", class_name="Reshape", inbound=("out",))
    dropped = LayerSummary(name="drop", class_name="Dropout", inbound=("flat",))
    summary = replace(one, layers=(one.layers[0], timed, flat, dropped), output_layers=("drop",))
    assert summary.output_activation == "softmax"


@pytest.mark.parametrize(
    ("joint", "ends", "expected"),
    [
        ("Average", ("sigmoid", "sigmoid"), "sigmoid"),
        ("Average", ("softmax", "softmax"), "softmax"),
        ("Concatenate", ("sigmoid", "sigmoid"), "sigmoid"),
        ("Concatenate", ("softmax", "softmax"), "linear"),
        ("Maximum", ("sigmoid", "softmax"), "linear"),
        ("Add", ("sigmoid", "sigmoid"), "linear"),
    ],
)
def test_the_end_of_a_network_is_found_behind_what_joins_several(joint: str, ends: Any, expected: str) -> None:
    one = model()
    heads = [
        LayerSummary(name=f"head{n}", class_name="Dense", config={"activation": end}, inbound=("in",))
        for n, end in enumerate(ends)
    ]
    together = LayerSummary(name="joint", class_name=joint, inbound=("head0", "head1"))
    cast = LayerSummary(name="float", class_name="Activation", config={"activation": "linear"}, inbound=("joint",))
    squeezed = LayerSummary(name="flat", class_name="TFOpLambda", config={"function": "squeeze"}, inbound=("float",))
    summary = replace(one, layers=(one.layers[0], *heads, together, cast, squeezed), output_layers=("flat",))
    assert summary.output_activation == expected


def test_an_autoencoder_whose_loss_takes_logits_is_compared_behind_a_sigmoid() -> None:
    stored = {"class_name": "BinaryCrossentropy", "config": {"from_logits": True}}
    found = prepare(data(X), logits(out=(4,), loss=stored))
    assert (found.task, found.from_logits) == (Task.RECONSTRUCTION, True)
    perfect = np.log(X / (1 - X))
    assert score(perfect, found, found.dataset.test).interval.value == pytest.approx(0, abs=1e-9)
    assert not prepare(data(X), sigmoid(out=(4,), loss=stored)).from_logits
    assert not prepare(data(X), logits(out=(4,), loss="mse")).from_logits


def test_what_was_asked_for_must_be_possible() -> None:
    for task, dataset, summary in (
        ("classification", data(X), model()),
        ("multi_label", raw(X, MULTI_HOT * 2), sigmoid()),
        ("multi_label", raw(X, MULTI_HOT), model()),
        ("per_step", classes(X, [0, 1]), model()),
        ("reconstruction", data(X), model()),
        ("regression", raw(X, MULTI_HOT), logits(out=(5,))),
        ("classification", classes(X, [0, 1, 2]), sigmoid(out=(1,))),
    ):
        with pytest.raises(ValueError, match="DATA_MODEL_MISMATCH"):
            prepare(dataset, summary, task)
    with pytest.raises(ValueError, match="BAD_SETTING"):
        prepare(data(X), model(), "guess")
    assert prepare(raw(X, MULTI_HOT), sigmoid(), "unlabelled").dataset.test.y is None


def test_each_task_can_be_asked_for() -> None:
    steps = raw(TOKENS, TOKENS % 3)
    assert prepare(steps, model(out=(4, 3), activation="linear"), "per_step").from_logits
    assert prepare(raw(X, ONE_HOT.astype(np.float32)), logits(), "regression").task is Task.REGRESSION
    assert prepare(classes(X, [0, 1, 2]), logits(), "regression").dataset.train.y.shape == (8, 3)
    assert prepare(raw(X, np.arange(8) % 3 * 1.0), model(), "classification").task is Task.CLASSIFICATION
    labelled = replace(classes(X, [0, 1]), train=Split(x=X, y=None))
    assert prepare(labelled, logits(out=(4,)), "reconstruction").dataset.test.y is not None
