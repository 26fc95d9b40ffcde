"""The preflight grid: layer by technique, in colours and words, with the reasons and what will be no smaller or no faster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from optimizer.grid import Grid, Reason, reach_in_words, technique_grid
from optimizer.sources.summary import ModelSummary, Verdict
from optimizer.titles import title
from pages.components import palette
from pages.components.format import literal
from pages.components.html_table import row, table, text_cell

MARKS = {Verdict.WORKS: "● works", Verdict.LEFT: "○ left as it is", Verdict.IMPOSSIBLE: "✕ impossible"}
QUESTION = "What can each technique do with each layer?"
MOST_NAMES = 4


def draw_grid(model: ModelSummary) -> None:
    """Draw it for all techniques with their default settings."""
    grid = technique_grid(model)
    st.subheader(QUESTION, anchor=False)
    st.html(_grid_table(grid))
    reach = (f"{title(name)}: {reach_in_words(found.values(), model)}" for name, found in grid.findings.items())
    st.caption(literal(". ".join(reach) + ".", 1000))
    reasons: dict[str, list[str]] = {title(name): [] for name in grid.findings}
    for reason in grid.reasons():
        reasons[title(reason.technique)].append(_words(reason))
    _draw_lines("Why are some layers treated in another way?", reasons)
    cautions = {"This model": grid.model_cautions} | {title(name): texts for name, texts in grid.cautions.items()}
    _draw_lines("What will be no smaller or no faster, and why?", cautions)


def _grid_table(grid: Grid) -> str:
    """The grid as HTML: colours and words say the same."""
    rows = [row(layer, [_cell(grid.verdict(name, layer)) for name in grid.findings]) for layer in grid.layers]
    return table(QUESTION, ["Layer", *map(title, grid.findings)], rows)


def _cell(verdict: Verdict | None) -> str:
    return (
        text_cell("–") if verdict is None else text_cell(MARKS[verdict], background=palette.VERDICTS[verdict.value], whole=True)
    )


def _words(reason: Reason) -> str:
    verdict = "" if reason.verdict is Verdict.WORKS else reason.verdict.value
    told = ": ".join(filter(None, (verdict, reason.reason)))
    more = f" and {len(reason.layers) - MOST_NAMES} more" if len(reason.layers) > MOST_NAMES else ""
    return f"{', '.join(reason.layers[:MOST_NAMES])}{more}: {told}{'. ' + reason.fix if reason.fix else '.'}"


def _draw_lines(question: str, told: Mapping[str, Sequence[str]]) -> None:
    """A heading and, for each technique that has something to say, its lines."""
    if not any(told.values()):
        return
    st.markdown(f"**{question}**")
    with st.container(gap="xsmall"):
        for name, texts in told.items():
            if texts:
                left, right = st.columns([1, 5], gap="small")
                left.caption(literal(name))
                right.markdown("  \n".join(literal(text, 500) for text in texts))
