"""Tables whose names stand in full: Streamlit's own cut what is wider than its column. Everything from files is escaped here."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

import streamlit as st

from optimizer.errors import printable
from pages.components import palette

MOST_CHARACTERS = 300
LEAST_WIDTH = 13
"""Characters of a long name that stand on one line at least."""


def table(label: str, headings: Sequence[str], rows: Sequence[str], *, numbers: int = 0) -> str:
    """HTML of a table that scrolls by itself; `rows` are made by `row`, and the last `numbers` headings stand over numbers."""
    first_number = len(headings) - numbers
    # The heading stays in sight while the rows pass under it, so it must hide them.
    page = palette.PAGE["dark" if st.context.theme.type == "dark" else "light"]
    heads = "".join(
        f"<th scope='col' style='background: {page}'{' class=number' if place >= first_number else ''}>{html.escape(heading)}</th>"
        for place, heading in enumerate(headings)
    )
    return (
        f"<div class='wide-names' tabindex='0' role='region' aria-label='{html.escape(label, quote=True)}'><table>"
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def row(name: str, cells: Sequence[str]) -> str:
    """A line: its name, which may wrap, and finished cells."""
    room = min(len(name), LEAST_WIDTH)
    return f"<tr><th scope='row'><span style='min-width: {room}ch'>{breakable(name)}</span></th>{''.join(cells)}</tr>"


def text_cell(text: str, *, background: str = "", whole: bool = False) -> str:
    """A cell of text, on a colour of ours where one is given; a `whole` one does not wrap."""
    style = (f"background: {background};" if background else "") + ("white-space: nowrap" if whole else "")
    return f"<td style='{style}'>{breakable(text)}</td>"


def bar_cell(text: str, share: float) -> str:
    """A number over a bar that is `share` of the cell, in [0, 1]."""
    end = f"{100 * min(1.0, max(0.0, share)):.1f}%"
    bar = f"linear-gradient(to right, {palette.ACCENT['light']} {end}, transparent {end}) no-repeat left bottom / 100% 3px"
    return f"<td class='number' style='background: {bar}'>{html.escape(text)}</td>"


def breakable(text: str) -> str:
    """Escaped text that may wrap after a slash, an underscore or a dot, and between the words of a class name."""
    escaped = html.escape(printable(text, MOST_CHARACTERS))
    return re.sub(r"([/_.])", r"\1<wbr>", re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", "<wbr>", escaped))
