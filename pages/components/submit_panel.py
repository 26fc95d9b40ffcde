"""Run, name, note, and the sweep over one setting."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Sequence
from typing import Any

import streamlit as st

from optimizer.errors import OptimizerError
from optimizer.recipe import Recipe
from optimizer.runs.requests import run_recipe, run_sweep
from optimizer.technique import Param, params
from optimizer.titles import in_words, title
from pages.components import session
from pages.components.format import counted, literal
from pages.components.guard import show_error
from pages.components.recipe_draft import Draft

_DOUBLE_CLICK_S = 2.0
_GRID = 20
_MOST_VALUES = 24


def submit_key(order: str) -> str:
    """A key for `order` that a double click shares, and a later click on the same button does not."""
    digest = hashlib.sha256(order.encode()).hexdigest()[:16]
    last = st.session_state.get("last_order")
    if last and last["digest"] == digest and time.monotonic() - last["at"] < _DOUBLE_CLICK_S:
        return str(last["key"])
    key = f"{digest}:{uuid.uuid4().hex}"
    st.session_state["last_order"] = {"digest": digest, "at": time.monotonic(), "key": key}
    return key


def draw_submit(project_id: str, draft: Draft, recipe: Recipe | None) -> None:
    """The buttons; without a recipe (something is wrong with the draft) they are off."""
    with st.expander("Name and note (optional)"):
        name = st.text_input("Name", key="run_name", max_chars=80, placeholder="the recipe in words")
        note = st.text_area("Note", key="run_note", max_chars=2000, height=70)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if st.button("Run", type="primary", icon=":material/play_arrow:", disabled=recipe is None, width="stretch") and recipe:
            _submit_one(project_id, draft, recipe, name.strip(), note.strip())
        with st.popover("Run a sweep", icon=":material/stacked_line_chart:", disabled=recipe is None, width="stretch"):
            if recipe is not None:
                _draw_sweep(project_id, draft, recipe)
    _draw_outcome()


def _submit_one(project_id: str, draft: Draft, recipe: Recipe, name: str, note: str) -> None:
    key = submit_key(f"{project_id}{draft.parent_id}{draft.to_text()}{name}")
    try:
        run = run_recipe(session.store(), project_id, recipe, name=name, note=note, parent_id=draft.parent_id, key=key)
    except OptimizerError as error:
        show_error(error)
    else:
        _remember_outcome([run.name], [run.id])


def _remember_outcome(names: Sequence[str], run_ids: Sequence[str]) -> None:
    st.session_state["queued"] = {"names": list(names), "ids": list(run_ids)}
    st.rerun()


def _draw_outcome() -> None:
    queued = st.session_state.get("queued")
    if not queued:
        return
    names = ", ".join(literal(name, 40) for name in queued["names"][:4]) + (", …" if len(queued["names"]) > 4 else "")
    st.success(
        f"Queued {counted(len(queued['ids']), 'run')}: {names}. Change something and run again, or:", icon=":material/check:"
    )
    with st.container(horizontal=True):
        if st.button("Watch on Runs", key="to_runs"):
            st.session_state.pop("queued")
            session.go(session.RUNS, run=queued["ids"][0])
        if st.button("Compare", key="to_compare"):
            st.session_state.pop("queued")
            session.go(session.COMPARE)


def _draw_sweep(project_id: str, draft: Draft, recipe: Recipe) -> None:
    choices = [
        (number, setting)
        for number, step in enumerate(recipe.steps)
        for setting in sorted(params(type(step)), key=lambda setting: not setting.primary)
        if setting.kind is not tuple
    ]
    if not choices:
        st.caption("Add a step first: a sweep runs the recipe once for each value of one of its settings.")
        return
    place = st.selectbox(
        "Setting to sweep",
        range(len(choices)),
        format_func=lambda index: (
            f"{choices[index][0] + 1} {title(recipe.steps[choices[index][0]].name)}: {in_words(choices[index][1].name)}"
        ),
        key=f"sweep_setting.{len(choices)}",
    )
    step, setting = choices[place]
    grid = sweep_values(setting)
    texts = st.multiselect(
        "Values, one run each",
        [str(value) for value in grid],
        default=[str(value) for value in grid[:: max(1, len(grid) // 4)][:5]],
        accept_new_options=setting.kind in (int, float),
        max_selections=_MOST_VALUES,
        key=f"sweep_values.{step}.{recipe.steps[step].name}.{setting.name}",
    )
    if st.button(f"Run {counted(len(texts), 'experiment')}", type="primary", disabled=not texts, key="run_sweep"):
        values = [parsed_value(setting, text) for text in texts]
        key = submit_key(f"{project_id}{draft.parent_id}{draft.to_text()}{step}{setting.name}{texts}")
        try:
            runs = run_sweep(session.store(), project_id, recipe, step, setting.name, values, key, parent_id=draft.parent_id)
        except OptimizerError as error:
            show_error(error)
        else:
            _remember_outcome([run.name for run in runs], [run.id for run in runs])


def sweep_values(setting: Param) -> list[Any]:
    """Values that a sweep offers: every choice, or about twenty evenly spaced numbers within the bounds."""
    if setting.kind is bool:
        return [False, True]
    if setting.kind is str:
        return list(setting.choices)
    low, high = setting.low or 0, setting.high or 0
    step = setting.step or (high - low) / _GRID
    if setting.kind is int:
        step = max(1, round(step))
        return list(range(int(low), int(high) + 1, int(step)))
    return [round(low + number * step, 6) for number in range(int((high - low) / step + 1e-9) + 1)]


def parsed_value(setting: Param, text: str) -> Any:
    """A value of the multiselect in the setting's type; what is no number stays text, and the recipe refuses it in its own words."""
    if setting.kind is bool:
        return text == "True"
    if setting.kind is str:
        return text
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        return text
    return int(number) if setting.kind is int and number.is_integer() else number
