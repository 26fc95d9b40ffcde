"""The child process of coverage.py: builds one architecture, and runs it through one side's techniques, a line of JSON each."""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import agreement  # noqa: E402


def build(maker: str, architecture: str, folder: Path, *, for_ours: bool) -> None:
    """Write the model's file, and for our side data that fit it.

    Architectures are untrained (weights=None) but settled, and members of the zoo trained: not for TFMOT's wrappers, which look at no weight.
    """
    import architectures
    import numpy as np
    import zoo

    if maker != "zoo":
        model = architectures.smallest(maker, architecture)
        if for_ours:
            architectures.save(model, folder)
        else:
            model.save(folder / "model.keras")
        return
    model, (x, y) = zoo.MODELS[architecture]()
    if for_ours:
        _train(model, x, y)
    try:
        model.save(folder / "model.keras")
    except TypeError:
        # tf-keras cannot write an Ellipsis (x[..., 0]) into a .keras, nor numbers of NumPy's.
        (folder / "model.keras").unlink(missing_ok=True)
        model.save(folder / "model.h5")
    np.savez(folder / "data.npz", x_train=x[:-16], y_train=y[:-16], x_test=x[-16:], y_test=y[-16:])


def _train(model: Any, x: Any, y: Any) -> None:
    """Until outputs differ between samples by more than int8 rounds away."""
    import tensorflow as tf

    last = model.outputs[0]._keras_history.layer
    activation = getattr(getattr(last, "activation", None), "__name__", type(last).__name__.lower())
    losses = {"softmax": "sparse_categorical_crossentropy", "sigmoid": "binary_crossentropy"}
    model.compile(tf.keras.optimizers.Adam(3e-3), losses.get(activation, "mse"))
    model.fit(x, y, epochs=90, batch_size=16, verbose=0)


def bare(folder: Path, maker: str, architecture: str, techniques: list[str]) -> Iterator[dict[str, Any]]:
    """Whether TFMOT's own wrappers take the same model: an architecture of tf-keras as it was made, all others as tf-keras reads the file."""
    import architectures
    import tensorflow as tf
    import tensorflow_model_optimization as tfmot

    def model() -> Any:
        if maker == "tf_keras":
            return architectures.smallest(maker, architecture)
        return tf.keras.models.load_model(agreement.model_of(folder), compile=False)

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
    for name in techniques:
        try:
            made = model()
        except Exception as error:  # noqa: BLE001 - whatever comes out is the cell's result
            yield {"technique": name, "outcome": "file not read", "detail": _in_words(error)}
            continue
        try:
            works[name](made)
        except Exception as error:  # noqa: BLE001 - whatever comes out is the cell's result
            yield {"technique": name, "outcome": "raises", "detail": _in_words(error)}
        else:
            yield {"technique": name, "outcome": "works"}


def _in_words(error: Exception) -> str:
    """What TFMOT said; paths of this machine are no one else's."""
    return re.sub(r"/\S*/site-packages/", "", f"{type(error).__name__}: {error}")[:400]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("work", choices=["build", "ours", "bare"])
    parser.add_argument("maker")
    parser.add_argument("architecture")
    parser.add_argument("folder", type=Path)
    parser.add_argument("techniques", nargs="*")
    parser.add_argument("--eager", action="store_true")
    parser.add_argument("--for-ours", action="store_true")
    options = parser.parse_args()
    if options.eager:
        import tensorflow as tf

        tf.config.run_functions_eagerly(True)
    if options.work == "build":
        build(options.maker, options.architecture, options.folder, for_ours=options.for_ours)
        return
    if options.work == "ours":
        cells = agreement.cells(options.folder, options.techniques)
    else:
        cells = bare(options.folder, options.maker, options.architecture, options.techniques)
    for record in cells:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print("CELL " + json.dumps({**record, "peak_mebibytes": peak}), flush=True)


if __name__ == "__main__":
    main()
