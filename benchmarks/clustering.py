"""What one training step of weight clustering takes: ours beside bare TFMOT, on dense layers of some million weights, each in a process of its own.

Both wrap the same model with k-means++ and 16 centroids, and then train 3 steps as one compiled function. Prints seconds to wrap, seconds a step,
the peak of memory, and the ratios; below 1 ours is better: `python benchmarks/clustering.py [units]`.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

UNITS = 1536
STEPS = 3
CLUSTERS = 16


def measured(side: str, units: int) -> dict[str, float]:
    """Seconds and mebibytes of one side, in this process."""
    import contextlib

    import numpy as np
    import tensorflow as tf
    from tensorflow_model_optimization.clustering.keras import CentroidInitialization, cluster_weights

    from optimizer.surgery.clustering import quick_clustering

    dense = [tf.keras.layers.Dense(units, activation="relu") for _ in range(3)]
    model = tf.keras.Sequential([tf.keras.layers.Input((units,)), *dense, tf.keras.layers.Dense(10)])
    before = _peak()
    started = time.monotonic()
    with quick_clustering() if side == "ours" else contextlib.nullcontext():
        settings = {"number_of_clusters": CLUSTERS, "cluster_centroids_init": CentroidInitialization.KMEANS_PLUS_PLUS}
        wrapped = cluster_weights(model, **settings)
    wrapping = time.monotonic() - started
    optimizer = tf.keras.optimizers.Adam(1e-4)
    x, y = np.ones((32, units), np.float32), np.zeros(32, np.int64)

    @tf.function  # type: ignore[untyped-decorator]
    def step() -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.keras.losses.sparse_categorical_crossentropy(y, wrapped(x, training=True), from_logits=True))
        optimizer.apply_gradients(zip(tape.gradient(loss, wrapped.trainable_variables), wrapped.trainable_variables, strict=True))
        return loss

    step()
    started = time.monotonic()
    for _ in range(STEPS):
        step()
    return {"wrapping_s": wrapping, "step_s": (time.monotonic() - started) / STEPS, "more_mebibytes": _peak() - before}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    if len(sys.argv) > 2:
        print(json.dumps(measured(sys.argv[1], int(sys.argv[2]))))
        return
    units = sys.argv[1] if len(sys.argv) > 1 else str(UNITS)
    found = {}
    for side in ("ours", "TFMOT"):
        child = subprocess.run([sys.executable, __file__, side, units], capture_output=True, text=True, check=True)
        found[side] = json.loads(child.stdout.splitlines()[-1])
        print(f"{side:<6}" + "".join(f"  {name} {value:8.2f}" for name, value in found[side].items()), flush=True)
    ratios = {name: value / found["TFMOT"][name] for name, value in found["ours"].items()}
    print("ratio " + "".join(f"  {name} {value:8.2f}" for name, value in ratios.items()))


if __name__ == "__main__":
    main()
