"""Promises are kept by later trainings, and a broken one stops the run."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from optimizer.context import RunContext
from optimizer.conversion import convert
from optimizer.errors import PromiseBroken
from optimizer.kernel_location import locate
from optimizer.kernels import kernel_variables
from optimizer.litert_file import LiteRTFile
from optimizer.model import Model
from optimizer.promises import SameInterface, SharedValues, Sparsity
from optimizer.recipe import Recipe, recipe_from_json
from optimizer.steps import Stages, run_steps

PRUNE = {"technique": "magnitude_pruning", "final_sparsity": 0.7, "epochs": 2}
CLUSTER = {"technique": "weight_clustering", "number_of_clusters": 8, "epochs": 1}
QAT = {"technique": "quantization_aware_training", "epochs": 1}
DISTILL = {"technique": "knowledge_distillation", "epochs": 1}


def after(context: RunContext, *steps: dict[str, Any]) -> Model:
    recipe = recipe_from_json({"steps": list(steps)})
    model, _ = run_steps(recipe, context.original, context, Stages(Recipe(), lambda event: None))
    return model


@pytest.mark.parametrize(
    "last",
    [
        (),
        (QAT,),
        (DISTILL, QAT),
        ({"technique": "post_training_quantization"},),
        ({"technique": "post_training_quantization", "weights": "int4", "activations": "float32"},),
        ({"technique": "post_training_quantization", "weights": "int4", "activations": "int8"},),
        ({"technique": "post_training_quantization", "weights": "float16", "activations": "float32"},),
        ({"technique": "post_training_quantization", "activations": "int16"},),
        ({"technique": "post_training_quantization", "activations": "float32"},),
    ],
    ids=lambda steps: "+".join("-".join(str(v) for v in step.values())[:50] for step in steps),
)
def test_zeros_and_shared_values_survive_into_the_file(context: RunContext, last: tuple[dict[str, Any], ...]) -> None:
    model = after(context, PRUNE, CLUSTER, *last)
    assert model.litert is not None
    file = LiteRTFile(model.litert)
    # Counted here on the stored tensors, not by the promises' own code.
    for key, variable in kernel_variables(model.keras).items():
        stored = locate(file, variable.numpy())
        assert stored is not None
        if "depthwise" not in key:
            assert np.mean(stored.values == 0) >= 0.7 - 1e-9, key
            assert len(np.unique(stored.raw)) <= 8, key
            assert len(np.unique(stored.values)) <= 8, key


def test_scales_of_single_channels_break_shared_values_and_say_so(context: RunContext) -> None:
    with pytest.raises(PromiseBroken) as caught:
        after(context, CLUSTER, {"technique": "post_training_quantization", "granularity": "per_channel"})
    assert caught.value.place == "post_training_quantization"
    assert "weight_clustering" in caught.value.line
    assert "per_tensor" in caught.value.fix


def test_a_promise_is_broken_by_one_weight(context: RunContext) -> None:
    kernel = kernel_variables(context.original.keras)["hidden/kernel"].numpy()
    sparsity = Sparsity(technique="t", kernels={"hidden/kernel": 0.5})
    values = np.where(np.arange(kernel.size) % 2, kernel.reshape(-1), 0)
    assert sparsity.fault_of(values, 0.5) == ""
    values[0] = 1.0
    assert sparsity.fault_of(values, 0.5)
    shared = SharedValues(technique="t", kernels={"hidden/kernel": 2})
    assert shared.fault_of(np.array([1.0, 1.0, 2.0]), 2) == ""
    assert shared.fault_of(np.array([1.0, 3.0, 2.0]), 2)


def test_a_kernel_that_is_gone_breaks_its_promise(context: RunContext) -> None:
    promise = Sparsity(technique="t", kernels={"nowhere/kernel": 0.5})
    assert promise.check_keras(context.original.keras).holds is False
    renewed = context.original.changed(promises=(promise,)).changed(promises=(dataclasses.replace(promise, technique="u"),))
    assert [p.technique for p in renewed.promises] == ["u"]


@pytest.mark.parametrize(("wanted", "holds"), [((3,), True), ((4,), False)])
def test_a_model_of_open_size_keeps_its_interface(wanted: tuple[int, ...], holds: bool) -> None:
    import tensorflow as tf

    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [layers.Input((None, None, 2)), layers.Conv2D(4, 3), layers.GlobalAveragePooling2D(), layers.Dense(3)]
    )
    promise = SameInterface(technique="knowledge_distillation", input_shape=(8, 9, 2), output_shape=wanted)
    assert promise.check_keras(model).holds is holds
    assert promise.check_litert(LiteRTFile(convert(model)), model).holds is holds
