"""What was understood of the data: task, classes, shapes, range against what the model expects, balance, samples, splits."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from optimizer.errors import printable
from pages.components.format import count_text, counted, literal
from pages.components.task_choice import NAMES

_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
MOST_CLASSES = 40
SPLIT_WORDS = {
    "train": ("Train", "fine-tuning learns from these"),
    "calibration": ("Calibration", "part of train; ranges of activations"),
    "validation": ("Validation", "choices within a run"),
    "test": ("Test", "only the final measurement sees these"),
}


def draw_data(data: Mapping[str, Any]) -> None:
    """The project's data, from the JSON of `inspect_data`."""
    st.markdown(f"**{literal(data.get('name', 'data'))}**")
    splits: Mapping[str, int] = data.get("splits") or {}
    for place, (name, (label, words)) in zip(st.columns(4), SPLIT_WORDS.items(), strict=True):
        place.metric(label, count_text(splits.get(name)), help=words[:1].upper() + words[1:])
    with st.container(gap="xxsmall"):
        for line in data_lines(data):
            st.markdown(f":green[:material/check:] {literal(line, 300)}")
        for note in data.get("notes") or ():
            st.markdown(f":orange[:material/info:] {literal(note, 300)}")
    _draw_preview(data.get("preview") or ())
    _draw_balance(data.get("class_balance") or ())


def data_lines(data: Mapping[str, Any]) -> list[str]:
    """What was understood, a plain sentence each."""
    lines = []
    if data.get("task"):
        lines.append(f"Task: {_task_line(data)}")
    for part in data.get("inputs") or ():
        sizes = " × ".join(map(str, part.get("shape") or ())) or "one number"
        lines.append(f"Input {part.get('name', '')}: {sizes}, {part.get('dtype', '')}")
    shape = " × ".join(map(str, data.get("sample_shape") or ())) or "one number"
    if not data.get("inputs"):
        lines.append(f"Samples: {data.get('kind', 'arrays')} of {shape}, {data.get('dtype', '')}".rstrip(", "))
    if data.get("value_range"):
        lines.append(f"Values in the data: {data['value_range']}")
    if data.get("expects"):
        lines.append(f"Values that the model takes: {data['expects']}")
    return lines


def _task_line(data: Mapping[str, Any]) -> str:
    classes, task = data.get("class_names") or (), str(data["task"])
    if task == "classification" or not data.get("task_words"):
        return task + (f" into {counted(len(classes), 'class').replace('classs', 'classes')}" if classes else "")
    count = f" ({len(classes)})" if classes and task in ("multi_label", "per_step") else ""
    return f"{NAMES.get(task, task)}{count}: {data['task_words']}"


def _draw_preview(samples: Sequence[Mapping[str, Any]]) -> None:
    figures = "".join(figure for sample in samples if (figure := _figure(sample)))
    if figures:
        # Names are escaped and pictures are checked to be base64: nothing from a file can become markup.
        st.html(f'<div class="samples">{figures}</div>')
    rows = [sample for sample in samples if sample.get("row")]
    if rows:
        columns: dict[str, list[Any]] = {"Label": [str(sample.get("label") or "") for sample in rows]}
        for number in range(max(len(sample["row"]) for sample in rows)):
            columns[f"x{number}"] = [sample["row"][number] if number < len(sample["row"]) else None for sample in rows]
        st.dataframe(columns, hide_index=True, height=220)


def _figure(sample: Mapping[str, Any]) -> str:
    image = sample.get("image")
    if not isinstance(image, str) or not _BASE64.fullmatch(image):
        return ""
    label = html.escape(printable(sample.get("label") or "", 24))
    return f'<figure><img src="data:image/png;base64,{image}" alt="{label}"><figcaption>{label}</figcaption></figure>'


def _draw_balance(balance: Sequence[Mapping[str, Any]]) -> None:
    if not balance:
        return
    most = max(1, *(int(record.get("total", 0)) for record in balance))
    with st.expander(f"How balanced are the {len(balance)} classes?", expanded=len(balance) <= 12):
        st.dataframe(
            {
                "Class": [str(record.get("class", "")) for record in balance],
                "Samples": [int(record.get("total", 0)) for record in balance],
                **{SPLIT_WORDS[name][0]: [int(record.get(name, 0)) for record in balance] for name in ("train", "test")},
            },
            hide_index=True,
            height="content" if len(balance) <= 12 else 420,
            column_config={"Samples": st.column_config.ProgressColumn(min_value=0, max_value=most, format="%d")},
        )
