"""Functions that LiteRT has no operator for, by operators that it has; within 1.5e-7, or float32 rounding where that is more."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

Function = Callable[[Any], Any]
"""A tensor of any shape, float32, to one of the same shape."""


NEAR_ZERO = 0.1
"""Below it a series is nearer than a difference of numbers near 1, which float32 rounds."""


def _with_series(x: Any, series: Any, formula: Any) -> Any:
    import tensorflow as tf

    return tf.where(tf.abs(x) < NEAR_ZERO, series, formula)


def _tail(x: Any) -> Any:
    """1 - erf(|x|). Abramowitz & Stegun, Handbook of Mathematical Functions (1964), 7.1.26: within 1.5e-7."""
    import tensorflow as tf

    size = tf.abs(x)
    t = 1.0 / (1.0 + 0.3275911 * size)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return series * tf.exp(-size * size)


def _erf(x: Any) -> Any:
    import tensorflow as tf

    return tf.sign(x) * (1.0 - _tail(x))


def _erfc(x: Any) -> Any:
    import tensorflow as tf

    return tf.where(x < 0.0, 2.0 - _tail(x), _tail(x))


def _tan(x: Any) -> Any:
    import tensorflow as tf

    return tf.sin(x) / tf.cos(x)


def _asin(x: Any) -> Any:
    import tensorflow as tf

    return tf.atan2(x, tf.sqrt((1.0 - x) * (1.0 + x)))


def _acos(x: Any) -> Any:
    import tensorflow as tf

    return tf.atan2(tf.sqrt((1.0 - x) * (1.0 + x)), x)


def _atan(x: Any) -> Any:
    import tensorflow as tf

    return tf.atan2(x, tf.ones_like(x))


def _sinh(x: Any) -> Any:
    import tensorflow as tf

    return _with_series(x, x + x * x * x / 6.0, 0.5 * (tf.exp(x) - tf.exp(-x)))


def _cosh(x: Any) -> Any:
    import tensorflow as tf

    return 0.5 * (tf.exp(x) + tf.exp(-x))


def _asinh(x: Any) -> Any:
    import tensorflow as tf

    size = tf.abs(x)
    formula = tf.sign(x) * tf.math.log(size + tf.sqrt(size * size + 1.0))
    return _with_series(x, x - x * x * x / 6.0 + 0.075 * x * x * x * x * x, formula)


def _acosh(x: Any) -> Any:
    import tensorflow as tf

    return tf.math.log(x + tf.sqrt((x - 1.0) * (x + 1.0)))


def _atanh(x: Any) -> Any:
    import tensorflow as tf

    return _with_series(x, x + x * x * x / 3.0 + 0.2 * x * x * x * x * x, 0.5 * tf.math.log((1.0 + x) / (1.0 - x)))


COMPUTED: dict[str, Function] = {
    "math.erf": _erf,
    "math.erfc": _erfc,
    "math.tan": _tan,
    "math.asin": _asin,
    "math.acos": _acos,
    "math.atan": _atan,
    "math.sinh": _sinh,
    "math.cosh": _cosh,
    "math.asinh": _asinh,
    "math.acosh": _acosh,
    "math.atanh": _atanh,
}
"""By the symbol of the TFOpLambda."""


@functools.cache
def computed_by_other_operators(symbol: str) -> Callable[..., Any] | None:
    """What makes a layer (layer, *, name) that takes the place of a TFOpLambda; None where its function needs none."""
    import tensorflow as tf

    if symbol not in COMPUTED:
        return None
    function = COMPUTED[symbol]

    class ComputedFunction(tf.keras.layers.Layer):  # type: ignore[misc]
        """The function, with the arguments of TensorFlow's own."""

        def __init__(self, _: Any, name: str) -> None:
            super().__init__(name=name)

        def call(self, x: Any, name: str | None = None) -> Any:
            return function(x)

    return ComputedFunction
