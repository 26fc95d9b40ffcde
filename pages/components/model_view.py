"""What is in the model: verdict of the preflight, numbers, layers with their shares."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from optimizer.runs.run import Project
from optimizer.sources.summary import ModelSummary, Shape, model_summary_from_json
from pages.components.format import bytes_text, count_text, counted, literal
from pages.components.html_table import bar_cell, row, table, text_cell

FORMAT_WORDS = {
    "saved_model": "zipped SavedModel; it can be converted and quantized, but not trained further",
    "tflite": ".tflite, measured as it is; it can be quantized where it is float, but not trained further",
}


def draw_model(project: Project) -> None:
    """The project's model; the project must have one."""
    record = project.model or {}
    model = model_summary_from_json(record)
    st.markdown(f"**{literal(model.name)}**")
    parameters, macs, size = st.columns(3)
    parameters.metric("Parameters", count_text(model.parameters))
    macs.metric("MACs, one sample", count_text(model.macs))
    size.metric("Model file", bytes_text(model.size_bytes))
    _draw_checks(model, str(record.get("expects") or ""))
    _draw_layers(model)


def _draw_checks(model: ModelSummary, expects: str) -> None:
    inputs = _named(model.input_names, [shape_text(shape) for shape in model.input_shapes])
    outputs = _named(model.names_of_outputs, ["unknown" if shape is None else shape_text(shape) for shape in model.output_shapes])
    lines = [
        f"Format: {format_text(model)}",
        f"Safe to load: {_safety(model)}",
        f"Takes {inputs}, gives {outputs} ({model.output_activation})",
    ]
    if expects:
        lines.append(f"Input values: {expects}")
    with st.container(gap="xxsmall"):
        for line in lines:
            st.markdown(f":green[:material/check:] {literal(line, 300)}")
        for note in model.notes:
            st.markdown(f":orange[:material/info:] {literal(note, 300)}")


def _named(names: Sequence[str], shapes: Sequence[str]) -> str:
    """Shapes, with their names where there are several; summaries stored by earlier versions may have no names."""
    if len(shapes) == 1:
        return shapes[0]
    if len(names) != len(shapes):
        return ", ".join(shapes)
    return ", ".join(f"{name} ({shape})" for name, shape in zip(names, shapes, strict=True))


def _safety(model: ModelSummary) -> str:
    weighted = sum(1 for layer in model.layers if layer.parameters)
    if model.format == "saved_model":
        return f"its ops only compute, none touches files or the network; {weighted} of them use the variables"
    if model.format == "tflite":
        operators = sum(1 for layer in model.layers if layer.class_name != "InputLayer")
        return f"{counted(operators, 'operator')} ({weighted} with weights), all of them LiteRT's own"
    return f"{counted(len(model.layers), 'layer')} ({weighted} with weights), all of known classes, none holds code"


def format_text(model: ModelSummary) -> str:
    """What wrote the file: ".keras of tf-keras", ".h5 of Keras 3.15.1, translated into tf-keras"."""
    if model.keras_version:
        return f".{model.format} of Keras {model.keras_version}, translated into tf-keras; architecture and weights are both there and fit each other"
    return (
        FORMAT_WORDS.get(model.format)
        or f".{model.format} of tf-keras, architecture and weights are both there and fit each other"
    )


def shape_text(shape: Shape) -> str:
    """A shape without its batch axis: "28 × 28 × 1"; an open axis is "any"."""
    return " × ".join("any" if length is None else str(length) for length in shape[1:]) or "one number"


def _draw_layers(model: ModelSummary) -> None:
    parameters, macs = max(1, model.parameters), max(1, model.macs or 1)
    rows = [
        row(
            layer.name,
            [
                text_cell(layer.class_name),
                text_cell("–" if layer.output_shape is None else shape_text(layer.output_shape), whole=True),
                bar_cell(f"{layer.parameters:,}", layer.parameters / parameters),
                bar_cell("–" if layer.macs is None else count_text(layer.macs), (layer.macs or 0) / macs),
            ],
        )
        for layer in model.layers
    ]
    st.html(table("Layers", ["Layer", "Class", "Output", "Parameters", "MACs"], rows, numbers=2))
