"""Functions that LiteRT has no operator for, by operators that it has; the numbers agree within float32 rounding."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

Function = Callable[[Any], Any]
"""A tensor of any shape, float32, to one of the same shape."""


def _erf(x: Any) -> Any:
    """Abramowitz & Stegun, Handbook of Mathematical Functions (1964), 7.1.26: within 1.5e-7."""
    import tensorflow as tf

    size = tf.abs(x)
    t = 1.0 / (1.0 + 0.3275911 * size)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return tf.sign(x) * (1.0 - series * tf.exp(-size * size))


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

    return 0.5 * (tf.exp(x) - tf.exp(-x))


def _cosh(x: Any) -> Any:
    import tensorflow as tf

    return 0.5 * (tf.exp(x) + tf.exp(-x))


def _asinh(x: Any) -> Any:
    import tensorflow as tf

    size = tf.abs(x)
    return tf.sign(x) * tf.math.log(size + tf.sqrt(size * size + 1.0))


def _acosh(x: Any) -> Any:
    import tensorflow as tf

    return tf.math.log(x + tf.sqrt((x - 1.0) * (x + 1.0)))


def _atanh(x: Any) -> Any:
    import tensorflow as tf

    return 0.5 * tf.math.log((1.0 + x) / (1.0 - x))


COMPUTED: dict[str, Function] = {
    "math.erf": _erf,
    "math.erfc": lambda x: 1.0 - _erf(x),
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
