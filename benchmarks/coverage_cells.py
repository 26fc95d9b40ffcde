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

SIZES = (32, 48, 64, 75, 96, 128, 224)
"""Input heights that are tried from the smallest on."""
CLASSES = 10
FLOAT_TOLERANCE = 1e-3
SENSITIVITY_FACTOR = 5.0
LEAST_TOLERANCE = 0.1
MOST_TOLERANCE = 0.75
"""A file of integers agrees where ||a - b|| / ||a|| is at most SENSITIVITY_FACTOR times what moving the kernels by up to half a step of
int8 does to the Keras model itself (deep untrained nets amplify any rounding), within these bounds; unrelated outputs differ by 1 or more."""


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
    """Patches of chance, of different brightness and contrast, from 0 to 255: plain noise would look all the same to a deep net."""
    import numpy as np

    coarse = random.uniform(0, 1, (count, 4, 4, channels)) * random.uniform(0.2, 1, (count, 1, 1, 1))
    fine = np.repeat(np.repeat(coarse, -(-height // 4), axis=1), -(-width // 4), axis=2)[:, :height, :width]
    noisy = fine * 255 + random.normal(0, 4, (count, height, width, channels))
    return np.clip(noisy, 0, 255).astype(np.float32)


def _settle(model: Any, x: Any) -> None:
    """Set every BatchNormalization's statistics to those of a batch: with fresh ones the activations of deep nets fade or run away."""
    layers = [layer for layer in model._flatten_layers() if type(layer).__name__ == "BatchNormalization"]
    before = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    model(x, training=True)
    for layer, momentum in zip(layers, before, strict=True):
        layer.momentum = momentum


def recipes() -> dict[str, dict[str, Any]]:
    """Every registered technique with its default settings and, where it trains, one epoch."""
    from optimizer.technique import params, registry

    found = {}
    for name, cls in registry().items():
        settings = {setting.name for setting in params(cls)}
        found[name] = {"technique": name, **({"epochs": 1} if "epochs" in settings else {})}
        if "activations" in settings:
            found[name]["activations"] = "int8"
    return found


def ours(folder: Path, techniques: list[str]) -> Iterator[dict[str, Any]]:
    """One record a technique: the outcome, the difference between the .tflite and the optimized Keras model, what was left alone."""
    for name in techniques:
        started = time.monotonic()
        try:
            record = _our_cell(folder, recipes()[name])
        except Exception as error:  # noqa: BLE001 - whatever comes out is the cell's result
            record = {"outcome": getattr(error, "code", type(error).__name__), "detail": str(error)[:400]}
        yield {"technique": name, **record, "seconds": round(time.monotonic() - started, 1)}


def _our_cell(folder: Path, step: dict[str, Any]) -> dict[str, Any]:
    from optimizer import pipeline
    from optimizer.job import DataSource, Job
    from optimizer.recipe import recipe_from_json

    recipe = recipe_from_json({"version": 1, "seed": 0, "steps": [step]})
    data = DataSource(name="data.npz", path=folder / "data.npz", scaling="as stored")
    job = Job(
        model=folder / "model.keras",
        model_name="model.keras",
        data=data,
        recipe=recipe,
        out=folder / "out",
        work=folder / "work",
    )
    read = pipeline._read(job)
    context = pipeline._load(job, read, lambda event: None, lambda: False)
    stages = pipeline._Stages(recipe, lambda event: None)
    model, records = pipeline._run_steps(recipe, context.original, context, stages)
    difference, sensitivity = _difference(model, context)
    notes = [note for record in records for note in record.notes]
    quantized = model.quantization_aware or "quantization" in step["technique"]
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
    """||keras - tflite|| / ||keras|| over a few test samples, and the same for keras with its kernels moved by half a step of int8."""
    import numpy as np

    from optimizer.measure.interpreter import run

    inputs = context.data.inputs(context.data.dataset.test.x[:8])
    expected = np.asarray(model.keras(inputs, training=False), np.float64)
    given = run(model.content, [(inputs, None)]).reshape(expected.shape)
    size = max(float(np.linalg.norm(expected)), 1e-12)
    weights, random = model.keras.get_weights(), np.random.default_rng(0)
    model.keras.set_weights([_moved(weight, random) for weight in weights])
    moved = np.asarray(model.keras(inputs, training=False), np.float64)
    model.keras.set_weights(weights)
    return float(np.linalg.norm(expected - given)) / size, float(np.linalg.norm(expected - moved)) / size


def _moved(weight: Any, random: Any) -> Any:
    import numpy as np

    if weight.ndim < 2:
        return weight
    step = np.abs(weight).max(axis=tuple(range(weight.ndim - 1))) / 127
    return (weight + random.uniform(-0.5, 0.5, weight.shape) * step).astype(weight.dtype)


def bare(folder: Path, maker: str) -> Iterator[dict[str, Any]]:
    """What TFMOT's own wrappers, and TensorFlow's own converter, say to the same file."""
    import tensorflow as tf
    import tensorflow_model_optimization as tfmot

    def quantize(model: Any) -> None:
        tfmot.quantization.keras.quantize_model(model)

    def prune(model: Any) -> None:
        tfmot.sparsity.keras.prune_low_magnitude(model)

    def cluster(model: Any) -> None:
        centroids = tfmot.clustering.keras.CentroidInitialization.LINEAR
        tfmot.clustering.keras.cluster_weights(model, number_of_clusters=16, cluster_centroids_init=centroids)

    def convert(model: Any) -> None:
        shapes = [[1 if n is None else n for n in tensor.shape] for tensor in model.inputs]
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: iter([[tf.random.uniform(shape) for shape in shapes]])
        converter.convert()

    works: dict[str, Callable[[Any], None]] = {
        "post_training_quantization": convert,
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
