from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from optimizer.errors import InputError
from optimizer.job import DataSource, Job
from optimizer.opening import read_files
from optimizer.recipe import recipe_from_json
from optimizer.sources.preflight import read_model_summary


def job_of(model: object, folder: Path) -> Job:
    model.save(folder / "model.keras")  # type: ignore[attr-defined]
    random = np.random.default_rng(0)
    x, y = random.random((60, 6), np.float32), random.random((60, 3), np.float32)
    np.savez(folder / "data.npz", x=x, y=y)
    recipe = recipe_from_json({"version": 1, "seed": 0, "steps": []})
    data = DataSource(name="data.npz", path=folder / "data.npz")
    return Job(model=folder / "model.keras", model_name="model.keras", data=data, recipe=recipe, out=folder, work=folder / "work")


def test_a_shape_that_the_preflight_has_no_rule_for_is_asked_of_keras(tmp_path: Path) -> None:
    import tensorflow as tf

    inputs = tf.keras.Input((6,))
    job = job_of(tf.keras.Model(inputs, tf.tensordot(inputs, tf.ones((6, 3)), [[1], [0]])), tmp_path)
    assert read_model_summary(job.model, name=job.model_name).output_shapes == (None,)
    assert read_files(job).data.output_shape == (3,)


def test_rows_that_are_no_samples_are_refused(tmp_path: Path) -> None:
    import tensorflow as tf

    inputs = tf.keras.Input((6,))
    job = job_of(tf.keras.Model(inputs, tf.reshape(inputs, (4, 3))), tmp_path)
    with pytest.raises(InputError) as caught:
        read_files(job)
    assert caught.value.code == "UNSUPPORTED_MODEL"
