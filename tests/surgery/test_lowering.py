from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from optimizer.conversion import configure_int8_weights, convert
from optimizer.litert_file import LiteRTFile
from optimizer.measure.interpreter import run
from optimizer.surgery.computed_functions import COMPUTED

OUTSIDE_OF_ONE = {"math.acosh": (1.0, 9.0), "math.acos": (-1.0, 1.0), "math.asin": (-1.0, 1.0), "math.atanh": (-0.99, 0.99)}


def dense_with(function: Callable[[Any], Any]) -> Any:
    import tensorflow as tf

    tf.keras.utils.set_random_seed(0)
    inputs = tf.keras.Input((6,))
    return tf.keras.Model(inputs, tf.keras.layers.Dense(4)(function(inputs)))


@pytest.mark.parametrize("symbol", COMPUTED)
def test_functions_without_an_operator_are_computed_by_others(symbol: str) -> None:
    import tensorflow as tf

    model = dense_with(getattr(tf.math, symbol.removeprefix("math.")))
    low, high = OUTSIDE_OF_ONE.get(symbol, (-3.0, 3.0))
    x = np.linspace(low, high, 96, dtype=np.float32).reshape(16, 6)
    np.testing.assert_allclose(run(convert(model), [(x, None)]), model(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("symbol", ["math.sinh", "math.asinh", "math.atanh", "math.tan", "math.atan", "math.asin"])
def test_numbers_near_zero_are_not_rounded_away(symbol: str) -> None:
    import tensorflow as tf

    from optimizer.surgery.computed_functions import COMPUTED

    x = np.asarray([-0.2, -0.1, -1e-3, -1e-5, 1e-7, 1e-5, 0.02, 0.099, 0.101], np.float32)
    wanted = getattr(np, {"math.sinh": "sinh", "math.tan": "tan"}.get(symbol, symbol.replace("math.a", "arc")))(
        x.astype(np.float64)
    )
    np.testing.assert_allclose(COMPUTED[symbol](tf.constant(x)), wanted, rtol=3e-6)


def test_a_gelu_written_by_hand_stays_one_operator() -> None:
    import tensorflow as tf

    model = dense_with(lambda x: 0.5 * x * (1.0 + tf.math.erf(x / np.float32(np.sqrt(2)))))
    assert "GELU" in [operator.name for operator in LiteRTFile(convert(model)).operators]


def test_an_erf_in_another_formula_is_computed_whatever_the_weights_are_stored_in() -> None:
    import tensorflow as tf

    model = dense_with(lambda x: x * (0.5 * (1.0 + tf.math.erf(x * 0.7))))
    x = np.random.default_rng(0).normal(size=(16, 6)).astype(np.float32)
    content = convert(model, lambda converter: configure_int8_weights(converter, per_tensor=False))
    np.testing.assert_allclose(run(content, [(x, None)]), model(x), atol=1e-2)
