"""The steps of the recipe in order: add, set, move, remove; what is wrong stands at the step, with the fix as a button."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from optimizer.errors import OptimizerError
from optimizer.sources.summary import ModelSummary
from optimizer.technique import Refusal, Technique, registry
from optimizer.titles import title
from pages.components.expected import summary_of_technique, whole_refusal
from pages.components.format import literal
from pages.components.guard import show_error
from pages.components.recipe_draft import Draft, DraftStep, checked, repairs
from pages.components.technique_form import draw_form

FAMILY_WORDS = {"quantization": "Quantize", "pruning": "Prune", "sharing": "Share weights", "distillation": "Distill"}
Change = Callable[[Callable[[Draft], Draft]], None]


def draw_steps(draft: Draft, model: ModelSummary, change: Change) -> Draft:
    """Draw every step and the menu that adds one; returns the draft with the settings as the widgets now hold them.

    Steps that cannot work on `model` say so, and the menu does not offer them. `change` applies a function to the kept draft; buttons
    call it before the page is drawn again.
    """
    if not draft.steps:
        gives = "measures the .tflite as it is" if model.format == "tflite" else "gives the original as a float32 .tflite"
        possible = any(whole_refusal(cls, model) is None for _, cls in _menu())
        st.info(f"No steps yet: this recipe {gives}.{' Choose a preset above or add a step.' if possible else ''}")
    for number, step in enumerate(draft.steps):
        with st.container(border=True, key=f"step-{step.uid}", gap="xsmall"):
            draft = _draw_step(draft, step, number, model, change)
    _draw_add(draft, model, change)
    _draw_refusals(model)
    return draft


def _draw_refusals(model: ModelSummary) -> None:
    """Which techniques the model itself rules out, and what would bring them back."""
    refused: dict[Refusal, list[str]] = {}
    for name, cls in _menu():
        refusal = whole_refusal(cls, model)
        if refusal is not None:
            refused.setdefault(refusal, []).append(title(name))
    for refusal, names in refused.items():
        st.caption(literal(f"Not with this model: {', '.join(names)} ({refusal.reason}). {refusal.fix}", 400))


def _draw_step(draft: Draft, step: DraftStep, number: int, model: ModelSummary, change: Change) -> Draft:
    cls = registry()[step.technique]
    sentence, rest = summary_of_technique(cls)
    heading, more, up, down, remove = st.columns([6.4, 1.5, 0.6, 0.6, 0.6], vertical_alignment="center", gap="xsmall")
    heading.markdown(
        f"**{number + 1}  {FAMILY_WORDS.get(cls.family, title(cls.family))}: {title(cls.name)}**", help=f"{sentence} {rest}"
    )
    last = len(draft.steps) - 1
    _icon_button(
        up,
        "arrow_upward",
        "Move this step up",
        f"up.{step.uid}",
        lambda: change(lambda kept: kept.moved(step.uid, -1)),
        off=number == 0,
    )
    _icon_button(
        down,
        "arrow_downward",
        "Move this step down",
        f"down.{step.uid}",
        lambda: change(lambda kept: kept.moved(step.uid, 1)),
        off=number == last,
    )
    _icon_button(remove, "close", "Remove this step", f"remove.{step.uid}", lambda: change(lambda kept: kept.removed(step.uid)))
    layer_names = [layer.name for layer in model.layers]
    settings = draw_form(cls, step.settings, f"step.{step.uid}", layer_names, more)
    draft = draft.changed(step.uid, settings)
    error = checked(draft, model).step_errors.get(step.uid)
    if error is not None:
        _draw_error(error, next(each for each in draft.steps if each.uid == step.uid), model)
    return draft


def _icon_button(place: DeltaGenerator, icon: str, words: str, key: str, act: Callable[[], None], *, off: bool = False) -> None:
    place.button("", icon=f":material/{icon}:", help=words, key=key, on_click=act, disabled=off, type="tertiary")


def _draw_error(error: OptimizerError, step: DraftStep, model: ModelSummary) -> None:
    show_error(error)
    fixes = repairs(step, model)
    if fixes:
        with st.container(horizontal=True):
            for setting, value in fixes:
                st.button(
                    f"Set {literal(setting.replace('_', ' '))} to {literal(value)}",
                    key=f"fix.{step.uid}.{setting}",
                    on_click=_set_widget,
                    args=(f"step.{step.uid}.{setting}", value),
                )


def _set_widget(key: str, value: object) -> None:
    st.session_state[key] = value


def _draw_add(draft: Draft, model: ModelSummary, change: Change) -> None:
    # A new key closes the menu once something was added.
    place = f"{len(draft.steps)}-{draft.steps[-1].uid if draft.steps else ''}"
    with st.popover("Add a step", icon=":material/add:", key=f"add-{place}"):
        for family, members in itertools.groupby(_menu(), key=lambda item: item[1].family):
            st.caption(FAMILY_WORDS.get(family, title(family)))
            for name, cls in members:
                refusal = whole_refusal(cls, model)
                st.button(
                    title(name),
                    key=f"add.{place}.{name}",
                    help=summary_of_technique(cls)[0]
                    if refusal is None
                    else literal(f"Not here: {refusal.reason}. {refusal.fix}", 300),
                    disabled=refusal is not None,
                    width="stretch",
                    on_click=_add,
                    args=(name, change),
                )


def _menu() -> list[tuple[str, type[Technique]]]:
    """Every technique, the families in the order in which most people want them, unknown ones last."""
    known = list(FAMILY_WORDS)
    return sorted(
        registry().items(),
        key=lambda item: (known.index(item[1].family) if item[1].family in known else len(known), item[1].family, item[0]),
    )


def _add(name: str, change: Change) -> None:
    change(lambda kept: kept.added(name))
