"""The cards of Start, and the way through the dashboard in four lines."""

from __future__ import annotations

from typing import Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

STEPS = (
    ("Bring", "a model and data. They are looked into without running anything in them, and the original is measured first."),
    (
        "Experiment",
        "with steps in any sensible order: prune, share weights, distill, quantize. Each says beforehand what it will do.",
    ),
    ("Compare", "size, latency and accuracy beside the original. Differences within the noise are called ties."),
    ("Take along", "the .tflite, its recipe and its report. The command line repeats every run."),
)


def card(place: DeltaGenerator, label: str, words: str, *, icon: str, primary: bool = False) -> bool:
    """A bordered card with one button; returns whether it was clicked. `words` is Markdown of ours, with names escaped."""
    kind: Literal["primary", "secondary"] = "primary" if primary else "secondary"
    with place.container(border=True, height=216, vertical_alignment="distribute", key=f"card-{label}"):
        with st.container(gap="xsmall"):
            st.subheader(label, anchor=False)
            st.markdown(words)
        return st.button(label, icon=icon, type=kind, width="stretch", key=f"start.{label}")


def draw_how_it_works() -> None:
    """Four columns, a verb each."""
    st.subheader("How it works", anchor=False)
    for number, (place, (verb, words)) in enumerate(zip(st.columns(len(STEPS), gap="medium"), STEPS, strict=True)):
        place.markdown(f"**{number + 1}  {verb}** {words}")
