"""Numbers become text in one place, and hostile text becomes harmless in one place."""

from __future__ import annotations

import pytest

from pages.components import format as text


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (None, "–"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.00 KB"),
        (318_292, "311 KB"),
        (12_345_678, "11.8 MB"),
        (5 * 1024**3, "5.00 GB"),
    ],
)
def test_bytes_have_a_unit_and_three_digits(size: float | None, expected: str) -> None:
    assert text.bytes_text(size) == expected


@pytest.mark.parametrize(
    ("ms", "expected"), [(None, "–"), (0.2401, "0.240 ms"), (0.0841, "84.1 µs"), (14.05, "14.1 ms"), (1234, "1,234 ms")]
)
def test_short_latencies_are_microseconds(ms: float | None, expected: str) -> None:
    assert text.ms_text(ms) == expected


def test_counts_ratios_and_points_read_as_a_person_writes_them() -> None:
    assert [text.count_text(n) for n in (None, 78_666, 12_501_862)] == ["–", "78,666", "12.5 M"]
    assert [text.ratio_text(r) for r in (None, 0.0, 1.03, 1.93, 6.12, 14.2)] == ["–", "–", "1.03×", "1.9×", "6.1×", "14×"]
    assert [text.points_text(d) for d in (None, 0.0001, -0.002, 0.013)] == ["–", "±0.0 points", "−0.2 points", "+1.3 points"]
    assert text.percent_text(0.913) == "91.3 %"


def test_durations_and_ages_take_one_sensible_unit() -> None:
    assert [text.duration_text(s) for s in (None, 8.4, 130, 3900)] == ["–", "8 s", "2 min 10 s", "1 h 5 min"]
    assert [text.ago_text(1000, now=1000 + s) for s in (5, 61, 7200, 90_000)] == [
        "just now",
        "1 minute ago",
        "2 hours ago",
        "1 day ago",
    ]
    assert text.counted(1, "run") == "1 run"
    assert text.counted(1200, "run") == "1,200 runs"


@pytest.mark.parametrize(
    "name",
    [
        "<img src=x>",
        "**bold**",
        "[a](javascript:alert(1))",
        "`code`",
        "$x$",
        ":red[x]",
        ":material/home:",
        "# head",
        "a|b",
        "~~x~~",
    ],
)
def test_every_markdown_mark_of_a_name_is_escaped(name: str) -> None:
    shown = text.literal(name)
    for position, letter in enumerate(shown):
        if letter in "!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~":
            assert shown[position - 1] == "\\", shown
    assert shown.replace("\\", "").replace("\u2060", "") == name


@pytest.mark.parametrize("name", ["https://evil.example", "www.evil.example", "WWW.evil.example", "a@evil.example", ":smile:"])
def test_links_addresses_and_emoji_names_are_broken_up(name: str) -> None:
    assert "\u2060" in text.literal(name)


def test_names_are_cut_and_lose_what_turns_the_direction_of_text() -> None:
    assert len(text.literal("x" * 1000)) == 80
    assert "\u202e" not in text.literal("exe\u202egpj")
    assert "\n" not in text.literal("two\nlines")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("prune 80 % → int8", "prune-80-int8"), ("../../etc/passwd", "etc-passwd"), ("\u202e", "run"), ("a" * 200, "a" * 60)],
)
def test_a_download_begins_with_a_harmless_name(name: str, expected: str) -> None:
    assert text.file_stem(name) == expected
