"""Knowledge distillation with soft targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from optimizer.context import RunContext
from optimizer.environment import Host
from optimizer.errors import InputError
from optimizer.losses import Loss, main_output, soft_distance, task_loss
from optimizer.model import Model, copy_of
from optimizer.promises import SameInterface, given_shape
from optimizer.size_estimate import SizeEstimate
from optimizer.sources.dataset import PreparedData, Task
from optimizer.sources.summary import Finding, ModelSummary, Verdict
from optimizer.surgery.narrowing import WIDTH_SETTING, narrower_copy
from optimizer.technique import Technique, layer_findings, param, technique
from optimizer.training import Schedule, fit, held_projections


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
        return replace(size, parameters=size.parameters * self.width_factor**2)

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
        takes, gives = interface_of(context.original.keras, data)
        promise = SameInterface(technique=self.name, input_shape=takes, output_shape=gives)
        return model.changed(keras=student, promises=(promise,))

    def _student(self, model: Model, context: RunContext) -> Any:
        if self.student == "itself":
            return copy_of(model.keras)
        if self.student == "second_model":
            return copy_of(_second_model(context).keras)
        takes, gives = interface_of(model.keras, context.data)
        return narrower_copy(model.keras, self.width_factor, input_shape=takes, output_shape=gives)


def interface_of(keras_model: Any, data: PreparedData) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shapes that a student must take and give: those of the data, or of all inputs and outputs together where there are several."""
    takes = given_shape(keras_model.inputs) if data.joined else data.input_shape
    return takes, given_shape(keras_model.outputs) if data.output_count > 1 else data.output_shape


def _second_model(context: RunContext) -> Model:
    if context.second_model is None:
        raise InputError(
            "The recipe names a second model, but none was brought",
            code="NO_SECOND_MODEL",
            place="knowledge_distillation",
            fix="Upload one on Model & Data, or pass --second-model FILE on the command line.",
        )
    wanted = interface_of(context.original.keras, context.data)
    found = given_shape(context.second_model.keras.inputs), given_shape(context.second_model.keras.outputs)
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
    """`alpha` times the distance from the teacher's softened answers plus `1 - alpha` times the task's loss; without labels the distance alone."""
    import tensorflow as tf

    hard = None if data.task is Task.UNLABELLED else task_loss(data)
    distance = soft_distance(data, temperature=temperature)

    def loss(inputs: Any, targets: Any, outputs: Any) -> Any:
        softness = distance(targets, tf.stop_gradient(main_output(teacher(inputs, training=False), data)), outputs)
        return softness if hard is None else alpha * softness + (1 - alpha) * hard(inputs, targets, outputs)

    return loss
