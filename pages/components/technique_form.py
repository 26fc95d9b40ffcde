"""The form of any technique, made from its settings alone: a new technique appears here without a change."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from optimizer.technique import Param, Technique, params
from optimizer.titles import in_words, title

_BIT_WIDTH = re.compile(r"(float|bfloat|int|uint)(\d+)")
_MOST_SEGMENTS = 4
_CONTROLS_A_ROW = 2

Draw = Callable[[Param, str, Any, Sequence[str]], Any]


def draw_form(
    cls: type[Technique], values: Mapping[str, Any], key: str, layer_names: Sequence[str], more: DeltaGenerator
) -> dict[str, Any]:
    """Draw a technique's controls, the primary ones here and the rest in `more`; returns the settings as they now stand.

    Args:
        cls: The technique.
        values: Settings to start from; widgets that are already on the page keep their own.
        key: Beginning of the widgets' keys, unique to the step.
        layer_names: Layers of the project's model, for settings that name layers.
        more: Where the settings go that seldom matter.
    """
    primary = [setting for setting in params(cls) if setting.primary]
    rest = [setting for setting in params(cls) if not setting.primary]
    result = _draw_rows(primary, values, key, layer_names, leading=len(primary) > 1)
    if rest:
        with more.popover("More", type="tertiary", width="stretch"):
            result |= _draw_rows(rest, values, key, layer_names, leading=False)
    return {setting.name: result[setting.name] for setting in params(cls)}


def _draw_rows(
    settings: Sequence[Param], values: Mapping[str, Any], key: str, layer_names: Sequence[str], *, leading: bool
) -> dict[str, Any]:
    """Rows of controls. With `leading`, the first setting is the one that its technique turns on, and gets a slider."""
    result = {}
    for start in range(0, len(settings), _CONTROLS_A_ROW):
        row = settings[start : start + _CONTROLS_A_ROW]
        for column, setting in zip(st.columns(_CONTROLS_A_ROW, gap="medium"), row, strict=False):
            with column:
                draw = _draw_whole_slider if leading and setting is settings[0] and setting.kind is int else _DRAW[setting.kind]
                result[setting.name] = draw(setting, f"{key}.{setting.name}", values[setting.name], layer_names)
    return result


def _start(key: str, value: Any) -> None:
    """Give a widget its first value; from then on the session holds it."""
    if key not in st.session_state:
        st.session_state[key] = value


def _label(setting: Param) -> str:
    return f"{title(setting.name)}, {setting.unit}" if setting.unit else title(setting.name)


def _draw_toggle(setting: Param, key: str, value: Any, layer_names: Sequence[str]) -> bool:
    _start(key, bool(value))
    return st.toggle(_label(setting), key=key, help=setting.help)


def _draw_whole(setting: Param, key: str, value: Any, layer_names: Sequence[str]) -> int:
    if setting.step is not None:
        return _draw_whole_slider(setting, key, value, layer_names)
    low, high = int(setting.low or 0), int(setting.high or 0)
    _start(key, int(value))
    return int(st.number_input(_label(setting), low, high, step=1, key=key, help=setting.help))


def _draw_whole_slider(setting: Param, key: str, value: Any, layer_names: Sequence[str]) -> int:
    low, high = int(setting.low or 0), int(setting.high or 0)
    _start(key, int(value))
    return int(st.slider(_label(setting), low, high, step=int(setting.step or 1), key=key, help=setting.help))


def _draw_number(setting: Param, key: str, value: Any, layer_names: Sequence[str]) -> float:
    low, high = float(setting.low or 0), float(setting.high or 0)
    if setting.step is None:
        _start(key, float(value))
        return float(
            st.number_input(
                _label(setting), low, high, step=(setting.default or high) / 10, format="%g", key=key, help=setting.help
            )
        )
    if high <= 1 and low >= 0 and float(setting.step * 100).is_integer():
        _start(key, round(value * 100))
        low_percent, high_percent, step = round(low * 100), round(high * 100), round(setting.step * 100)
        percent = st.slider(_label(setting), low_percent, high_percent, step=step, format="%d %%", key=key, help=setting.help)
        return float(percent / 100)
    _start(key, float(value))
    return float(st.slider(_label(setting), low, high, step=float(setting.step), key=key, help=setting.help))


def _draw_choice(setting: Param, key: str, value: Any, layer_names: Sequence[str]) -> str:
    _start(key, value)
    if setting.primary and all(_BIT_WIDTH.fullmatch(choice) for choice in setting.choices):
        options = sorted(setting.choices, key=_bits, reverse=True)
        return str(st.select_slider(_label(setting), options, format_func=bit_width_text, key=key, help=setting.help))
    if len(setting.choices) <= _MOST_SEGMENTS:
        chosen = st.segmented_control(
            _label(setting), setting.choices, format_func=_in_words, key=key, help=setting.help, required=True
        )
        return str(chosen or setting.default)
    return str(st.selectbox(_label(setting), setting.choices, format_func=_in_words, key=key, help=setting.help))


def _draw_layers(setting: Param, key: str, value: Any, layer_names: Sequence[str]) -> tuple[str, ...]:
    _start(key, list(value))
    options = list(dict.fromkeys([*layer_names, *value, *st.session_state[key]]))
    return tuple(st.multiselect(_label(setting), options, key=key, help=setting.help, placeholder="None"))


def _bits(choice: str) -> int:
    match = _BIT_WIDTH.fullmatch(choice)
    return int(match.group(2)) if match else 0


def bit_width_text(choice: str) -> str:
    """A numeric type as its bit width: "8 bit", "16 bit float"."""
    return f"{_bits(choice)} bit float" if "float" in choice else f"{_bits(choice)} bit"


def _in_words(choice: str) -> str:
    return in_words(choice)


_DRAW: dict[type, Draw] = {bool: _draw_toggle, int: _draw_whole, float: _draw_number, str: _draw_choice, tuple: _draw_layers}
