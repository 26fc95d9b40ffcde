"""Models made by the real Keras 3, saved, translated, and compared with themselves."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimizer.errors import InputError
from optimizer.sources.keras_3.agreement import Agreement, compare_with_original
from optimizer.sources.keras_model import load_keras_model
from optimizer.sources.preflight import read_model_summary


@pytest.fixture(scope="session")
def keras() -> Any:
    """Keras 3 on TensorFlow, beside tf-keras."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras

    return keras


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """Save a model of Keras 3 with weights that are all different, so that none can be taken for another."""

    def save(model: Any, extension: str = "keras") -> Path:
        random = np.random.default_rng(0)
        for weight in model.weights:
            if str(weight.dtype).startswith("float") and "seed" not in weight.path:
                weight.assign(random.uniform(0.1, 1.0, weight.shape) * random.choice([0.3, 0.5]))
        path = tmp_path / f"model.{extension}"
        model.save(path)
        return path

    return save


@pytest.fixture
def agreement(saved: Callable[..., Path]) -> Callable[..., Agreement]:
    """How far the translation of a model of Keras 3 is from the model."""

    def measure(model: Any, extension: str = "keras") -> Agreement:
        path = saved(model, extension)
        summary = read_model_summary(path, name=path.name)
        assert summary.keras_version.startswith("3.")
        return compare_with_original(path, summary, load_keras_model(path, summary))

    return measure


@pytest.fixture
def refused(saved: Callable[..., Path]) -> Callable[..., InputError]:
    """The refusal of a model of Keras 3."""

    def read(model: Any, code: str = "NOT_TRANSLATABLE") -> InputError:
        path = saved(model)
        with pytest.raises(InputError) as caught:
            read_model_summary(path, name=path.name)
        assert caught.value.code == code, caught.value.line
        return caught.value

    return read
