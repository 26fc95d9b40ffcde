from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from optimizer.conversion import convert
from optimizer.kernels import kernel_variables
from optimizer.litert_file import LiteRTFile
from optimizer.measure.memory import arena_bytes
from optimizer.measure.operations import macs, parameters


@pytest.fixture(scope="module")
def file(digits_model: Any) -> LiteRTFile:
    return LiteRTFile(convert(digits_model))


def test_every_kernel_is_found_in_the_file_though_normalization_was_folded(file: LiteRTFile, digits_model: Any) -> None:
    kernels = kernel_variables(digits_model)
    assert set(kernels) == {"first/kernel", "depthwise/depthwise_kernel", "second/kernel", "hidden/kernel", "classes/kernel"}
    found = {key: file.locate(variable.numpy()) for key, variable in kernels.items()}
    assert None not in found.values()
    assert len({id(tensor) for tensor in found.values()}) == len(kernels)


def test_a_stranger_is_not_found(file: LiteRTFile) -> None:
    assert file.locate(np.random.default_rng(0).normal(size=(3, 3, 1, 9)).astype(np.float32)) is None
    assert file.locate(np.random.default_rng(0).normal(size=(128, 24)).astype(np.float32)) is None


def test_counts_agree_with_keras_and_with_arithmetic(file: LiteRTFile, digits_model: Any) -> None:
    positions = 64
    expected = positions * (9 * 1 * 8 + 9 * 8 + 8 * 8) + 128 * 24 + 24 * 10
    assert macs(file) == expected
    # Folding turns four BatchNormalization numbers a channel into one bias.
    folded = sum(layer.count_params() for layer in digits_model.layers if "bn" not in layer.name) + 8
    assert parameters(file) == folded


def test_the_arena_holds_at_least_the_two_largest_neighbours(file: LiteRTFile) -> None:
    largest = 8 * 8 * 8 * 4
    assert 2 * largest <= arena_bytes(file) <= 4 * largest


def test_the_count_from_the_config_agrees_with_the_count_from_the_file(file: LiteRTFile, digits_summary: Any) -> None:
    assert digits_summary.macs == macs(file)
