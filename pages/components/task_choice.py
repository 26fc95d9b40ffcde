"""What the model is for: what was understood, and the way to say otherwise where the file does not tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from optimizer.sources.dataset import TASK_WORDS, Task
from optimizer.titles import in_words

AUTO = "auto"
NAMES = {task.value: in_words(task.value) for task in Task}


def draw_task_choice(source: Mapping[str, Any], understood: str | None, choose: Callable[[Mapping[str, Any]], None]) -> None:
    """A box with the task that the data are read for.

    Args:
        source: The data source that the box changes.
        understood: The task that was found or chosen, None where the data could not be matched to the model.
        choose: Reads the data again, with the source that names another task.
    """
    current = str(source.get("task") or AUTO)
    options = [AUTO, *(task.value for task in Task)]
    chosen = st.selectbox(
        "What is the model for?",
        options,
        index=options.index(current) if current in options else 0,
        format_func=lambda name: task_text(name, understood if current == AUTO else None),
        # Another file or another answer is another box: what was chosen for one file must not stick to the next.
        key=f"task.{source.get('sha256') or source.get('bundled')}.{current}",
        help="It decides the loss of every training step and the metric of every chart. Litesmith goes by shapes, labels, the output's "
        "activation and the loss that the model was compiled with; choose it where these do not tell.",
    )
    if chosen != current:
        choose({**source, "task": chosen})


def task_text(name: str, understood: str | None) -> str:
    """An option in words, e.g. "multi-label: any number of labels a sample, yes or no for each"."""
    if name == AUTO:
        return f"found by itself: {NAMES.get(understood, understood)}" if understood else "found by itself"
    return f"{NAMES[name]}: {TASK_WORDS[Task(name)]}"
