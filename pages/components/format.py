"""The one place where numbers become text, and where text from files becomes safe to show."""

from __future__ import annotations

import math
import re
import time

from optimizer.errors import printable

MINUS = "−"
DASH = "–"
_WORD_JOINER = "\u2060"
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_RECOGNIZED = re.compile(r"\\[:@](?=\S)|www", re.IGNORECASE)
_BYTE_UNITS = ("KB", "MB", "GB")
_COUNT_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"))


def literal(text: object, limit: int = 80) -> str:
    """Text from a file or a person as Markdown that shows it letter by letter, on one line.

    Every ASCII punctuation mark is escaped; a word joiner after colons, ats and "www" keeps Markdown's automatic links, Streamlit's
    icons and emoji names from being recognized.
    """
    escaped = _PUNCTUATION.sub(r"\\\1", printable(text, limit))
    return _RECOGNIZED.sub(lambda match: match.group() + _WORD_JOINER, escaped)


def significant(value: float, digits: int = 3) -> str:
    """A positive number with about `digits` significant digits and no exponent."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else DASH
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{places}f}"


def bytes_text(size_bytes: float | None) -> str:
    """Bytes with a unit of 1,024, e.g. "311 KB"; "–" for None."""
    if size_bytes is None:
        return DASH
    if size_bytes < 1024:
        return f"{size_bytes:.0f} B"
    value = float(size_bytes)
    for unit in _BYTE_UNITS:
        value /= 1024
        if value < 1023.5 or unit == _BYTE_UNITS[-1]:
            return f"{significant(value)} {unit}"
    return DASH


def ms_text(latency_ms: float | None) -> str:
    """Milliseconds, or microseconds below a tenth of one: "0.24 ms", "84.1 µs"; "–" for None."""
    if latency_ms is None:
        return DASH
    return f"{significant(latency_ms * 1000)} µs" if latency_ms < 0.1 else f"{significant(latency_ms)} ms"


def count_text(count: float | None) -> str:
    """A count: "78,666", from a million on "12.5 M"; "–" for None."""
    if count is None:
        return DASH
    for size, unit in _COUNT_UNITS:
        if count >= size:
            return f"{significant(count / size)} {unit}"
    return f"{count:,.0f}"


def percent_text(fraction: float | None, places: int = 1) -> str:
    """A fraction in [0, 1] as "91.3 %"; "–" for None."""
    return DASH if fraction is None else f"{fraction * 100:.{places}f} %"


def signed(text: str, value: float) -> str:
    """Put the sign of `value` before the text of its magnitude."""
    return f"{MINUS if value < 0 else '+'}{text}"


def points_text(difference: float | None) -> str:
    """A difference of two fractions in percentage points: "−0.2 points"."""
    if difference is None:
        return DASH
    text = f"{abs(difference) * 100:.1f}"
    return f"{'±' if text == '0.0' else MINUS if difference < 0 else '+'}{text} points"


def ratio_text(ratio: float | None) -> str:
    """A ratio with two digits, three where it is close to one: "6.1×", "1.03×"; "–" for None."""
    if ratio is None or not math.isfinite(ratio) or ratio <= 0:
        return DASH
    return f"{significant(ratio, 3 if 0.9 < ratio < 1.1 else 2)}×"


def duration_text(seconds: float | None) -> str:
    """Seconds as "8 s", "2 min 10 s" or "1 h 5 min"; "–" for None."""
    if seconds is None:
        return DASH
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def ago_text(moment: float | None, now: float | None = None) -> str:
    """How long ago a time (seconds since 1970) was, in one unit: "2 hours ago"."""
    if moment is None:
        return "never"
    seconds = (time.time() if now is None else now) - moment
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            number = int(seconds // size)
            return f"{number} {word}{'s' if number > 1 else ''} ago"
    return "just now"


def counted(number: int, noun: str) -> str:
    """ "1 run", "12 runs"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def file_stem(name: str) -> str:
    """A name as the harmless beginning of a download's file name: letters, digits, dots and dashes."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", name.replace("%", "")).strip("-.")[:60] or "run"
