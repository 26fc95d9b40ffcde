"""Tables whose names stand in full: Streamlit's own cut what is wider than its column. Everything from files is escaped here."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from optimizer.errors import printable

MOST_CHARACTERS = 300


def table(label: str, headings: Sequence[str], rows: Sequence[str], *, numbers: int = 0) -> str:
    """HTML of a table that scrolls by itself; `rows` are made by `row`, and the last `numbers` headings stand over numbers."""
    first_number = len(headings) - numbers
    heads = "".join(
        f"<th scope='col'{' class=number' if place >= first_number else ''}>{html.escape(heading)}</th>"
        for place, heading in enumerate(headings)
    )
    return (
        f"<div class='wide-names' tabindex='0' role='region' aria-label='{html.escape(label, quote=True)}'><table>"
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def row(name: str, cells: Sequence[str]) -> str:
    """A line: its name, which may wrap, and finished cells."""
    return f"<tr><th scope='row'>{breakable(name)}</th>{''.join(cells)}</tr>"


def text_cell(text: str, background: str = "") -> str:
    """A cell of text, on a colour of ours where one is given."""
    style = f" style='background: {background}'" if background else ""
    return f"<td{style}>{breakable(text)}</td>"


def bar_cell(text: str, share: float) -> str:
    """A number with a bar under it that is `share` of the cell, in [0, 1]."""
    width = 100 * min(1.0, max(0.0, share))
    return f"<td class='number bar'>{html.escape(text)}<i style='width: {width:.1f}%'></i></td>"


def breakable(text: str) -> str:
    """Escaped text that may wrap after a slash, an underscore or a dot, and between the words of a class name."""
    escaped = html.escape(printable(text, MOST_CHARACTERS))
    return re.sub(r"([/_.])", r"\1<wbr>", re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", "<wbr>", escaped))
