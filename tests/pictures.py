"""A tiny model around the operator that a test is about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from optimizer.context import Event, RunContext
from optimizer.model import Model
from optimizer.sources.dataset import Dataset, PreparedData, Split, Task


def pictures(body: Callable[[Any], Any], folder: Path, notes: list[str] | None = None) -> RunContext:
    """A convolution of 8 x 8 pictures, and `body` behind it; what is noted goes to `notes`."""
    import tensorflow as tf

    tf.keras.utils.set_random_seed(0)
    taken = tf.keras.Input((8, 8, 4))
    model = tf.keras.Model(taken, body(tf.keras.layers.Conv2D(4, 3, padding="same")(taken)))
    part = Split(x=np.random.default_rng(0).normal(size=(24, 8, 8, 4)).astype(np.float32), y=None)
    parts = dict.fromkeys(("train", "calibration", "validation", "test"), part)
    dataset = Dataset(name="pictures", sha256="", kind="arrays", labels="none", class_names=(), **parts)
    shapes: dict[str, Any] = {"input_shape": (8, 8, 4), "output_shape": model.output_shape[1:], "input_dtype": "float32"}
    data = PreparedData(dataset=dataset, task=Task.UNLABELLED, from_logits=False, **shapes)

    def keep(event: Event) -> None:
        if event.kind == "note" and notes is not None:
            notes.append(str(event.data["text"]))

    return RunContext(seed=0, data=data, original=Model(keras=model), work_folder=folder, report=keep)
