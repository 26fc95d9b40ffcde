"""The preflight grid: layer by technique, in colours and words, with the reasons and what will be no smaller or no faster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from optimizer.grid import Grid, Reason, technique_grid
from optimizer.sources.summary import ModelSummary, Verdict
from pages.components import palette
from pages.components.format import literal
from pages.components.recipe_draft import title

MARKS = {Verdict.WORKS: "● works", Verdict.LEFT: "○ left as it is", Verdict.IMPOSSIBLE: "✕ impossible"}
ABSENT = "–"
MOST_NAMES = 4
MOST_HEIGHT_PX = 470
MOST_ROWS = 12


def draw_grid(model: ModelSummary) -> None:
    """Draw it for all techniques with their default settings."""
    grid = technique_grid(model)
    st.subheader("What can each technique do with each layer?", anchor=False)
    _draw_table(grid, model.sha256[:12])
    reasons: dict[str, list[str]] = {title(name): [] for name in grid.findings}
    for reason in grid.reasons():
        reasons[title(reason.technique)].append(_words(reason))
    _draw_lines("Why are some layers treated in another way?", reasons)
    cautions = {"This model": grid.model_cautions} | {title(name): texts for name, texts in grid.cautions.items()}
    _draw_lines("What will be no smaller or no faster, and why?", cautions)


def _draw_table(grid: Grid, key: str) -> None:
    table = pd.DataFrame(
        {title(name): [_mark(grid, name, layer) for layer in grid.layers] for name in grid.findings},
        index=pd.Index(grid.layers, name="Layer"),
    )
    st.dataframe(
        table.style.map(_colour), height="content" if len(grid.layers) <= MOST_ROWS else MOST_HEIGHT_PX, key=f"grid.{key}"
    )


def _mark(grid: Grid, technique: str, layer: str) -> str:
    verdict = grid.verdict(technique, layer)
    return ABSENT if verdict is None else MARKS[verdict]


def _colour(mark: str) -> str:
    for verdict, text in MARKS.items():
        if mark == text:
            return f"background-color: {palette.VERDICTS[verdict.value]}"
    return ""


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
