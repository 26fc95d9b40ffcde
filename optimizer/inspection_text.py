"""What `python -m optimizer inspect` prints: the model, the grid of layers and techniques, and the reasons."""

from __future__ import annotations

from optimizer.errors import printable
from optimizer.grid import Grid, Reason, reach_in_words
from optimizer.sources.summary import ModelSummary, Verdict

MARKS = {Verdict.WORKS: "works", Verdict.LEFT: "left", Verdict.IMPOSSIBLE: "impossible"}
MOST_NAMES = 6
MOST_NAME_LENGTH = 36


def inspection_in_words(model: ModelSummary, grid: Grid) -> str:
    """Plain text of several lines."""
    macs = "unknown" if model.macs is None else f"{model.macs:,}"
    version = f" of Keras {printable(model.keras_version)}, translated into tf-keras" if model.keras_version else ""
    lines = [
        f"{printable(model.name)}: accepted ({model.format}{version}, {model.size_bytes:,} bytes)",
        f"{len(model.layers)} layers, {model.parameters:,} parameters, {macs} MACs",
        f"inputs {list(model.input_shapes)}, outputs {list(model.output_shapes)}, ends in {model.output_activation}",
        *(printable(note) for note in model.notes),
        "",
        *_table(model, grid),
        "",
        *(f"{name}: {reach_in_words(found.values(), model)}" for name, found in grid.findings.items()),
        "",
        *(_reason(reason) for reason in grid.reasons()),
    ]
    cautions = {"this model": grid.model_cautions, **grid.cautions}
    told = [f"{name}: {printable(text, 400)}" for name, texts in cautions.items() for text in texts]
    return "\n".join([*lines, *(["", "No smaller, no faster:"] if told else []), *told])


def _table(model: ModelSummary, grid: Grid) -> list[str]:
    width = min(MOST_NAME_LENGTH, max((len(name) for name in grid.layers), default=5))
    techniques = list(grid.findings)
    rows = [f"{'layer':<{width}}  {'class':<22}  {'parameters':>11}  {'MACs':>13}  " + "  ".join(techniques)]
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
