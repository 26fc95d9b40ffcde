"""The child process of coverage.py: builds one architecture, and runs it through one side's techniques, a line of JSON each."""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from optimizer.context import RunContext  # noqa: E402
from optimizer.job import DataSource, Job  # noqa: E402
from optimizer.recipe import Recipe, recipe_from_json  # noqa: E402

SIZES = (32, 48, 64, 75, 96, 128, 224)
"""Input heights that are tried from the smallest on."""
CLASSES = 10
FLOAT_TOLERANCE = 1e-3
SENSITIVITY_FACTOR = 4.0
LEAST_TOLERANCE = 0.25
MOST_TOLERANCE = 0.5
"""A file of integers agrees where ||a - b|| / ||a|| is at most SENSITIVITY_FACTOR times what moving each kernel and each layer's output at
random by up to half a step of int8 does to the Keras model itself (untrained nets amplify any rounding), within these bounds; unrelated
outputs differ by 1 or more."""


def build(maker: str, architecture: str, folder: Path) -> Path:
    """Write the model's file, untrained (weights=None), and data that fit it; returns the model's path."""
    import numpy as np

    if maker == "zoo":
        import zoo

        model, (x, y) = zoo.MODELS[architecture]()
        path = folder / "model.keras"
        model.save(path)
        np.savez(folder / "data.npz", x_train=x[:-16], y_train=y[:-16], x_test=x[-16:], y_test=y[-16:])
        return path
    if maker == "keras":
        os.environ["KERAS_BACKEND"] = "tensorflow"
        import keras
    else:
        import tf_keras as keras
    keras.utils.set_random_seed(0)
    model = _smallest(getattr(keras.applications, architecture))
    random = np.random.default_rng(0)
    x = _pictures(random, 96, *model.input_shape[1:])
    _settle(model, x[:64])
    path = folder / "model.keras"
    model.save(path)
    y = np.arange(96) % CLASSES
    np.savez(folder / "data.npz", x_train=x[:64], y_train=y[:64], x_test=x[64:], y_test=y[64:])
    return path


def _smallest(make: Callable[..., Any]) -> Any:
    """The architecture at the smallest input that it accepts; it gives logits, for softmax hides differences of untrained nets."""
    for size in SIZES:
        try:
            return make(weights=None, input_shape=(size, size, 3), classes=CLASSES, classifier_activation=None)
        except ValueError:
            if size == SIZES[-1]:
                raise
    raise ValueError("no size is accepted")


def _pictures(random: Any, count: int, height: int, width: int, channels: int) -> Any:
    """Patches of chance, of somewhat different brightness, from 0 to 255: plain noise would look all the same to a deep net."""
    import numpy as np

    coarse = random.uniform(0, 1, (count, 4, 4, channels)) * random.uniform(0.7, 1, (count, 1, 1, 1))
    fine = np.repeat(np.repeat(coarse, -(-height // 4), axis=1), -(-width // 4), axis=2)[:, :height, :width]
    noisy = fine * 255 + random.normal(0, 4, (count, height, width, channels))
    return np.clip(noisy, 0, 255).astype(np.float32)


def _settle(model: Any, x: Any) -> None:
    """Make a net with BatchNormalization well conditioned, as training would: its int8 outputs can then be told from wrong ones.

    Untrained nets enlarge any rounding from layer to layer until no two ways to compute them agree. So each kernel's values are moved up
    by half of their mean size, which lets what a layer's inputs share outweigh rounding, and each normalization gets mean 0 and the mean
    square of a batch as its statistics: with fresh ones activations fade or run away, and with the true mean it would enlarge rounding again.
    The normalizations are frozen, as is usual when one fine-tunes on little data; else training would bring the true means back.
    """
    import numpy as np

    layers = [layer for layer in model._flatten_layers() if type(layer).__name__ == "BatchNormalization"]
    if not layers:
        return
    model.set_weights([w + 0.5 * np.abs(w).mean() if w.ndim > 1 else w for w in model.get_weights()])
    for layer in layers:
        layer.call = _settling(layer)
    model(x, training=False)
    for layer in layers:
        del layer.call
        layer.trainable = False


def _settling(layer: Any) -> Callable[..., Any]:
    import numpy as np

    def call(values: Any, **_: Any) -> Any:
        axis = layer.axis[0] if isinstance(layer.axis, list) else layer.axis
        seen = np.asarray(values)
        square = np.mean(np.square(seen, dtype=np.float64), axis=tuple(n for n in range(seen.ndim) if n != axis % seen.ndim))
        layer.moving_mean.assign(np.zeros_like(square, np.float32))
        layer.moving_variance.assign(square.astype(np.float32))
        return type(layer).call(layer, values, training=False)

    return call


def ours(folder: Path, techniques: list[str]) -> Iterator[dict[str, Any]]:
    """One record a technique: the outcome, the difference between the .tflite and the optimized Keras model, what was left alone."""
    from optimizer.opening import load, read_files

    data = DataSource(name="data.npz", path=folder / "data.npz", scaling="as stored")
    job = Job(
        model=folder / "model.keras",
        model_name="model.keras",
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
            record = _our_cell(_recipe(name), context)
        except Exception as error:  # noqa: BLE001 - whatever comes out is the cell's result
            record = {"outcome": getattr(error, "code", type(error).__name__), "detail": str(error)[:400]}
        yield {"technique": name, **record, "seconds": round(time.monotonic() - started, 1)}


def _recipe(technique: str) -> Recipe:
    """One technique with its default settings and, where it trains, one epoch; quantization with int8 activations."""
    from optimizer.technique import params, registry

    settings = {setting.name for setting in params(registry()[technique])}
    chosen = {name: value for name, value in (("epochs", 1), ("activations", "int8")) if name in settings}
    return recipe_from_json({"version": 1, "seed": 0, "steps": [{"technique": technique, **chosen}]})


def _our_cell(recipe: Recipe, context: RunContext) -> dict[str, Any]:
    from optimizer.steps import Stages, run_steps

    model, records = run_steps(recipe, context.original, context, Stages(recipe, lambda event: None))
    difference, sensitivity = _difference(model, context)
    notes = [note for record in records for note in record.notes]
    quantized = model.quantization_aware or any("quantization" in step.name for step in recipe.steps)
    rounded = min(max(SENSITIVITY_FACTOR * sensitivity, LEAST_TOLERANCE), MOST_TOLERANCE)
    agrees = difference <= (rounded if quantized else FLOAT_TOLERANCE)
    return {
        "outcome": "agrees" if agrees else "differs",
        "difference": difference,
        "sensitivity": sensitivity,
        "left": len(notes),
        "notes": notes[:40],
    }


def _difference(model: Any, context: Any) -> tuple[float, float]:
    """||keras - tflite|| / ||keras|| over a few test samples, and the same for keras with kernels and activations moved as int8 rounding does."""
    import numpy as np

    from optimizer.measure.interpreter import run

    inputs = context.data.inputs(context.data.dataset.test.x[:8])
    expected = np.asarray(model.keras(inputs, training=False), np.float64)
    given = run(model.content, [(inputs, None)]).reshape(expected.shape)
    size = max(float(np.linalg.norm(expected)), 1e-12)
    return float(np.linalg.norm(expected - given)) / size, float(np.linalg.norm(expected - _rounded(model.keras, inputs))) / size


def _rounded(keras: Any, inputs: Any) -> Any:
    """The model's outputs with every kernel and every layer's output moved at random by up to half a step of int8."""
    import numpy as np
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


def bare(folder: Path, maker: str) -> Iterator[dict[str, Any]]:
    """Whether TFMOT's own wrappers take the same file."""
    import tensorflow as tf
    import tensorflow_model_optimization as tfmot

    def quantize(model: Any) -> None:
        tfmot.quantization.keras.quantize_model(model)

    def prune(model: Any) -> None:
        tfmot.sparsity.keras.prune_low_magnitude(model)

    def cluster(model: Any) -> None:
        centroids = tfmot.clustering.keras.CentroidInitialization.LINEAR
        tfmot.clustering.keras.cluster_weights(model, number_of_clusters=16, cluster_centroids_init=centroids)

    works: dict[str, Callable[[Any], None]] = {
        "quantization_aware_training": quantize,
        "magnitude_pruning": prune,
        "weight_clustering": cluster,
    }
    for name, work in works.items():
        try:
            work(tf.keras.models.load_model(folder / "model.keras", compile=False))
        except Exception as error:  # noqa: BLE001 - whatever comes out is the cell's result
            yield {"technique": name, "outcome": "raises", "detail": f"{type(error).__name__}: {error}"[:400]}
        else:
            yield {"technique": name, "outcome": "works"}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("work", choices=["build", "ours", "bare"])
    parser.add_argument("maker")
    parser.add_argument("architecture")
    parser.add_argument("folder", type=Path)
    parser.add_argument("techniques", nargs="*")
    options = parser.parse_args()
    if options.work == "build":
        print(json.dumps({"file_bytes": build(options.maker, options.architecture, options.folder).stat().st_size}), flush=True)
        return
    cells = ours(options.folder, options.techniques) if options.work == "ours" else bare(options.folder, options.maker)
    for record in cells:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print("CELL " + json.dumps({**record, "peak_mebibytes": peak}), flush=True)


if __name__ == "__main__":
    main()
