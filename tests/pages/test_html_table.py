from __future__ import annotations

from html.parser import HTMLParser

import pytest

from pages.components.html_table import bar_cell, row, text_cell

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</td></tr></table><script>alert(1)</script>",
    "' onmouseover='alert(1)",
    '"><b>',
    "a\x00b\u202ec&lt;i&gt;",
]
OURS = {"tr", "th", "td", "span", "wbr"}
ATTRIBUTES = {"scope", "style", "class"}


class Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_layer_name_from_a_hostile_file_is_text_and_nothing_else(name: str) -> None:
    seen = Seen()
    seen.feed(row(name, [text_cell(name), text_cell(name, background="#fff", whole=True), bar_cell(name, 0.5)]))
    assert seen.tags <= OURS
    assert seen.attributes <= ATTRIBUTES
