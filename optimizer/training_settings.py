"""The settings that techniques which train have in common, declared once; each call makes the declaration of one field."""

from __future__ import annotations

from typing import Any

from optimizer.setting import param


def epochs_setting() -> Any:
    """An int: how long a fine-tuning lasts."""
    help_ = "Passes over the training data; more of them recover more accuracy."
    return param(2, low=1, high=200, primary=True, help=help_)


def learning_rate_setting(default: float, *, low: float = 1e-6) -> Any:
    """A float: the peak of `optimizer.training.Schedule`."""
    return param(default, low=low, high=0.1, help="Peak learning rate of Adam; it falls along a cosine.")


def batch_size_setting() -> Any:
    """An int: samples of one step."""
    return param(64, low=1, high=4096, help="Training samples a step.")


def skip_layers_setting() -> Any:
    """A tuple of str: layers that the technique leaves alone."""
    return param((), help="Names of layers that are left as they are.")
