"""Knowledge distillation with soft targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optimizer.context import RunContext
from optimizer.environment import Host
from optimizer.errors import InputError
from optimizer.model import Model, copy_of
from optimizer.promises import SameInterface
from optimizer.sources.dataset import PreparedData, Task
from optimizer.sources.summary import Finding, ModelSummary, Verdict
from optimizer.surgery.narrowing import WIDTH_SETTING, narrower_copy
from optimizer.technique import SizeEstimate, Technique, layer_findings, param, technique
from optimizer.training import Loss, Schedule, fit, held_projections, task_loss

SMALLEST_PROBABILITY = 1e-7


@technique("knowledge_distillation", family="distillation")
class KnowledgeDistillation(Technique):
    """Train a student on what a teacher says of each sample, not only on the label.

    Use it to make a smaller model, or to bring back accuracy that pruning or clustering cost: then the student is the model itself and the
    original is the teacher. Hinton, Vinyals & Dean 2015, arXiv 1503.02531: the soft targets' loss is scaled by the temperature squared.
    """

    student: str = param(
        "itself",
        choices=("itself", "second_model", "narrower_copy"),
        help="Who learns: the model as it stands, the second model that you brought, or a copy with fewer channels, trained from scratch.",
    )
    teacher: str = param(
        "original",
        choices=("original", "second_model"),
        help="Who teaches: the model as it came, or the second model that you brought.",
    )
    width_factor: float = param(
        0.5, low=0.1, high=1.0, step=0.05, primary=True, help="Channels of a narrower copy, as a fraction of the model's."
    )
    temperature: float = param(
        4.0,
        low=1.0,
        high=20.0,
        step=0.5,
        primary=True,
        help="How soft the teacher's answers are; higher shows more of what it finds similar.",
    )
    alpha: float = param(0.7, low=0.0, high=1.0, step=0.05, help="Weight of the teacher's answers; the labels get the rest.")
    epochs: int = param(
        5, low=1, high=500, primary=True, help="Passes over the training data; a student from scratch needs many."
    )
    learning_rate: float = param(1e-3, low=1e-6, high=0.1, help="Peak learning rate of Adam; it falls along a cosine.")
    batch_size: int = param(64, low=1, high=4096, help="Training samples a step.")

    def in_words(self) -> str:
        """The step in a few words."""
        if self.student == "narrower_copy":
            return f"distill to {self.width_factor:.0%} width".replace("%", " %")
        return "distill" if self.student == "itself" else "distill to the second model"

    def estimate(self, size: SizeEstimate) -> SizeEstimate:
        """Parameters fall with the square of the width."""
        if self.student != "narrower_copy":
            return size
        return SizeEstimate(parameters=size.parameters * self.width_factor**2, stored_bits=size.stored_bits)

    def validate(self) -> None:
        """The second model cannot teach itself."""
        if self.student == self.teacher == "second_model":
            raise InputError(
                "`student` and `teacher` of knowledge_distillation cannot both be second_model",
                code="BAD_SETTING",
                fix='Set teacher to "original".',
            )

    def refusal_after(self, earlier: Sequence[Technique]) -> str:
        """A new student has none of what earlier steps did."""
        if any(step.name == "quantization_aware_training" for step in earlier):
            return "the model is already prepared for quantization; distill before quantization_aware_training"
        if self.student != "itself" and earlier:
            return f"a new student keeps nothing of {earlier[-1].name}; put knowledge_distillation first, or let the student be the model itself"
        return ""

    def check(self, model: ModelSummary) -> list[Finding]:
        """All layers of a student train; a narrower copy changes those with a width."""
        outputs = set(model.output_layers)

        def finding(layer: Any) -> Finding:
            if self.student == "narrower_copy" and layer.class_name not in WIDTH_SETTING:
                return Finding(layer=layer.name, verdict=Verdict.WORKS, reason="follows the width of the layers before it")
            if self.student == "narrower_copy" and layer.name in outputs:
                return Finding(layer=layer.name, verdict=Verdict.LEFT, reason="keeps its width, since it makes the output")
            return Finding(layer=layer.name, verdict=Verdict.WORKS)

        return list(layer_findings(model, finding))

    def cautions(self, model: ModelSummary, host: Host) -> list[str]:
        """Only a smaller student makes a smaller file."""
        if self.student == "itself":
            return ["Not smaller and not faster: the student has the teacher's layers; it may win back accuracy."]
        return []

    def apply(self, model: Model, context: RunContext) -> Model:
        """Make the student, train it on teacher and labels."""
        teacher = context.original if self.teacher == "original" else _second_model(context)
        student = self._student(model, context)
        data = context.data
        plan = Schedule(epochs=self.epochs, batch_size=self.batch_size, learning_rate=self.learning_rate)
        loss = distillation_loss(teacher.keras, data, temperature=self.temperature, alpha=self.alpha)
        projections = held_projections(model, student) if self.student == "itself" else []
        fit(student, context, plan, loss=loss, projections=projections)
        promise = SameInterface(technique=self.name, input_shape=data.input_shape, output_shape=data.output_shape)
        return model.changed(keras=student, promises=(promise,))

    def _student(self, model: Model, context: RunContext) -> Any:
        if self.student == "itself":
            return copy_of(model.keras)
        if self.student == "second_model":
            return copy_of(_second_model(context).keras)
        shapes = {"input_shape": context.data.input_shape, "output_shape": context.data.output_shape}
        return narrower_copy(model.keras, self.width_factor, **shapes)


def _second_model(context: RunContext) -> Model:
    if context.second_model is None:
        raise InputError(
            "The recipe names a second model, but none was brought",
            code="NO_SECOND_MODEL",
            place="knowledge_distillation",
            fix="Upload one on Model & Data, or pass --second-model FILE on the command line.",
        )
    wanted = context.data.input_shape, context.data.output_shape
    keras = context.second_model.keras
    found = tuple(keras.input_shape[1:]), tuple(keras.output_shape[1:])
    if found != wanted:
        raise InputError(
            "The second model does not take and give what the model does",
            code="MODELS_DIFFER",
            place="knowledge_distillation",
            expected=f"inputs {wanted[0]}, outputs {wanted[1]}",
            received=f"inputs {found[0]}, outputs {found[1]}",
            fix="Bring a second model for the same data and classes.",
        )
    return context.second_model


def distillation_loss(teacher: Any, data: PreparedData, *, temperature: float, alpha: float) -> Loss:
    """`alpha` times the soft targets' loss plus `1 - alpha` times the task's.

    For a classifier the soft loss is temperature² times the Kullback-Leibler divergence between the softened answers; for regression and
    reconstruction it is the squared difference from the teacher's output. Without labels the soft loss stands alone.
    """
    import tensorflow as tf

    labelled = data.task is not Task.UNLABELLED
    hard = task_loss(data) if labelled else None
    classifier = data.task is Task.CLASSIFICATION or (not labelled and data.output_shape[-1] > 1 and not data.from_logits)
    binary = data.output_shape[-1] == 1

    def logits(outputs: Any) -> Any:
        if data.from_logits:
            return outputs
        clipped = tf.clip_by_value(outputs, SMALLEST_PROBABILITY, 1.0 - SMALLEST_PROBABILITY)
        return tf.math.log(clipped) - tf.math.log1p(-clipped) if binary else tf.math.log(clipped)

    def soft(outputs: Any, wanted: Any) -> Any:
        if not classifier:
            return tf.reduce_mean(tf.math.squared_difference(outputs, wanted))
        student, target = logits(outputs) / temperature, logits(wanted) / temperature
        if binary:
            student, target = (tf.concat([z, tf.zeros_like(z)], axis=-1) for z in (student, target))
        log_student, log_target = tf.nn.log_softmax(student), tf.nn.log_softmax(target)
        divergence = tf.reduce_sum(tf.exp(log_target) * (log_target - log_student), axis=-1)
        return temperature**2 * tf.reduce_mean(divergence)

    def loss(inputs: Any, targets: Any, outputs: Any) -> Any:
        softness = soft(outputs, tf.stop_gradient(teacher(inputs, training=False)))
        return softness if hard is None else alpha * softness + (1 - alpha) * hard(inputs, targets, outputs)

    return loss
