"""The one fit loop that techniques share: seeded, cancellable, reporting, and holding earlier promises after each step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from optimizer.answers import ANSWERING, right_answers
from optimizer.context import Event, RunContext
from optimizer.errors import RunError
from optimizer.kernels import unwrapped
from optimizer.losses import Loss, imitation_loss, main_output, task_loss, with_other_outputs
from optimizer.model import Model
from optimizer.promises import Projection
from optimizer.sources.dataset import PreparedData, Task

VALIDATION_SAMPLES = 2_000
VALIDATION_BATCH = 250
REPORT_EVERY_S = 0.5
WARM_UP_FRACTION = 0.05
HOLD_UNTIL = 0.6
STATISTICS_FRACTION = 0.125


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long and how fast to train.

    The learning rate warms up over 5 % of the steps, holds, and falls to zero along a cosine over the last 40 %. On ResNet-8, holding
    is worth 5 points at 80 % sparsity over a cosine all the way; ending at zero is worth 8 points of QAT over a constant rate.
    """

    epochs: int
    batch_size: int
    learning_rate: float

    def steps(self, samples: int) -> int:
        """Number of optimizer steps over `samples` training samples."""
        return self.epochs * math.ceil(samples / self.batch_size)

    def learning_rate_at(self, step: int, steps: int) -> float:
        """Learning rate of one step; the fall is that of Loshchilov & Hutter 2017, arXiv 1608.03983."""
        warm_up, fall = max(1, int(steps * WARM_UP_FRACTION)), int(steps * HOLD_UNTIL)
        if step < warm_up:
            return self.learning_rate * (step + 1) / warm_up
        if step < fall:
            return self.learning_rate
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - fall) / max(1, steps - fall)))


def held_projections(model: Model, keras_model: Any) -> list[Projection]:
    """Projections that keep every promise of `model` on `keras_model` while it trains."""
    found = (promise.projection(keras_model) for promise in model.promises)
    return [projection for projection in found if projection is not None]


def fit(
    keras_model: Any,
    context: RunContext,
    schedule: Schedule,
    *,
    loss: Loss | None = None,
    projections: Sequence[Projection] = (),
) -> Mapping[str, float]:
    """Train `keras_model` in place on the training split.

    Args:
        keras_model: A built tf_keras.Model, wrapped or not; its own trainable flags are respected.
        context: Gives data, seed, cancellation and reports: "progress" twice a second, "metrics" once an epoch.
        schedule: Epochs, batch size, learning rate.
        loss: Replaces the task's own loss.
        projections: Run after every optimizer step, in order.

    Returns:
        The last epoch's means: loss, validation_loss and, where answers are right or wrong, validation_accuracy.

    Raises:
        Cancelled: someone asked the run to stop.
        RunError: NOT_FINITE when the loss stops being a number.
    """
    import tensorflow as tf

    data = context.data
    samples = len(data.dataset.train)
    total = schedule.steps(samples)
    loss = with_other_outputs(loss or _own_loss(context), context.original.keras, data)
    _quicken_moving_averages(keras_model, total)
    optimizer = tf.keras.optimizers.Adam(schedule.learning_rate)
    step_function = _training_step(keras_model, optimizer, loss, projections)
    judge = _validation_step(keras_model, loss)
    random = np.random.default_rng(context.seed)
    clock = _Clock(context, total)
    means: dict[str, float] = {}
    for epoch in range(schedule.epochs):
        order = random.permutation(samples)
        loss_sum = tf.zeros([])
        for inputs, targets in data.batches(data.dataset.train, schedule.batch_size, order):
            context.check_cancelled()
            optimizer.learning_rate.assign(schedule.learning_rate_at(clock.steps, total))
            loss_sum += step_function(tensors(inputs), tf.constant(targets)) * len(targets)
            clock.tick()
        means = {"loss": float(loss_sum) / samples, **_validate(judge, data)}
        _check_finite(means["loss"], epoch)
        context.report(Event(kind="metrics", data={"epoch": epoch + 1, "epochs": schedule.epochs, **means}))
    return means


def _own_loss(context: RunContext) -> Loss:
    """The loss of the task; where there are no labels, the original's outputs are what is right."""
    if context.data.task is Task.UNLABELLED:
        return imitation_loss(context.original.keras, context.data)
    return task_loss(context.data)


def _check_finite(loss: float, epoch: int) -> None:
    """Raises RunError NOT_FINITE; `epoch` counts from 0."""
    if not math.isfinite(loss):
        raise RunError(
            "The training loss is no longer a finite number",
            code="NOT_FINITE",
            place=f"epoch {epoch + 1}",
            received=f"loss {loss}",
            fix="Lower the learning rate, and check the value range of the inputs.",
        )


def _quicken_moving_averages(keras_model: Any, steps: int) -> None:
    """Let BatchNormalization's moving averages forget within an eighth of the training.

    Their usual momentum of 0.99 remembers 100 steps; a fine-tuning of 40 steps would end with statistics of the weights before it.
    """
    quickest = 1.0 - 1.0 / max(steps * STATISTICS_FRACTION, 2.0)
    for layer in keras_model.layers:
        inner = unwrapped(layer)
        if type(inner).__name__ == "BatchNormalization":
            inner.momentum = min(inner.momentum, quickest)


def tensors(inputs: Any) -> Any:
    """A batch as a tensor, or as a list of them for a model of several inputs."""
    import tensorflow as tf

    return [tf.constant(part) for part in inputs] if isinstance(inputs, list) else tf.constant(inputs)


def _training_step(keras_model: Any, optimizer: Any, loss: Loss, projections: Sequence[Projection]) -> Callable[[Any, Any], Any]:
    import tensorflow as tf

    optimizer.build(keras_model.trainable_variables)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(inputs: Any, targets: Any) -> Any:
        with tf.GradientTape() as tape:
            outputs = keras_model(inputs, training=True)
            value = loss(inputs, targets, outputs)
            penalized = tf.add_n([value, *keras_model.losses]) if keras_model.losses else value
        gradients = tape.gradient(penalized, keras_model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, keras_model.trainable_variables, strict=True))
        for projection in projections:
            projection()
        return value

    run: Callable[[Any, Any], Any] = step
    return run


def _validation_step(keras_model: Any, loss: Loss) -> Callable[[Any, Any], Any]:
    """(inputs, targets) -> (loss, outputs) in inference mode; traced once a fit, not once an epoch."""
    import tensorflow as tf

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(inputs: Any, targets: Any) -> Any:
        outputs = keras_model(inputs, training=False)
        return loss(inputs, targets, outputs), outputs

    run: Callable[[Any, Any], Any] = step
    return run


def _validate(judge: Callable[[Any, Any], Any], data: PreparedData) -> dict[str, float]:
    """Loss and accuracy on (at most 2,000 samples of) the validation split; shown while training, never as a result."""
    import tensorflow as tf

    split = data.dataset.validation
    number = min(len(split), VALIDATION_SAMPLES)
    if number == 0:
        return {}
    loss_sum, right, counted = 0.0, 0.0, 0.0
    for inputs, targets in data.batches(split, VALIDATION_BATCH, np.arange(number)):
        loss, outputs = judge(tensors(inputs), tf.constant(targets))
        loss_sum += float(loss) * len(targets)
        if data.task in ANSWERING:
            hits, answers = right_answers(main_output(outputs, data).numpy(), targets, data)
            right, counted = right + float(hits.sum()), counted + float(answers.sum())
    means = {"validation_loss": loss_sum / number}
    if counted:
        means["validation_accuracy"] = right / counted
    return means


class _Clock:
    """Counts steps and reports the fraction done and the time left, at most twice a second."""

    def __init__(self, context: RunContext, total: int) -> None:
        self.steps = 0
        self._context = context
        self._total = max(total, 1)
        self._last = time.monotonic()
        self._after_first = self._last

    def tick(self) -> None:
        self.steps += 1
        now = time.monotonic()
        if self.steps == 1:
            # The first step traces and compiles; it says nothing about the steps to come.
            self._after_first = now
        if now - self._last < REPORT_EVERY_S and self.steps < self._total:
            return
        self._last = now
        pace = (now - self._after_first) / max(self.steps - 1, 1)
        left = pace * (self._total - self.steps) if self.steps > 1 else None
        self._context.report(Event(kind="progress", data={"fraction": self.steps / self._total, "seconds_left": left}))
