"""A copy of a model with fewer channels, freshly initialized: the student of a distillation."""

from __future__ import annotations

from typing import Any

from optimizer.errors import RunError
from optimizer.promises import given_shape
from optimizer.surgery.rebuilding import rebuilt

WIDTH_SETTING = {
    "Dense": "units",
    "Conv1D": "filters",
    "Conv2D": "filters",
    "Conv3D": "filters",
    "Conv1DTranspose": "filters",
    "Conv2DTranspose": "filters",
    "Conv3DTranspose": "filters",
    "SeparableConv1D": "filters",
    "SeparableConv2D": "filters",
    "LSTM": "units",
    "GRU": "units",
    "SimpleRNN": "units",
}
MULTIPLE = 4
"""Channel counts are rounded to a multiple of this where the layer is wide enough: odd counts undo what narrowing gains in speed."""


def narrowed_width(width: int, factor: float) -> int:
    """`width * factor`, at least one, rounded to the nearest multiple of 4 where that is possible."""
    narrow = width * factor
    return max(MULTIPLE, round(narrow / MULTIPLE) * MULTIPLE) if width >= 2 * MULTIPLE else max(1, round(narrow))


def narrower_copy(keras_model: Any, factor: float, *, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> Any:
    """A model of the same layers with about `factor` times the channels in each inner one and the same inputs and outputs.

    Raises:
        RunError: NOT_NARROWABLE where the architecture fixes a width elsewhere (a Reshape, an addition with the input, grouped channels).
    """
    if not getattr(keras_model, "_is_graph_network", False):
        raise _refusal("it is not a sequential or functional model")
    fixed = _layers_of_output_width(keras_model)

    def make(layer: Any, name: str) -> Any:
        config = {**layer.get_config(), "name": name}
        setting = WIDTH_SETTING.get(type(layer).__name__)
        if setting and name not in fixed:
            config[setting] = narrowed_width(config[setting], factor)
        return type(layer).from_config(config)

    try:
        student = rebuilt(keras_model, make)
    except (ValueError, TypeError) as error:
        raise _refusal(str(error)) from error
    if given_shape(student.inputs) != input_shape or given_shape(student.outputs) != output_shape:
        raise _refusal(f"the copy would give outputs of shape {given_shape(student.outputs)}")
    return student


def _layers_of_output_width(keras_model: Any) -> set[str]:
    """Names of the layers that set the outputs' width: walk back from the outputs through layers that keep widths."""
    fixed: set[str] = set()
    open_layers = list(getattr(keras_model, "_output_layers", None) or [keras_model.layers[-1]])
    while open_layers:
        layer = open_layers.pop()
        if layer.name in fixed:
            continue
        fixed.add(layer.name)
        if type(layer).__name__ in WIDTH_SETTING:
            continue
        for node in layer.inbound_nodes:
            before = node.inbound_layers
            open_layers.extend(before if isinstance(before, list) else [before])
    return fixed


def _refusal(reason: str) -> RunError:
    return RunError(
        "A narrower copy of this model cannot be made by scaling its layers",
        code="NOT_NARROWABLE",
        received=reason,
        fix="Bring the student as a second model, or let the student be the model itself.",
    )
