"""keras.ops calls that became nodes compute the same after translation; those without counterpart are named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from optimizer.errors import InputError
from optimizer.sources.keras_3.agreement import Agreement

Build = Callable[[Any, Any, Any], Any]
"""keras.ops and two tensors of (None, 4, 4, 2), values from 0 to 1, to one tensor."""
ROW = np.array([1.0, 2.0], "float32")
MATRIX_4 = np.tril(np.ones((1, 1, 4, 4), "float32"))
MATRIX = np.arange(6, dtype="float32").reshape(2, 3)

OPERATIONS: dict[str, Build] = {
    "sums": lambda ops, x, y: x + y - (2 + x) + (x - 1) - (1 - x),
    "products": lambda ops, x, y: x * y * 2 * (3 * x) * ROW,
    "quotients": lambda ops, x, y: x / (y * y + 1) + 1 / (x * x + 1) + x / 3,
    "powers": lambda ops, x, y: x**2 + 2 ** ops.tanh(x),
    "remainders": lambda ops, x, y: x // 0.3 + x % 0.3,
    "broadcast": lambda ops, x, y: x * y[:, :1, :1, :],
    "signs": lambda ops, x, y: -x + abs(x - 0.5) + ops.sign(x - 0.5),
    "conditions": lambda ops, x, y: ops.where(ops.logical_and(x > 0.5, y <= 0.7), x, 0.0) + ops.cast(x != y, "float32"),
    "extremes": lambda ops, x, y: ops.maximum(x, 0.5) + ops.minimum(x, y) + ops.clip(x, 0.2, 0.8),
    "integers": lambda ops, x, y: ops.cast(x * 5, "int32") / 2 + 1.5,
    "rounded integers": lambda ops, x, y: ops.floor(ops.cast(x * 9, "int32")) + ops.ceil(ops.cast(x * 9, "int64"))
    + ops.cast(ops.trunc(ops.cast(x * 9, "int32")) + ops.round(ops.cast(y * 9, "int32")), "float32"),
    "means of integers": lambda ops, x, y: ops.average(ops.cast(x * 9, "int32"), axis=-1),
    "truth of integers": lambda ops, x, y: ops.where(ops.logical_not(ops.cast(x * 2, "int32")), x, y)[..., 0]
    + ops.cast(ops.any(ops.cast(x, "int32"), axis=-1), "float32") + ops.cast(ops.isfinite(ops.cast(x, "int32")), "float32")[..., 1],
    "sums of truth and bytes": lambda ops, x, y: ops.cast(ops.sum(x > 0.5, axis=-1) + ops.cumsum(1 - (y > 0.5), axis=-1)[..., 0], "float32")
    + ops.cast(ops.sum(ops.cast(ops.clip(x * 99, 0, 255), "uint8"), axis=-1), "float32"),
    "roots and logarithms": lambda ops, x, y: ops.sqrt(abs(x)) + ops.log(x * x + 1) + ops.log2(x * x + 1) + ops.rsqrt(y * y + 1),
    "waves": lambda ops, x, y: ops.sin(x) + ops.cos(x) + ops.arctan2(x, y) + ops.tanh(x),
    "means": lambda ops, x, y: ops.mean(x, axis=(1, 2)),
    "spread": lambda ops, x, y: ops.std(x, axis=-1) + ops.var(x, axis=-1) + ops.max(x, axis=3) - ops.min(x, axis=3),
    "sums along axes": lambda ops, x, y: ops.sum(x, axis=[1, 2], keepdims=True) + ops.logsumexp(x, axis=-1, keepdims=True),
    "positions": lambda ops, x, y: ops.cast(ops.argmax(x, axis=-1), "float32") + ops.cumsum(x, axis=1)[..., 0],
    "largest": lambda ops, x, y: ops.top_k(x, 1)[0],
    "moments": lambda ops, x, y: ops.moments(x, axes=[1, 2])[1],
    "reshape": lambda ops, x, y: ops.reshape(x, (-1, 32)),
    "reshape of the batch": lambda ops, x, y: ops.reshape(x, (-1, 2)),
    "transpose": lambda ops, x, y: ops.transpose(x, (0, 3, 1, 2)),
    "moved axes": lambda ops, x, y: ops.swapaxes(x, 1, 3) + ops.moveaxis(y, -1, 1),
    "axes of one": lambda ops, x, y: ops.squeeze(ops.expand_dims(x, 1), 1) + ops.squeeze(y[:, :1, None], 1),
    "copies": lambda ops, x, y: ops.tile(x, (1, 1, 1, 2)) + ops.repeat(x, 2, axis=3),
    "turns": lambda ops, x, y: ops.flip(x, axis=1) + ops.roll(x, 1, axis=2),
    "padding": lambda ops, x, y: ops.pad(x, ((0, 0), (1, 1), (2, 0), (0, 0))) + ops.pad(y, [[0, 0], [1, 1], [1, 1], [0, 0]], "reflect"),
    "slices": lambda ops, x, y: x[:, 1, ::2, -1] + x[:, None, 1, 1:3, 0][:, 0],
    "ellipsis": lambda ops, x, y: x[..., 0] + y[:, -1, ..., 1][:, None],
    "pieces": lambda ops, x, y: ops.split(x, 2, axis=1)[1] + ops.split(x, [1, 3], axis=1)[1],
    "chosen": lambda ops, x, y: ops.take(x, [1, 0], axis=-1) + ops.stack(ops.unstack(x, axis=-1), axis=-1),
    "chosen from the end": lambda ops, x, y: ops.take(x, -1, axis=1) + ops.take(y, [[0, -1]], axis=2)[:, :, 0, -1]
    + ops.take(ROW, ops.cast(x[:, 0] > 0.5, "int32") - 1, axis=0),
    "one hot": lambda ops, x, y: ops.one_hot(ops.cast(ops.clip(x[:, 0, 0, 0], 0, 3), "int32"), 4),
    "joined": lambda ops, x, y: ops.concatenate([x, y], axis=-1),
    "joined batches": lambda ops, x, y: ops.concatenate([x, y], axis=0),
    "matrices": lambda ops, x, y: ops.matmul(ops.matmul(x, ops.transpose(y, (0, 1, 3, 2))), x),
    "constant matrix": lambda ops, x, y: ops.matmul(x, MATRIX) + ops.dot(x, MATRIX) + ops.tensordot(x, MATRIX, axes=[[3], [0]]),
    "einsum": lambda ops, x, y: ops.einsum("abcd,abed->abce", x, y),
    "einsum over axes": lambda ops, x, y: ops.einsum("abcd,abce->ade", x, y),
    "softmax": lambda ops, x, y: ops.softmax(x, axis=1) + ops.log_softmax(y),
    "pooling": lambda ops, x, y: ops.max_pool(x, 2) + ops.average_pool(y, 2, padding="same"),
    "resized": lambda ops, x, y: ops.image.resize(x, (5, 6)),
    "resized integers": lambda ops, x, y: ops.image.resize(ops.cast(ops.clip(x * 99, 0, 255), "uint8"), (5, 6)) / 3
    + ops.cast(ops.image.resize(ops.cast(y * 99, "int32"), (5, 6), interpolation="nearest"), "float32"),
    "depth": lambda ops, x, y: ops.nn.space_to_depth(x, 2),
    "activations": lambda ops, x, y: ops.relu(x) + ops.relu6(x) + ops.sigmoid(x) + ops.silu(x) + ops.selu(x) + ops.softplus(x),
    "hard activations": lambda ops, x, y: ops.hard_sigmoid(x * 9 - 4) + ops.hard_silu(x * 9 - 4) + ops.hard_tanh(x * 3),
    "sloped activations": lambda ops, x, y: ops.elu(x - 0.5, 0.3) + ops.leaky_relu(x - 0.5, 0.3) + ops.celu(x - 0.5, 0.7),
    "gelu": lambda ops, x, y: ops.gelu(x - 0.5) + ops.gelu(x - 0.5, approximate=False),
    "shrinking": lambda ops, x, y: ops.soft_shrink(x - 0.5, 0.2) + ops.hard_shrink(x - 0.5, 0.2) + ops.tanh_shrink(x),
    "rare activations": lambda ops, x, y: ops.squareplus(x, 2) + ops.sparse_plus(x - 0.5) + ops.log_sigmoid(x) + ops.threshold(x, 0.5, 0.1),
    "norms": lambda ops, x, y: ops.norm(x, axis=-1) + ops.norm(x, ord=1, axis=-1) + ops.norm(x, ord=np.inf, axis=3)
    + ops.norm(x, axis=(2, 3))[..., None],
    "sum of exponentials": lambda ops, x, y: ops.logaddexp(x * 9, y * 9),
    "normalized by their size": lambda ops, x, y: ops.rms_normalization(x, scale=ROW) + ops.rms_normalization(x, axis=(1, 2), epsilon=0.1),
    "normalized": lambda ops, x, y: ops.normalize(x, axis=-1) + ops.layer_normalization(x, axis=(1, 2, 3))
    + ops.layer_normalization(y, gamma=ROW, beta=ROW),
    "sorted": lambda ops, x, y: ops.sort(x, axis=-1) - ops.take_along_axis(y, ops.argsort(x, axis=-1), axis=-1),
    "attention": lambda ops, x, y: ops.dot_product_attention(x, y, y) + ops.dot_product_attention(x, y, x, is_causal=True, scale=0.5),
    "attention with masks": lambda ops, x, y: ops.dot_product_attention(x, y, y, bias=MATRIX_4, mask=MATRIX_4 > 0.5)
    + ops.dot_product_attention(x, x[:, :, :2], y[:, :, :2]),
    "gray pictures": lambda ops, x, y: ops.image.rgb_to_grayscale(ops.concatenate([x, y[..., :1]], axis=-1)),
    "larger and smaller pictures": lambda ops, x, y: ops.image.pad_images(x, 1, 2, target_height=7, target_width=7)
    + ops.image.crop_images(ops.tile(y, (1, 2, 2, 1)), 1, None, 0, 0, target_width=7),
    "gates": lambda ops, x, y: ops.glu(ops.concatenate([x, y], axis=-1)),
}  # fmt: skip

REFUSED: dict[str, tuple[Build, str]] = {
    "Sparsemax": (lambda ops, x, y: ops.sparsemax(x), "no counterpart"),
    "Norm": (lambda ops, x, y: ops.norm(x, ord=3, axis=-1), "ord=3"),
    "Sort": (lambda ops, x, y: ops.sort(x, axis=1), "another axis"),
    "FFT": (lambda ops, x, y: ops.fft((x, y))[0], "no counterpart"),
    "Cumsum": (lambda ops, x, y: ops.cumsum(x), "whole batch"),
}


def model_of(keras: Any, build: Build) -> Any:
    x, y = keras.Input((4, 4, 2)), keras.Input((4, 4, 2))
    return keras.Model([x, y], build(keras.ops, x, y))


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_compute_the_same(name: str, keras: Any, agreement: Callable[..., Agreement]) -> None:
    found = agreement(model_of(keras, OPERATIONS[name]))
    assert found.relative is not None, found.reason
    assert found.relative < 1e-5


@pytest.mark.parametrize("name", REFUSED)
def test_an_operation_without_counterpart_is_named(name: str, keras: Any, refused: Callable[..., InputError]) -> None:
    build, words = REFUSED[name]
    error = refused(model_of(keras, build))
    assert words in error.what, error.line
    assert error.fix


def test_positions_from_the_end_of_an_open_axis_are_refused(keras: Any, refused: Callable[..., InputError]) -> None:
    inputs = keras.Input((None, 3))
    assert "open length" in refused(keras.Model(inputs, keras.ops.take(inputs, -1, axis=1))).what


@pytest.mark.parametrize(
    "name", ["hard_sigmoid", "hard_silu", "celu", "log_sigmoid", "squareplus", "soft_shrink", "sparse_sigmoid", "hard_tanh"]
)
def test_an_activation_that_tf_keras_lacks_becomes_layers(name: str, keras: Any, agreement: Callable[..., Agreement]) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((6, 6, 2)), layers.Conv2D(3, 3, activation=name), layers.Activation(name), layers.Flatten(), layers.Dense(2)]
    )
    found = agreement(model)
    assert found.relative is not None, found.reason
    assert found.relative < 1e-5
