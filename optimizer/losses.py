"""What training minimizes: the loss that the task calls for, and the distance from another model's answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optimizer.sources.dataset import IGNORED, PreparedData, Task

Loss = Callable[[Any, Any, Any], Any]
"""(inputs, targets, outputs) -> scalar tensor."""

SMALLEST_PROBABILITY = 1e-7


def task_loss(data: PreparedData) -> Loss:
    """Cross-entropy of the class, of each label or of each step that counts; mean squared error of values and reconstructions."""
    import tensorflow as tf

    if data.task is Task.CLASSIFICATION:
        entropy = _class_entropy(data)
        return lambda inputs, targets, outputs: tf.reduce_mean(entropy(targets, _flat(outputs)))
    if data.task is Task.PER_STEP:
        entropy = _class_entropy(data)
        return lambda inputs, targets, outputs: _weighted_mean(
            entropy(tf.maximum(targets, 0), outputs), _counted(targets, tf.shape(outputs)[:-1])
        )
    if data.task is Task.MULTI_LABEL:
        binary = tf.keras.losses.BinaryCrossentropy(from_logits=data.from_logits)
        return lambda inputs, targets, outputs: binary(targets, outputs)
    values = tf.math.sigmoid if data.task is Task.RECONSTRUCTION and data.from_logits else tf.identity
    return lambda inputs, targets, outputs: tf.reduce_mean(
        tf.math.squared_difference(tf.reshape(tf.cast(targets, outputs.dtype), tf.shape(outputs)), values(outputs))
    )


def _class_entropy(data: PreparedData) -> Callable[[Any, Any], Any]:
    """(class numbers (n, ...), outputs (n, ..., units)) -> cross-entropy (n, ...)."""
    import tensorflow as tf

    losses, logits = tf.keras.losses, data.from_logits
    if data.output_shape[-1] == 1:
        return lambda classes, outputs: losses.binary_crossentropy(
            tf.reshape(tf.cast(classes, tf.float32), tf.shape(outputs)), outputs, from_logits=logits
        )
    if data.independent:
        return lambda classes, outputs: losses.binary_crossentropy(
            tf.one_hot(classes, data.output_shape[-1]), outputs, from_logits=logits
        )
    return lambda classes, outputs: losses.sparse_categorical_crossentropy(classes, outputs, from_logits=logits)


def _flat(outputs: Any) -> Any:
    """(n, 1, 1, classes) as (n, classes)."""
    import tensorflow as tf

    return outputs if len(outputs.shape) == 2 else tf.reshape(outputs, (tf.shape(outputs)[0], -1))


def _counted(targets: Any, shape: Any) -> Any:
    """1 for each step that counts, 0 for the others."""
    import tensorflow as tf

    return tf.reshape(tf.cast(tf.not_equal(targets, IGNORED), tf.float32), shape)


def _weighted_mean(values: Any, weights: Any) -> Any:
    import tensorflow as tf

    return tf.math.divide_no_nan(tf.reduce_sum(values * weights), tf.reduce_sum(weights))


def main_output(outputs: Any, data: PreparedData) -> Any:
    """The output that the task is about, among those of a model of several."""
    if data.output_count == 1:
        return outputs
    return outputs[data.output]


def with_other_outputs(loss: Loss, original: Any, data: PreparedData) -> Loss:
    """`loss` of the main output; the outputs without labels are held near what the original model gives."""
    import tensorflow as tf

    if data.output_count == 1:
        return loss

    def together(inputs: Any, targets: Any, outputs: Any) -> Any:
        total = loss(inputs, targets, main_output(outputs, data))
        for place, wanted in enumerate(original(inputs, training=False)):
            if place != data.output:
                total += tf.reduce_mean(tf.math.squared_difference(outputs[place], tf.stop_gradient(wanted)))
        return total

    return together


def imitation_loss(teacher: Any, data: PreparedData) -> Loss:
    """For data without labels: come close to what the original model says of the same inputs."""
    distance = soft_distance(data, temperature=1.0)

    def loss(inputs: Any, targets: Any, outputs: Any) -> Any:
        import tensorflow as tf

        del targets
        return distance(None, tf.stop_gradient(main_output(teacher(inputs, training=False), data)), outputs)

    return loss


def soft_distance(data: PreparedData, *, temperature: float) -> Loss:
    """(targets, teacher's outputs, student's outputs) -> how far the student is from the teacher.

    For classes and labels it is temperature² times the Kullback-Leibler divergence between the softened answers, of each step that counts
    or of each label; for values and reconstructions the squared difference. Targets are looked at only to leave steps out.
    """
    import tensorflow as tf

    unlabelled = data.task is Task.UNLABELLED
    shares = data.output_shape[-1] > 1 and not data.independent and data.task is not Task.MULTI_LABEL
    answers = data.task in (Task.CLASSIFICATION, Task.MULTI_LABEL, Task.PER_STEP) or (
        unlabelled and shares and not data.from_logits
    )

    def distance(targets: Any, wanted: Any, outputs: Any) -> Any:
        if not answers:
            return tf.reduce_mean(tf.math.squared_difference(outputs, wanted))
        student, teacher = (_logits(values, data, shares=shares) / temperature for values in (outputs, wanted))
        log_student, log_teacher = tf.nn.log_softmax(student), tf.nn.log_softmax(teacher)
        divergence = temperature**2 * tf.reduce_sum(tf.exp(log_teacher) * (log_teacher - log_student), axis=-1)
        if data.task is not Task.PER_STEP:
            return tf.reduce_mean(divergence)
        # A yes or no of its own for each class of a step: the step's weight counts for all of them.
        shape = tf.shape(divergence) if shares else tf.shape(divergence)[:-1]
        steps = divergence if shares else tf.reduce_mean(divergence, axis=-1)
        return _weighted_mean(steps, _counted(targets, shape))

    return distance


def _logits(outputs: Any, data: PreparedData, *, shares: bool) -> Any:
    """Logits over the classes (..., classes), or of yes and no for each output (..., outputs, 2)."""
    import tensorflow as tf

    values = outputs
    if not data.from_logits:
        clipped = tf.clip_by_value(outputs, SMALLEST_PROBABILITY, 1.0 - SMALLEST_PROBABILITY)
        values = tf.math.log(clipped) if shares else tf.math.log(clipped) - tf.math.log1p(-clipped)
    return values if shares else tf.stack([values, tf.zeros_like(values)], axis=-1)
