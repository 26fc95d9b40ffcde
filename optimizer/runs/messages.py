"""What a worker says: one JSON object a line.

A hostile file may have taken the worker over, so nothing is believed unchecked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from optimizer.context import Event
from optimizer.errors import printable

MAX_LINE_BYTES = 64 * 1024
MAX_TEXT_LENGTH = 2000
MAX_FIELDS = 64
EVENT_KINDS = ("stage", "progress", "metrics", "note")


class BadMessageError(ValueError):
    """The worker broke the protocol; it is killed."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """A checked message.

    `type` is "ready" (it can take a job; `data` names missing layers of the sandbox), "begun" (it has its job, and has not looked at
    it yet), "event" (see `event`), "done" (its files are complete), "error" (an expected failure: `data` is OptimizerError JSON) or
    "crash" (an unexpected one: `data` has the error id that also stands in the log).
    """

    type: str
    event: Event | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


class MessageReader:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, content: bytes) -> Iterator[Message]:
        """Yield the messages that are complete now. Raises BadMessageError."""
        *lines, self._rest = (self._rest + content).split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            raise BadMessageError(f"a line of over {MAX_LINE_BYTES} bytes")
        for line in lines:
            if line:
                yield parse_message(line)


def parse_message(line: bytes) -> Message:
    """Check one line. Raises BadMessageError."""
    if len(line) > MAX_LINE_BYTES:
        raise BadMessageError(f"a line of over {MAX_LINE_BYTES} bytes")
    try:
        record = json.loads(line, parse_constant=no_number)
    except (ValueError, RecursionError) as error:
        raise BadMessageError("a line that is not JSON") from error
    if not isinstance(record, dict):
        raise BadMessageError("a line that is no object")
    kind = record.get("type")
    if kind in ("begun", "done"):
        return Message(type=str(kind))
    data = _flat(record.get("data"))
    if kind == "ready":
        return Message(type="ready", data=data)
    if kind == "event" and record.get("kind") in EVENT_KINDS:
        return Message(type="event", event=Event(kind=str(record["kind"]), data=data))
    if kind in ("error", "crash"):
        return Message(type=str(kind), data={name: str(value) for name, value in data.items() if value is not None})
    raise BadMessageError(f"an unknown message {printable(repr(kind), 40)}")


def message_line(type_: str, *, kind: str = "", data: Mapping[str, Any] | None = None) -> bytes:
    """A message as a worker writes it; numbers of numpy become plain ones, values that are not finite become null."""
    record = {"type": type_, "kind": kind, "data": {str(k): _plain(v) for k, v in (data or {}).items()}}
    return json.dumps(record, allow_nan=False).encode() + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, bool | int | str) or value is None:
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        return printable(value, MAX_TEXT_LENGTH)
    return number if math.isfinite(number) else None


def _flat(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) > MAX_FIELDS:
        raise BadMessageError("data that are no small object")
    checked: dict[str, Any] = {}
    for name, item in value.items():
        if isinstance(item, str):
            item = printable(item, MAX_TEXT_LENGTH)
        elif isinstance(item, float) and not math.isfinite(item):
            item = None
        elif not (item is None or isinstance(item, bool | float) or (isinstance(item, int) and abs(item) < 2**63)):
            raise BadMessageError("data that are not flat")
        checked[printable(name, 100)] = item
    return checked


def no_number(text: str) -> None:
    """NaN and Infinity are no JSON; a diverged loss becomes null."""
    del text
