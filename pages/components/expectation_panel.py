"""The panel "What this will do": size, time, layers, and why a draft cannot run."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from optimizer.environment import this_host
from optimizer.grid import reach_in_words
from optimizer.recipe import Recipe
from optimizer.runs.run import Run
from optimizer.size_estimate import estimate_file
from optimizer.sources.summary import ModelSummary
from optimizer.titles import in_words, title
from pages.components.expected import error_words, exception_words, exceptions, expected_seconds, size_words, time_words
from pages.components.format import counted, literal


def draw_expectation(recipe: Recipe, model: ModelSummary, baseline: Run | None, earlier: Sequence[Run]) -> None:
    """Say what the recipe will do; nothing is run for it."""
    size = estimate_file(recipe, model, baseline.metrics if baseline else None)
    _line("Recipe", recipe.in_words())
    _line("Size", size_words(size), error_words() if recipe.steps else "")
    _line("Time", time_words(expected_seconds(recipe, earlier)))
    findings = [(step, step.check(model)) for step in recipe.steps]
    reach = [f"{title(step.name)}: {reach_in_words(verdicts, model)}" for step, verdicts in findings]
    _line("Layers", "\n".join(reach) or "none is changed")
    told = [(step, finding) for step, verdicts in findings for finding in exceptions(verdicts)]
    if told:
        layers = len({finding.layer for _, finding in told})
        with st.expander(f"{counted(layers, 'layer')} {'is' if layers == 1 else 'are'} treated in another way: why?"):
            st.dataframe(
                {
                    "Layer": [finding.layer for _, finding in told],
                    "What and why": [exception_words(finding) for _, finding in told],
                    "Step": [in_words(step.name) for step, _ in told],
                },
                hide_index=True,
                height="content" if len(told) < 8 else 290,
                column_config={
                    "Layer": st.column_config.TextColumn(width=74),
                    "What and why": st.column_config.TextColumn(width=340),
                },
            )
    cautions = [f"{title(step.name)}: {text}" for step in recipe.steps for text in step.cautions(model, this_host())]
    if cautions:
        st.caption("  \n".join(literal(text, 500) for text in dict.fromkeys(cautions)))


def _line(name: str, text: str, remark: str = "") -> None:
    left, right = st.columns([1, 3.4], gap="small")
    left.caption(name)
    small = f"  \n:small[:gray[{literal(remark, 200)}]]" if remark else ""
    right.markdown("  \n".join(literal(line, 300) for line in text.split("\n")) + small)
