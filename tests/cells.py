"""One cell of the matrix zoo x recipe: the steps applied in memory, their promises checked, the .tflite beside the Keras model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zoo

from optimizer.context import Event, RunContext
from optimizer.measure.interpreter import run
from optimizer.model import Model
from optimizer.promises import PromiseResult
from optimizer.recipe import recipe_from_json
from optimizer.sources.dataset import Dataset, PreparedData, Split, Task
from optimizer.sources.preflight import read_model_summary
from optimizer.sources.summary import ModelSummary
from optimizer.steps import checked, final_conversion
from optimizer.surgery.flattening import flattened
from optimizer.technique import Technique

PRUNE = {"technique": "magnitude_pruning", "epochs": 1}
CLUSTER = {"technique": "weight_clustering", "epochs": 1, "number_of_clusters": 8}
TRAIN = {"technique": "quantization_aware_training", "epochs": 1}
DISTILL = {"technique": "knowledge_distillation", "epochs": 1}


def quantize(**settings: Any) -> dict[str, Any]:
    """A post-training step."""
    return {"technique": "post_training_quantization", **settings}


RECIPES: dict[str, list[dict[str, Any]]] = {
    "as it is": [],
    "prune": [PRUNE],
    "cluster": [CLUSTER],
    "train": [TRAIN],
    "distill": [DISTILL],
    "int8": [quantize()],
    "int8 weights": [quantize(activations="float32")],
    "int8 x int16": [quantize(activations="int16")],
    "float16": [quantize(weights="float16", activations="float32")],
    "int4 weights": [quantize(weights="int4", activations="float32")],
    "int4 x int8": [quantize(weights="int4")],
    "int4 x int16": [quantize(weights="int4", activations="int16")],
    "int8 in and out": [quantize(input_output="int8")],
    "int8 per tensor": [quantize(granularity="per_tensor")],
    "prune, int8": [PRUNE, quantize()],
    "prune, train": [PRUNE, TRAIN],
    "cluster, int8": [CLUSTER, quantize()],
    "cluster, train": [CLUSTER, TRAIN],
    "distill, int8": [DISTILL, quantize()],
}

EXACT = ("as it is", "prune", "cluster", "distill")
TOLERANCE = {name: 1e-3 if name in EXACT else 0.02 if name == "float16" else 0.6 if "int4" in name else 0.15 for name in RECIPES}
"""Largest difference of a .tflite from the optimized Keras model; int4 without training is coarse on kernels of a few weights."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What came out: the model with its .tflite, every promise as checked at the end, the notes, and how far the file is from Keras.

    `difference` is ||keras - tflite|| / ||keras|| over 8 samples.
    """

    model: Model
    promises: list[PromiseResult]
    notes: list[str]
    difference: float


def prepared(model: Any, x: Any, y: Any) -> PreparedData:
    """64 training samples, 16 for calibration, 16 for validation and test."""
    parts = {"train": (0, 64), "calibration": (64, 80), "validation": (80, 96), "test": (80, 96)}
    last = model.outputs[0]._keras_history.layer
    regression = getattr(getattr(last, "activation", None), "__name__", type(last).__name__.lower()) not in ("softmax", "sigmoid")
    splits = {name: Split(x=x[a:b], y=y[a:b].astype(np.float32) if regression else y[a:b]) for name, (a, b) in parts.items()}
    dataset = Dataset(
        name="zoo",
        sha256="0" * 64,
        kind="arrays",
        labels="value" if regression else "class",
        class_names=tuple("abcdefgh"),
        **splits,
    )
    return PreparedData(
        dataset=dataset,
        task=Task.REGRESSION if regression else Task.CLASSIFICATION,
        input_shape=tuple(x.shape[1:]),
        output_shape=tuple(model.output_shape[1:]),
        input_dtype=model.inputs[0].dtype.name,
        from_logits=False,
    )


class Member:
    """One model of the zoo, ready for many recipes: its summary as the preflight reads it, and itself, flat, in memory."""

    def __init__(self, name: str, folder: Path) -> None:
        model, (x, y) = zoo.MODELS[name]()
        self.name, self.folder = name, folder
        path = folder / f"{name}.h5"
        model.save(path, save_format="h5")
        self.summary: ModelSummary = read_model_summary(path, name=path.name)
        self.data = prepared(model, x, y)
        self.original = Model(keras=flattened(model))

    def steps(self, recipe: str) -> tuple[Technique, ...]:
        """The steps of a recipe."""
        return recipe_from_json({"version": 1, "seed": 0, "steps": RECIPES[recipe]}).steps

    def cell(self, recipe: str) -> Cell:
        """Apply the recipe. Raises what a step or a promise raises."""
        import tensorflow as tf

        notes: list[str] = []

        def keep(event: Event) -> None:
            if event.kind == "note":
                notes.append(str(event.data["text"]))

        context = RunContext(seed=0, data=self.data, original=self.original, work_folder=self.folder, report=keep)
        model = self.original
        for step in self.steps(recipe):
            tf.keras.utils.set_random_seed(0)
            model = step.apply(model, context)
            checked(model, step.name)
        if model.litert is None:
            model = model.changed(litert=final_conversion(model))
        x = self.data.inputs(self.data.dataset.test.x[:8])
        expected = np.asarray(model.keras(x, training=False), np.float64)
        given = run(model.content, [(x, None)]).reshape(expected.shape)
        difference = float(np.linalg.norm(expected - given) / max(np.linalg.norm(expected), 1e-12))
        return Cell(model=model, promises=checked(model, "the end"), notes=notes, difference=difference)
