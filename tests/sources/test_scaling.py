"""Ranges in words, and the scalings worth trying."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from test_fit import X, classes, data, model

from optimizer.sources.dataset import UNSCALED
from optimizer.sources.fit import prepare
from optimizer.sources.scaling import expected_range_in_words, scaling_candidates, value_range


def names(dataset: Any, summary: Any) -> Any:
    return [scaling.name for scaling in scaling_candidates(prepare(dataset, summary), summary)]


def images(x: Any) -> Any:
    return replace(classes(x, [0, 1, 2]), kind="images")


BYTES = np.resize(np.arange(256, dtype=np.uint8), (8, 8, 8, 1))


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (BYTES, "whole numbers 0 to 255"),
        (np.array([[0.5], [-1.25]]), "numbers -1.25 to 0.5"),
        (np.array([[0.0], [16.0]]), "whole numbers 0 to 16"),
    ],
)
def test_the_range_of_the_data_in_words(x: Any, words: Any) -> None:
    assert value_range(data(x)) == words


def test_bytes_may_have_been_scaled_in_the_usual_ways() -> None:
    found = names(images(BYTES), model(shape=(8, 8, 1)))
    assert found == ["as stored", "x / 255", "x / 127.5 - 1", "standardized"]


def test_fractions_may_have_been_bytes() -> None:
    assert names(images(BYTES / 255), model(shape=(8, 8, 1)))[:3] == ["as stored", "x * 255", "2 x - 1"]


def test_other_whole_numbers_are_scaled_by_their_largest() -> None:
    assert "x / 16" in names(images(BYTES % 17), model(shape=(8, 8, 1)))


def test_tables_may_have_been_standardized() -> None:
    x = np.random.default_rng(0).normal([5, -3, 100, 7], [1, 2, 30, 0], (8, 4))
    prepared = prepare(classes(x, [0, 1, 2]), model())
    scaling = scaling_candidates(prepared)[-1]
    scaled = scaling.apply(x)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(scaled.std(axis=0), [1, 1, 1, 0], atol=1e-4)


def test_colours_are_standardized_by_channel() -> None:
    x = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3), dtype=np.uint8)
    scaled = scaling_candidates(prepare(images(x), model(shape=(8, 8, 3))))[-1].apply(x)
    np.testing.assert_allclose(scaled.mean(axis=(0, 1, 2)), 0, atol=1e-4)


@pytest.mark.parametrize("first", [("Rescaling", {"scale": 1 / 255}), ("Normalization", {}), ("Embedding", {"input_dim": 300})])
def test_a_model_that_takes_raw_values_gets_them(first: Any) -> None:
    whole = classes(np.resize(np.arange(256), (8, 4)), [0, 1, 2])
    prepared = prepare(whole, model(first=first))
    assert scaling_candidates(prepared, model(first=first)) == [UNSCALED]


def test_a_model_of_whole_numbers_gets_raw_values() -> None:
    assert scaling_candidates(prepare(classes(X, [0, 1]), model(dtype="int32"))) == [UNSCALED]


@pytest.mark.parametrize(
    ("first", "words"),
    [
        (("Rescaling", {"scale": 1 / 255}), "x / 255"),
        (("Rescaling", {"scale": 1 / 127.5, "offset": -1.0}), "x / 127.5 - 1"),
        (("Normalization", {}), "mean and variance"),
        (("Embedding", {"input_dim": 100}), "0 to 99"),
        (("Dense", {}), "does not say"),
    ],
)
def test_what_the_file_says_about_its_input(first: Any, words: Any) -> None:
    assert words in expected_range_in_words(model(first=first))
