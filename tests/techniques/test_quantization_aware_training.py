"""QAT on graphs that TFMOT does not know: what it cannot treat stays float, and nothing raises."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from optimizer.context import Event, RunContext
from optimizer.litert_file import LiteRTFile
from optimizer.measure.interpreter import run
from optimizer.model import Model
from optimizer.sources.dataset import Task
from optimizer.steps import final_conversion
from optimizer.techniques.quantization.quantization_aware_training import QuantizationAwareTraining


def trained(context: RunContext, body: Callable[[Any, Any], Any]) -> tuple[RunContext, list[str]]:
    """A context around a model of its own for the digits, and the notes that it will get."""
    import tensorflow as tf

    layers = tf.keras.layers
    tf.keras.utils.set_random_seed(0)
    inputs = layers.Input((8, 8, 1))
    outputs = layers.Dense(10, activation="softmax", name="classes")(layers.Flatten()(body(layers, inputs)))
    model = tf.keras.Model(inputs, outputs)
    model.compile(tf.keras.optimizers.Adam(5e-3), "sparse_categorical_crossentropy")
    split = context.data.dataset.train
    model.fit(split.x, split.y, epochs=6, batch_size=32, verbose=0)
    notes: list[str] = []

    def keep(event: Event) -> None:
        if event.kind == "note":
            notes.append(str(event.data["text"]))

    return dataclasses.replace(context, original=Model(keras=model), report=keep), notes


def accuracy(content: bytes, context: RunContext) -> float:
    split = context.data.dataset.test
    outputs = run(content, [(context.data.inputs(split.x), None)])
    return float((outputs.argmax(-1) == split.y).mean())


def test_ranges_fit_from_the_first_step_on(context: RunContext) -> None:
    """Four steps cannot move TFMOT's ranges from their start at -6 to 6, which would cut this model's activations off."""

    def body(layers: Any, inputs: Any) -> Any:
        return layers.Conv2D(8, 3, activation="relu")(layers.Rescaling(50.0)(inputs))

    context, _ = trained(context, body)
    result = QuantizationAwareTraining(epochs=1, batch_size=256, learning_rate=1e-6).apply(context.original, context)
    before = np.argmax(context.original.keras(context.data.dataset.test.x), -1)
    assert accuracy(final_conversion(result), context) > np.mean(before == context.data.dataset.test.y) - 0.03


def normalized_first(layers: Any, inputs: Any) -> Any:
    x = layers.BatchNormalization(name="bn")(inputs)
    return layers.Conv2D(8, 3, activation="relu", name="conv")(x)


def normalized_between(layers: Any, inputs: Any) -> Any:
    first = layers.Conv2D(6, 3, padding="same", name="conv")(inputs)
    x = layers.ReLU()(layers.BatchNormalization(name="bn")(first))
    return layers.Concatenate()([first, layers.Conv2D(4, 3, padding="same")(x)])


def dense_normalized(layers: Any, inputs: Any) -> Any:
    x = layers.BatchNormalization(name="bn")(layers.Dense(16, name="conv")(layers.Flatten()(inputs)))
    return layers.ReLU()(x)


@pytest.mark.parametrize("body", [normalized_first, normalized_between, dense_normalized], ids=lambda body: body.__name__)
def test_a_normalization_that_tfmot_refuses_leaves_the_kernels_around_it_in_int8(context: RunContext, body: Any) -> None:
    context, notes = trained(context, body)
    result = QuantizationAwareTraining(epochs=1).apply(context.original, context)
    content = final_conversion(result)
    assert any(note.startswith("bn") for note in notes)
    (promise,) = result.promises
    assert {"conv/kernel", "classes/kernel"} <= set(promise.kernels)  # type: ignore[attr-defined]
    assert promise.check_litert(LiteRTFile(content), result.keras).holds is True
    assert accuracy(content, context) > 0.7


def test_activity_penalties_and_normalization_layers_do_not_disturb_it(context: RunContext) -> None:
    def body(layers: Any, inputs: Any) -> Any:
        x = layers.Normalization(mean=0.3, variance=0.1)(layers.Flatten()(inputs))
        x = layers.Dense(16, activation="relu", activity_regularizer="l2")(x)
        return layers.ActivityRegularization(l2=1e-4)(x)

    context, _ = trained(context, body)
    result = QuantizationAwareTraining(epochs=1).apply(context.original, context)
    assert accuracy(final_conversion(result), context) > 0.7


def joined_with_larger_numbers(layers: Any, inputs: Any) -> Any:
    """What two layers read has a range of its own; the converter took that for what it is joined with."""
    import tensorflow as tf

    x = layers.Conv2D(4, 3, padding="same")(inputs)
    large = layers.Conv2D(4, 1, kernel_initializer=tf.keras.initializers.RandomNormal(0.0, 5.0))(x)
    return layers.Dense(4)(layers.Concatenate()([x, large]))


def padded_with_a_larger_number(layers: Any, inputs: Any) -> Any:
    import tensorflow as tf

    x = layers.Conv2D(4, 3, padding="same")(inputs)
    return layers.Dense(4)(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], constant_values=3.0))


def padded_with_a_computed_number(layers: Any, inputs: Any) -> Any:
    import tensorflow as tf

    x = layers.Conv2D(4, 3, padding="same")(inputs)
    return layers.Dense(4)(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], constant_values=tf.reduce_min(x)))


def centered(layers: Any, inputs: Any) -> Any:
    """Numbers that stay float."""
    import tensorflow as tf

    x = layers.Conv2D(4, 3, padding="same")(inputs)
    return x - tf.reduce_mean(x, [1, 2], keepdims=True)


def joined_with_its_mean(layers: Any, inputs: Any) -> Any:
    """What maximum and mean are taken of got the range of the join."""
    x = centered(layers, inputs)
    return layers.Dense(4)(layers.Concatenate()([layers.GlobalMaxPooling2D()(x), layers.GlobalAveragePooling2D()(x)]))


def joined_in_float_with_its_mean(layers: Any, inputs: Any) -> Any:
    """The join stays float, for one of three has a fixed range; the layer behind it rounds what it reads."""
    x, gate = centered(layers, inputs), layers.Conv2D(4, 3, activation="tanh")(inputs)
    means = [layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(gate)]
    return layers.Dense(4)(layers.Concatenate()([layers.GlobalMaxPooling2D()(x), *means]))


def smaller_of_two_floats(layers: Any, inputs: Any) -> Any:
    """What the minimum is taken of got its range."""
    import tensorflow as tf

    x = tf.abs(layers.Conv2D(4, 3)(inputs))
    least = layers.Minimum()([x, 0.2 * x])
    return layers.Dense(4)(layers.GlobalMaxPooling2D()(least)) + layers.Dense(4)(layers.GlobalMaxPooling2D()(x))


def joined_with_an_activation_in_float(layers: Any, inputs: Any) -> Any:
    """The converter refused the scale of the elu."""
    features = layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(inputs))
    x = layers.Concatenate()([features, layers.Dense(8, activation="elu")(layers.Flatten()(inputs))])
    return layers.Add()([layers.Dense(4)(x), layers.Dense(4, activation="softmax")(x)])


NO_FOREIGN_RANGE = [
    joined_with_larger_numbers,
    padded_with_a_larger_number,
    padded_with_a_computed_number,
    joined_with_its_mean,
    joined_in_float_with_its_mean,
    smaller_of_two_floats,
    joined_with_an_activation_in_float,
]


@pytest.mark.parametrize("body", NO_FOREIGN_RANGE, ids=lambda body: body.__name__)
def test_no_tensor_takes_the_range_of_another(context: RunContext, body: Any) -> None:
    import tensorflow as tf

    tf.keras.utils.set_random_seed(0)
    inputs = tf.keras.layers.Input((8, 8, 1))
    model = tf.keras.Model(inputs, body(tf.keras.layers, inputs))
    x = context.data.dataset.train.x[:64]
    split = dataclasses.replace(context.data.dataset.train, x=x, y=np.asarray(model(x)))
    dataset = dataclasses.replace(context.data.dataset, train=split, calibration=split, validation=split)
    data = dataclasses.replace(context.data, dataset=dataset, task=Task.REGRESSION, output_shape=model.output_shape[1:])
    context = dataclasses.replace(context, data=data, original=Model(keras=model))
    result = QuantizationAwareTraining(epochs=1, learning_rate=1e-7).apply(context.original, context)
    wanted, given = np.asarray(result.keras(x, training=False)), run(final_conversion(result), [(x, None)])
    assert np.linalg.norm(wanted - given) < 0.15 * np.linalg.norm(wanted - wanted.mean(axis=0))


def test_a_join_that_is_called_twice_knows_which_inputs_are_rounded_each_time(context: RunContext) -> None:
    """The converter refuses a join that takes the places of one call's float inputs for those of the other."""

    def body(layers: Any, inputs: Any) -> Any:
        import tensorflow as tf

        join = layers.Concatenate()
        integer, wave = layers.Conv2D(4, 3)(inputs), tf.sin(layers.Conv2D(4, 3)(inputs))
        parts = join([integer, wave]), join([wave, integer])
        return layers.Add()([layers.Conv2D(4, 3)(part) for part in parts])

    context, _ = trained(context, body)
    result = QuantizationAwareTraining(epochs=1, batch_size=64, learning_rate=1e-4).apply(context.original, context)
    file = LiteRTFile(final_conversion(result))
    joins = [operator for operator in file.operators if operator.name == "CONCATENATION"]
    assert len(joins) == 2
    assert all(file.type_name(file.model.subgraphs[0].tensors[join.outputs[0]].type) == "INT8" for join in joins)
