"""The errors that a person sees: what happened, where, what was expected, what was received, how to mend it."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any, Self

MAX_PART_LENGTH = 400


def printable(text: object, limit: int = MAX_PART_LENGTH) -> str:
    """Return `text` on one line, without control or direction-changing characters, at most `limit` characters.

    Names of files, layers and columns come from strangers: a newline or a right-to-left mark in one of them
    must not be able to forge a second line of output.
    """
    one_line = " ".join(str(text).split())
    clean = "".join(c if unicodedata.category(c)[0] != "C" else "\N{REPLACEMENT CHARACTER}" for c in one_line)
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


class OptimizerError(Exception):
    """An expected failure.

    Args:
        what: One sentence without its full stop, e.g. "The file is cut off".
        code: Stable name for scripts, e.g. "TRUNCATED".
        place: File, layer, array or setting at fault.
        expected: What would have been accepted.
        received: What was there instead.
        limit: The limit that was passed, with its unit.
        fix: What the person can do now.
    """

    exit_status = 1

    def __init__(
        self,
        what: str,
        *,
        code: str,
        place: str = "",
        expected: str = "",
        received: str = "",
        limit: str = "",
        fix: str = "",
    ) -> None:
        self.what = printable(what)
        self.code = code
        self.place = printable(place)
        self.expected = printable(expected)
        self.received = printable(received)
        self.limit = printable(limit)
        self.fix = printable(fix)
        super().__init__(self.line)

    @property
    def line(self) -> str:
        """The whole error as one line of text."""
        sentences = [f"{self.place}: {self.what}" if self.place else self.what]
        for label, text in (("Expected", self.expected), ("Received", self.received), ("Limit", self.limit)):
            if text:
                sentences.append(f"{label}: {text}")
        if self.fix:
            sentences.append(self.fix)
        return " ".join(s if s.endswith((".", "!", "?", "…")) else s + "." for s in sentences) + f" [{self.code}]"

    def within(self, place: str) -> Self:
        """The same error, its place named as a part of `place`."""
        texts = {key: getattr(self, key) for key in ("expected", "received", "limit", "fix")}
        return type(self)(self.what, code=self.code, place=f"{place}, {self.place}" if self.place else place, **texts)

    def to_json(self) -> dict[str, str]:
        """Plain strings, for the store, the report and the pipe between worker and runner."""
        return {
            "kind": type(self).__name__,
            "code": self.code,
            "what": self.what,
            "place": self.place,
            "expected": self.expected,
            "received": self.received,
            "limit": self.limit,
            "fix": self.fix,
            "line": self.line,
        }


class InputError(OptimizerError, ValueError):
    """What the person handed over (a file, a setting, a recipe) is at fault. Exit status 2."""

    exit_status = 2


class RunError(OptimizerError):
    """The input was fine and the work failed all the same. Exit status 1."""


class PromiseBroken(RunError):
    """A later step undid what an earlier technique had promised."""


class Cancelled(RunError):
    """Someone asked the run to stop."""

    def __init__(self) -> None:
        super().__init__("The run was cancelled", code="CANCELLED")


def error_from_json(record: Mapping[str, Any]) -> OptimizerError:
    """Rebuild an error that crossed a process boundary as JSON. An unknown kind becomes a RunError."""
    known: dict[str, type[OptimizerError]] = {"InputError": InputError, "PromiseBroken": PromiseBroken}
    kind = known.get(str(record.get("kind")), RunError)
    texts = {key: str(record.get(key, "")) for key in ("place", "expected", "received", "limit", "fix")}
    return kind(str(record.get("what", "Unknown failure")), code=str(record.get("code", "UNKNOWN")), **texts)
