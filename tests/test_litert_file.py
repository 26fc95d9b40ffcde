from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from optimizer.conversion import convert
from optimizer.kernel_location import locate
from optimizer.kernels import kernel_variables
from optimizer.litert_file import LiteRTFile
from optimizer.litert_quantization import quantize_int4, quantize_int8_weights
from optimizer.measure.interpreter import run
from optimizer.measure.memory import arena_bytes
from optimizer.measure.operations import macs, parameters


@pytest.fixture(scope="module")
def file(digits_model: Any) -> LiteRTFile:
    return LiteRTFile(convert(digits_model))


def test_every_kernel_is_found_in_the_file_though_normalization_was_folded(file: LiteRTFile, digits_model: Any) -> None:
    kernels = kernel_variables(digits_model)
    assert set(kernels) == {"first/kernel", "depthwise/depthwise_kernel", "second/kernel", "hidden/kernel", "classes/kernel"}
    found = {key: locate(file, variable.numpy()) for key, variable in kernels.items()}
    assert None not in found.values()
    assert len({id(tensor) for tensor in found.values()}) == len(kernels)


def test_a_stranger_is_not_found(file: LiteRTFile) -> None:
    assert locate(file, np.random.default_rng(0).normal(size=(3, 3, 1, 9)).astype(np.float32)) is None
    assert locate(file, np.random.default_rng(0).normal(size=(128, 24)).astype(np.float32)) is None


def test_a_large_kernel_is_told_from_others_of_its_shape_by_a_sample_of_its_numbers() -> None:
    import tensorflow as tf

    random = np.random.default_rng(0)
    first, second, stranger = (random.normal(size=(300, 300)).astype(np.float32) for _ in range(3))
    # Where all sampled numbers are zero, only the others can tell.
    sparse = np.zeros((300, 300), np.float32)
    sparse[1::2, 1::2] = random.normal(size=(150, 150))
    # What fine-tuning makes of a copy.
    alike = first * (1 + random.normal(0, 0.003, (300, 300))).astype(np.float32)
    spec = [tf.TensorSpec([1, 300], tf.float32)]
    function = tf.function(
        lambda x: tf.matmul(tf.matmul(tf.matmul(tf.matmul(x, alike), first), second), sparse), input_signature=spec
    )
    content = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], tf.Module()).convert()
    file = LiteRTFile(bytes(content))
    for kernel in (alike, first, second, sparse):
        found = locate(file, kernel)
        assert found is not None
        assert np.array_equal(found.values.reshape(-1), kernel.T.reshape(-1))
    assert locate(file, stranger) is None


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


@pytest.fixture(scope="module")
def wide() -> bytes:
    """A dense layer whose quantized kernel litert-quantizer stores behind the tables; one output channel is dead."""
    import tensorflow as tf

    kernel = np.random.default_rng(0).normal(size=(512, 1100)).astype(np.float32)
    kernel[:, 7] = 0
    spec = [tf.TensorSpec([1, 512], tf.float32)]
    function = tf.function(lambda x: tf.matmul(x, kernel), input_signature=spec).get_concrete_function()
    return bytes(tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module()).convert())


def test_buffers_behind_the_tables_are_read(wide: bytes) -> None:
    content = quantize_int8_weights(wide, per_tensor=False)
    file = LiteRTFile(content)
    assert any(buffer.offset > 1 for buffer in file.model.buffers)
    (kernel,) = [kernel for operator in file.operators for kernel in file.kernels(operator)]
    assert (kernel.dtype, kernel.elements) == ("INT8", 512 * 1100)
    assert next(tensor for tensor in file.constants if tensor.dtype == "INT8").distinct_values > 100


def test_a_dead_channel_is_mended_without_losing_them(wide: bytes) -> None:
    content = quantize_int4(wide, activations="float32", samples=None, per_tensor=False, integer_input_output=False)
    x = np.random.default_rng(1).normal(size=(1, 512)).astype(np.float32)
    before, after = (run(file, [(x, None)]) for file in (wide, content))
    assert np.abs(after - before).mean() < 0.2 * np.abs(before).mean()
