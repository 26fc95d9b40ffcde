"""What `python -m optimizer inspect` prints: the model, the grid of layers and techniques, and the reasons."""

from __future__ import annotations

from collections.abc import Sequence

from optimizer.errors import printable
from optimizer.grid import Grid, Reason, reach_in_words
from optimizer.sources.scaling import expected_range_in_words
from optimizer.sources.summary import WHOLE_MODEL, ModelSummary, Shape, Verdict

MARKS = {Verdict.WORKS: "works", Verdict.LEFT: "left", Verdict.IMPOSSIBLE: "impossible"}
MOST_NAMES = 6
MOST_NAME_LENGTH = 36


def inspection_in_words(model: ModelSummary, grid: Grid) -> str:
    """Plain text of several lines."""
    macs = "unknown" if model.macs is None else f"{model.macs:,}"
    version = f" of Keras {printable(model.keras_version)}, translated into tf-keras" if model.keras_version else ""
    techniques = [name for name, found in grid.findings.items() if WHOLE_MODEL not in found]
    lines = [
        f"{printable(model.name)}: accepted ({model.format}{version}, {model.size_bytes:,} bytes)",
        f"{len(model.layers)} layers, {model.parameters:,} parameters, {macs} MACs",
        f"inputs {_ends(model.input_names, model.input_shapes)}, outputs {_ends(model.names_of_outputs, model.output_shapes)}, "
        f"ends in {model.output_activation}",
        f"input values: {printable(expected_range_in_words(model))}",
        *_arrays(model),
        *(printable(note) for note in model.notes),
        "",
        *_table(model, grid, techniques),
        "",
        *(f"{name}: {reach_in_words(grid.findings[name].values(), model)}" for name in techniques),
        *([""] if techniques else []),
        *(_reason(reason) for reason in grid.reasons()),
    ]
    cautions = {"this model": grid.model_cautions, **grid.cautions}
    told = [f"{name}: {printable(text, 400)}" for name, texts in cautions.items() for text in texts]
    return "\n".join([*lines, *(["", "No smaller, no faster:"] if told else []), *told])


def _ends(names: Sequence[str], shapes: Sequence[Shape | None]) -> str:
    """Shapes, with their names where there are several."""
    if len(shapes) == 1:
        return _shape(shapes[0])
    return ", ".join(f"{printable(name)} {_shape(shape)}" for name, shape in zip(names, shapes, strict=True))


def _shape(shape: Shape | None) -> str:
    """A shape with n for the number of samples: "(n, 28, 28, 1)"."""
    if not shape:
        return "of unknown shape" if shape is None else "()"
    axes = ["n" if shape[0] is None else str(shape[0]), *("any" if axis is None else str(axis) for axis in shape[1:])]
    return f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"


def _arrays(model: ModelSummary) -> list[str]:
    """What arrays of a data file are called for a model of several inputs or outputs."""
    inputs = ", ".join(f"x_train_{printable(name)}" for name in model.names_of_several_inputs)
    outputs = "" if len(model.output_shapes) == 1 else ", ".join(f"y_train_{printable(name)}" for name in model.names_of_outputs)
    return [
        *([f"data: an .npz with {inputs} (likewise x_test_...; or x_...)"] if inputs else []),
        *([f"labels: of the first output, or of the one that they name: {outputs}"] if outputs else []),
    ]


def _table(model: ModelSummary, grid: Grid, techniques: list[str]) -> list[str]:
    """Layers by those techniques that do not refuse the whole model."""
    width = min(MOST_NAME_LENGTH, max((len(name) for name in grid.layers), default=5))
    head = f"{'layer':<{width}}  {'class':<22}  {'parameters':>11}  {'MACs':>13}  " + "  ".join(techniques)
    rows = [head.rstrip()]
    layers = {layer.name: layer for layer in model.layers}
    for name in grid.layers:
        layer = layers[name]
        macs = "?" if layer.macs is None else f"{layer.macs:,}"
        verdicts = [grid.verdict(technique, name) for technique in techniques]
        marks = ["-" if verdict is None else MARKS[verdict] for verdict in verdicts]
        cells = "  ".join(f"{mark:<{len(technique)}}" for mark, technique in zip(marks, techniques, strict=True))
        rows.append(
            f"{printable(name, width):<{width}}  {layer.class_name:<22}  {layer.parameters:>11,}  {macs:>13}  {cells}".rstrip()
        )
    return rows


def _reason(reason: Reason) -> str:
    names = ", ".join(printable(name) for name in reason.layers[:MOST_NAMES])
    more = f" and {len(reason.layers) - MOST_NAMES} more" if len(reason.layers) > MOST_NAMES else ""
    told = ": ".join(filter(None, (reason.verdict.value, reason.reason)))
    return f"{reason.technique}: {told}{'. ' + reason.fix if reason.fix else ''} [{names}{more}]"
