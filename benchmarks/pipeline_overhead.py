"""What Litesmith's pipeline costs over a bare script that makes the same TFMOT calls, in one run of both.

    python benchmarks/pipeline_overhead.py [--samples 20000] [--epochs 2] [--rounds 2]

Both sides prune (80 %, polynomial), cluster (16) and prepare for QAT the same small convolutional net on the same data, train the same number
of steps at the same batch size, convert to .tflite and score the test split with LiteRT. Litesmith also measures a baseline, checks promises,
takes latency and writes its report: that is the cost in question. Each side runs in a process of its own, in turn; TensorFlow's import is not
counted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def make_inputs(folder: Path, samples: int) -> None:
    """Noisy, enlarged digits (24x24) and a net that has seen them once."""
    import numpy as np
    import tensorflow as tf
    from sklearn.datasets import load_digits

    raw = load_digits()
    random = np.random.default_rng(0)
    chosen = random.integers(0, len(raw.images), samples + 2000)
    x = np.kron(raw.images[chosen] / 16, np.ones((1, 3, 3))) + random.normal(0, 0.1, (samples + 2000, 24, 24))
    x, y = x.astype(np.float32)[..., None], raw.target[chosen]
    np.savez(folder / "data.npz", x_train=x[:samples], y_train=y[:samples], x_test=x[samples:], y_test=y[samples:])
    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [
            layers.Input((24, 24, 1)),
            layers.Conv2D(16, 5, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 5, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x[:samples], y[:samples], epochs=1, batch_size=64, verbose=0)
    model.save(folder / "model.keras")


def bare(folder: Path, epochs: int) -> None:
    """The script that one would write by hand from TFMOT's guides."""
    import numpy as np
    import tensorflow as tf
    import tensorflow_model_optimization as tfmot
    from ai_edge_litert.interpreter import Interpreter
    from tensorflow_model_optimization.python.core.clustering.keras.experimental.cluster import cluster_weights

    started = time.monotonic()
    data = np.load(folder / "data.npz")
    order = np.random.default_rng(0).permutation(len(data["x_train"]))
    counts = json.loads((folder / "counts.json").read_text())
    train, validation = order[: counts["train"]], order[-min(counts["validation"], 2000) :]
    x, y = data["x_train"], data["y_train"]
    model = tf.keras.models.load_model(folder / "model.keras", compile=False)
    steps = epochs * -(-len(train) // 64)

    def fit(wrapped, callbacks=()):  # noqa: ANN001, ANN202
        wrapped.compile(tf.keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
        held_out = (x[validation], y[validation])
        wrapped.fit(
            x[train], y[train], epochs=epochs, batch_size=64, verbose=0, validation_data=held_out, callbacks=list(callbacks)
        )

    schedule = tfmot.sparsity.keras.PolynomialDecay(0.0, 0.8, 1, int(steps * 0.6), frequency=max(1, int(steps * 0.6) // 24))
    pruned = tfmot.sparsity.keras.prune_low_magnitude(model, pruning_schedule=schedule)
    fit(pruned, [tfmot.sparsity.keras.UpdatePruningStep()])
    stripped = tfmot.sparsity.keras.strip_pruning(pruned)
    clustered = cluster_weights(
        stripped,
        number_of_clusters=16,
        cluster_centroids_init=tfmot.clustering.keras.CentroidInitialization.KMEANS_PLUS_PLUS,
        preserve_sparsity=True,
    )
    fit(clustered)
    annotated = tfmot.quantization.keras.quantize_annotate_model(tfmot.clustering.keras.strip_clustering(clustered))
    scheme = tfmot.experimental.combine.Default8BitClusterPreserveQuantizeScheme(preserve_sparsity=True)
    prepared = tfmot.quantization.keras.quantize_apply(annotated, scheme)
    fit(prepared)
    converter = tf.lite.TFLiteConverter.from_keras_model(prepared)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    interpreter = Interpreter(model_content=converter.convert())
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    right = 0
    for sample, label in zip(data["x_test"], data["y_test"], strict=True):
        interpreter.set_tensor(source, sample[None])
        interpreter.invoke()
        right += int(interpreter.get_tensor(target)[0].argmax() == label)
    print(json.dumps({"seconds": time.monotonic() - started, "accuracy": right / len(data["y_test"])}))


def litesmith(folder: Path, epochs: int) -> None:
    """The same through the pipeline."""
    import tensorflow as tf  # noqa: F401 - its import is not counted on either side
    import tensorflow_model_optimization  # noqa: F401

    from optimizer.job import DataSource, Job
    from optimizer.pipeline import perform
    from optimizer.recipe import recipe_from_json

    started = time.monotonic()
    plan = {"epochs": epochs, "batch_size": 64, "learning_rate": 1e-3}
    recipe = recipe_from_json(
        {
            "steps": [
                {"technique": "magnitude_pruning", "final_sparsity": 0.8, **plan},
                {"technique": "weight_clustering", **plan},
                {"technique": "quantization_aware_training", **plan},
            ]
        }
    )
    data = DataSource(name="data.npz", path=folder / "data.npz")
    job = Job(
        model=folder / "model.keras", model_name="model.keras", data=data, recipe=recipe, out=folder / "out", work=folder / "work"
    )
    report = perform(job, lambda event: None, lambda: False)
    stages = {stage["technique"]: round(stage["seconds"], 2) for stage in report["stages"]}
    print(
        json.dumps({"seconds": time.monotonic() - started, "accuracy": report["result"]["accuracy"]["value"], "stages": stages})
    )


def side(name: str, folder: Path, epochs: int) -> dict:
    """Run one side in a fresh process."""
    command = [sys.executable, __file__, "--side", name, "--folder", str(folder), "--epochs", str(epochs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--side", choices=("make", "bare", "litesmith"))
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.side:
        if options.side == "make":
            make_inputs(options.folder, options.samples)
            print("{}")
        else:
            (bare if options.side == "bare" else litesmith)(options.folder, options.epochs)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make = [sys.executable, __file__, "--side", "make", "--folder", name, "--samples", str(options.samples)]
        subprocess.run(make, check=True, capture_output=True)
        from optimizer.job import DataSource
        from optimizer.sources.readers import read_dataset

        counts = read_dataset(DataSource(name="data.npz", path=folder / "data.npz"), seed=0).counts()
        (folder / "counts.json").write_text(json.dumps(counts))
        ratios = []
        for _ in range(options.rounds):
            ours, theirs = side("litesmith", folder, options.epochs), side("bare", folder, options.epochs)
            ratios.append(ours["seconds"] / theirs["seconds"])
            print(f"litesmith {ours['seconds']:.1f} s, accuracy {ours['accuracy']:.4f}, stages {ours['stages']}")
            print(f"bare      {theirs['seconds']:.1f} s, accuracy {theirs['accuracy']:.4f}; ratio {ratios[-1]:.3f}")
        print(f"pipeline / bare script, median of {options.rounds}: {statistics.median(ratios):.3f} (wanted: at most 1.05)")


if __name__ == "__main__":
    main()
