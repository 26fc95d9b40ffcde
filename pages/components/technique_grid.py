"""The preflight grid: layer by technique, in colours and words, with the reasons and what will be no smaller or no faster."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence

import streamlit as st

from optimizer.errors import printable
from optimizer.grid import Grid, Reason, reach_in_words, technique_grid
from optimizer.sources.summary import ModelSummary, Verdict
from optimizer.titles import title
from pages.components import palette
from pages.components.format import literal

MARKS = {Verdict.WORKS: "● works", Verdict.LEFT: "○ left as it is", Verdict.IMPOSSIBLE: "✕ impossible"}
QUESTION = "What can each technique do with each layer?"
MOST_NAMES = 4


def draw_grid(model: ModelSummary) -> None:
    """Draw it for all techniques with their default settings."""
    grid = technique_grid(model)
    st.subheader(QUESTION, anchor=False)
    st.html(_table(grid))
    reach = (f"{title(name)}: {reach_in_words(found.values(), model)}" for name, found in grid.findings.items())
    st.caption(literal(". ".join(reach) + ".", 1000))
    reasons: dict[str, list[str]] = {title(name): [] for name in grid.findings}
    for reason in grid.reasons():
        reasons[title(reason.technique)].append(_words(reason))
    _draw_lines("Why are some layers treated in another way?", reasons)
    cautions = {"This model": grid.model_cautions} | {title(name): texts for name, texts in grid.cautions.items()}
    _draw_lines("What will be no smaller or no faster, and why?", cautions)


def _table(grid: Grid) -> str:
    """The grid as HTML: names in full, for they wrap; colours and words say the same. Names are escaped."""
    heads = "".join(f"<th scope='col'>{html.escape(title(name))}</th>" for name in grid.findings)
    rows = "".join(f"<tr><th scope='row'>{_breakable(layer)}</th>{_cells(grid, layer)}</tr>" for layer in grid.layers)
    return (
        f"<div class='technique-grid' tabindex='0' role='region' aria-label='{QUESTION}'><table>"
        f"<thead><tr><th scope='col'>Layer</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _cells(grid: Grid, layer: str) -> str:
    verdicts = (grid.verdict(name, layer) for name in grid.findings)
    return "".join(
        "<td>–</td>" if each is None else f"<td style='background: {palette.VERDICTS[each.value]}'>{MARKS[each]}</td>"
        for each in verdicts
    )


def _breakable(layer: str) -> str:
    """A layer's name that may wrap after a slash, an underscore or a dot."""
    return re.sub(r"([/_.])", r"\1<wbr>", html.escape(printable(layer, 300)))


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
