"""One technique on one file, and whether the .tflite that comes of it agrees with the optimized Keras model."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from optimizer.context import RunContext
from optimizer.job import DataSource, Job
from optimizer.measure.interpreter import run
from optimizer.opening import load, read_files
from optimizer.recipe import Recipe, recipe_from_json
from optimizer.steps import Stages, run_steps
from optimizer.technique import params, registry

JUDGING = 2
"""Goes up when cells are judged in another way: records of an earlier one do not count."""
FLOAT_TOLERANCE = 1e-3
SENSITIVITY_FACTOR = 4.0
LEAST_TOLERANCE = 0.2
MOST_TOLERANCE = 0.5
"""A file of integers agrees where ||keras - tflite|| is at most SENSITIVITY_FACTOR times what moving each kernel and each layer's output at
random by up to half a step of int8 does to the Keras model itself, within these bounds (docs/decisions/0010). All are shares of what
tells the samples apart, ||keras - its mean over the samples||: a file that gives the same for every sample differs by 1 or more."""
LEAST_SPREAD = 1e-3
"""What tells the samples apart must be this share of the outputs; below it there is nothing to judge by."""
SPARSITY = 0.2
"""Half of the weights, the default, cannot go from a net whose frozen normalizations know the others: its features die."""
LEARNING_RATE = 1e-6
"""Every step trains, but too little to break a net that never learned anything: with more, all its features die."""


def model_of(folder: Path) -> Path:
    """The one model file in a folder, a .keras or an .h5."""
    (path,) = folder.glob("model.*")
    return path


def cells(folder: Path, techniques: list[str]) -> Iterator[dict[str, Any]]:
    """One record a technique: the outcome, the difference between the .tflite and the optimized Keras model, what was left alone."""
    data = DataSource(name="data.npz", path=folder / "data.npz", scaling="as stored")
    model = model_of(folder)
    job = Job(
        model=model,
        model_name=model.name,
        data=data,
        recipe=_recipe(*techniques[:1]),
        out=folder / "out",
        work=folder / "work",
    )
    context = None
    for name in techniques:
        started = time.monotonic()
        try:
            context = context or load(job, read_files(job), lambda event: None, lambda: False)
            record = _cell(_recipe(name), context)
        except Exception as error:  # noqa: BLE001 - whatever comes out is the cell's result
            record = {"outcome": getattr(error, "code", type(error).__name__), "detail": str(error)[:400]}
        yield {"technique": name, **record, "judging": JUDGING, "seconds": round(time.monotonic() - started, 1)}


def _recipe(technique: str) -> Recipe:
    """One technique with few other settings than its default ones; where it trains, one epoch; quantization with int8 activations."""
    settings = {setting.name for setting in params(registry()[technique])}
    wanted = {"epochs": 1, "activations": "int8", "learning_rate": LEARNING_RATE, "final_sparsity": SPARSITY}
    chosen = {name: value for name, value in wanted.items() if name in settings}
    return recipe_from_json({"version": 1, "seed": 0, "steps": [{"technique": technique, **chosen}]})


def _cell(recipe: Recipe, context: RunContext) -> dict[str, Any]:
    model, records = run_steps(recipe, context.original, context, Stages(recipe, lambda event: None))
    difference, sensitivity, spread = _difference(model, context)
    notes = [note for record in records for note in record.notes]
    quantized = model.quantization_aware or any("quantization" in step.name for step in recipe.steps)
    # Where the rounded model gives no numbers (a root of what fell below zero), the least is tolerated.
    rounded = min(max(LEAST_TOLERANCE, SENSITIVITY_FACTOR * sensitivity), MOST_TOLERANCE)
    agrees = difference <= (rounded if quantized else FLOAT_TOLERANCE)
    return {
        "outcome": "the same for all samples" if spread < LEAST_SPREAD else "agrees" if agrees else "differs",
        "difference": difference,
        "spread": spread,
        "sensitivity": sensitivity,
        "left": len(notes),
        "notes": notes[:40],
    }


def _difference(model: Any, context: Any) -> tuple[float, float, float]:
    """How far the .tflite is from Keras, and Keras from itself when it is rounded like int8, as shares of the spread; and the spread.

    The spread is ||outputs - their mean over the samples|| / ||outputs|| of Keras. The samples are some that int8 files are calibrated on: what
    they do with values outside their ranges is a matter of the data.
    """
    inputs = context.data.inputs(context.data.dataset.calibration.x[:8])
    expected = np.asarray(model.keras(inputs, training=False), np.float64)
    given = run(model.content, [(inputs, None)]).reshape(expected.shape)
    others = (given, rounded_outputs(model.keras, inputs), expected.mean(axis=0, keepdims=True))
    difference, sensitivity, spread = (float(np.linalg.norm(expected - other)) for other in others)
    telling = max(spread, 1e-12)
    return difference / telling, sensitivity / telling, spread / max(float(np.linalg.norm(expected)), 1e-12)


def rounded_outputs(keras: Any, inputs: Any) -> Any:
    """The model's outputs with every kernel and every layer's output moved at random by up to half a step of int8."""
    import tensorflow as tf

    random = np.random.default_rng(0)

    def moved(values: Any, axes: tuple[int, ...] | None, levels: int) -> Any:
        values = np.asarray(values)
        step = (np.max(values, axes) - np.min(values, axes)) / levels if axes is None else np.abs(values).max(axes) * 2 / levels
        return (values + random.uniform(-0.5, 0.5, values.shape) * step).astype(values.dtype)

    def noisy(own: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            given = own(*args, **kwargs)
            moves = isinstance(given, tf.Tensor) and given.dtype == tf.float32 and given.shape.rank
            return tf.constant(moved(given, None, 255)) if moves else given

        return call

    weights, layers = keras.get_weights(), [layer for layer in keras.layers if hasattr(layer, "call")]
    keras.set_weights([moved(w, tuple(range(w.ndim - 1)), 254) if w.ndim > 1 else w for w in weights])
    own = [layer.call for layer in layers]
    for layer in layers:
        layer.call = noisy(layer.call)
    try:
        return np.asarray(keras(inputs, training=False), np.float64)
    finally:
        keras.set_weights(weights)
        # A function as a layer (TFOpLambda) has its call as an attribute of its own, which must not be deleted.
        for layer, call in zip(layers, own, strict=True):
            layer.call = call
