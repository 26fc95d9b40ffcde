"""How long the preflight takes for a large .keras archive, beside reading the file once.

    python benchmarks/preflight.py [--megabytes 100] [--rounds 5]

Prints the median of the rounds and of plain reads of the same file; the promise is under 1 s for 100 MB. Imports are not counted.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from optimizer.sources.preflight import read_model_summary  # noqa: E402


def make_archive(path: Path, megabytes: int) -> None:
    """A .keras of dense layers of 4 MB each, weights at random, as tf-keras stores them."""
    layers = max(1, megabytes // 4)
    shape = {"batch_input_shape": [None, 1024], "dtype": "float32", "sparse": False, "ragged": False, "name": "x"}
    records: list[dict[str, object]] = [
        {"module": "keras.layers", "class_name": "InputLayer", "config": shape, "name": "x", "inbound_nodes": []}
    ]
    store, random = io.BytesIO(), np.random.default_rng(0)
    with h5py.File(store, "w") as file:
        for number in range(layers):
            name, before = f"dense_{number}", str(records[-1]["name"])
            config = {"name": name, "units": 1024, "activation": "relu", "use_bias": True, "dtype": "float32"}
            record = {"module": "keras.layers", "class_name": "Dense", "config": config, "name": name}
            records.append({**record, "inbound_nodes": [[[before, 0, 0, {}]]]})
            folder = f"layers/dense{f'_{number}' if number else ''}/vars"
            file.create_dataset(f"{folder}/0", data=random.standard_normal((1024, 1024), np.float32))
            file.create_dataset(f"{folder}/1", data=np.zeros(1024, np.float32))
    graph = {"name": "m", "layers": records, "input_layers": [["x", 0, 0]], "output_layers": [[records[-1]["name"], 0, 0]]}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "2.21.0"}))
        archive.writestr("config.json", json.dumps({"module": "keras", "class_name": "Functional", "config": graph}))
        archive.writestr("model.weights.h5", store.getvalue())


def median_seconds(work: Callable[[], object], rounds: int) -> float:
    """Median wall time of some rounds."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.keras"
        make_archive(path, options.megabytes)
        size = path.stat().st_size / 1024**2
        plain = median_seconds(path.read_bytes, options.rounds)
        checked = median_seconds(lambda: read_model_summary(path, name=path.name), options.rounds)
        print(f"{size:.0f} MB .keras: preflight {checked:.2f} s, {checked / plain:.1f} times a plain read ({plain:.2f} s)")


if __name__ == "__main__":
    main()
