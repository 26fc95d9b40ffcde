"""What the names of losses and metrics say about a task."""

from typing import Any

import pytest

from optimizer.sources.compiled import LossFamily, compiled_loss, family_of


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("sparse_categorical_crossentropy", LossFamily.CATEGORICAL),
        ("CategoricalFocalCrossentropy", LossFamily.CATEGORICAL),
        ("MulticlassLogLoss", LossFamily.CATEGORICAL),
        ("BinaryCrossentropy", LossFamily.BINARY),
        ("weighted_bce", LossFamily.BINARY),
        ("bce_dice_loss", LossFamily.BINARY),
        ("SigmoidFocalCrossEntropy", LossFamily.BINARY),
        ("my_focal_loss", LossFamily.SHAPE),
        ("dice_coef", LossFamily.SHAPE),
        ("MeanIoU", LossFamily.SHAPE),
        ("MeanSquaredError", LossFamily.VALUES),
        ("log_cosh", LossFamily.VALUES),
        ("LogCosh", LossFamily.VALUES),
        ("Huber", LossFamily.VALUES),
        ("root_mean_squared_error", LossFamily.VALUES),
        ("pinball_loss", LossFamily.VALUES),
        ("KLDivergence", LossFamily.SHAPE),
        ("kl_divergence", LossFamily.SHAPE),
        ("BCEDiceLoss", LossFamily.BINARY),
        ("GIoULoss", LossFamily.SHAPE),
        ("MAELoss", LossFamily.VALUES),
        ("SmoothL1Loss", LossFamily.VALUES),
        ("NLLLoss", LossFamily.CATEGORICAL),
        ("gaussian_nll", LossFamily.VALUES),
        ("class_weighted_mse", LossFamily.VALUES),
        ("class_weighted_loss", LossFamily.SHAPE),
        ("total_loss", LossFamily.UNKNOWN),
        ("loss_fn", LossFamily.UNKNOWN),
        ("", LossFamily.UNKNOWN),
    ],
)
def test_words_in_a_name_tell_the_family(name: str, family: LossFamily) -> None:
    assert family_of(name) is family


@pytest.mark.parametrize(
    ("stored", "family", "name"),
    [
        ("mse", LossFamily.VALUES, "mse"),
        ({"module": "builtins", "class_name": "function", "config": "my_focal_loss"}, LossFamily.SHAPE, "my_focal_loss"),
        ({"class_name": "Huber", "config": {"delta": 1.0, "fn": "huber"}}, LossFamily.VALUES, "huber"),
        ({"class_name": "MyLoss", "config": None}, LossFamily.UNKNOWN, "MyLoss"),
        (["mse"], LossFamily.VALUES, "mse"),
        (7, LossFamily.UNKNOWN, "7"),
    ],
)
def test_every_way_to_store_a_loss(stored: Any, family: LossFamily, name: str) -> None:
    found = compiled_loss({"loss": stored})
    assert (found.family, found.name) == (family, name)


def test_a_loss_tells_whether_it_takes_logits() -> None:
    stored = {"class_name": "BinaryCrossentropy", "config": {"from_logits": True, "fn": "binary_crossentropy"}}
    assert compiled_loss({"loss": stored}).from_logits is True
    assert compiled_loss({"loss": "mse"}).from_logits is None
    assert compiled_loss({"loss": "binary_crossentropy"}).from_logits is False
    assert compiled_loss({"loss": "my_binary_crossentropy"}).from_logits is None


def test_losses_of_several_outputs_are_told_apart_by_name_or_place() -> None:
    assert compiled_loss({"loss": {"kind": "mse", "price": "bce"}}, 1, "price").family is LossFamily.BINARY
    assert compiled_loss({"loss": ["mse", "bce"]}, 1, "price").family is LossFamily.BINARY
    assert compiled_loss({"loss": {"kind": "mse"}}, 1, "price").family is LossFamily.NONE
    assert compiled_loss({"loss": "mse"}, 1, "price").family is LossFamily.VALUES


def test_metrics_speak_where_the_loss_does_not_and_do_not_disagree() -> None:
    wrapped = {"class_name": "MeanMetricWrapper", "config": {"name": "mae", "fn": "mean_absolute_error"}}
    assert compiled_loss({"loss": "total_loss", "metrics": [[wrapped]]}).family is LossFamily.VALUES
    assert compiled_loss({"loss": "total_loss", "metrics": ["accuracy"]}).family is LossFamily.SHAPE
    assert compiled_loss({"loss": "total_loss", "metrics": ["accuracy", "mae"]}).family is LossFamily.UNKNOWN
    assert compiled_loss({"metrics": ["mae"]}).family is LossFamily.NONE
