from __future__ import annotations

import json

import numpy as np
import pytest

from optimizer.context import Event
from optimizer.errors import InputError
from optimizer.runs.messages import MAX_LINE_BYTES, BadMessageError, MessageReader, message_line, parse_message


def test_what_a_worker_says_arrives_whole_even_in_single_bytes() -> None:
    reader = MessageReader()
    line = message_line("event", kind="metrics", data={"epoch": 1, "loss": 0.25, "note": "ü"})
    messages = [message for byte in line for message in reader.feed(bytes([byte]))]

    assert [message.event for message in messages] == [Event(kind="metrics", data={"epoch": 1, "loss": 0.25, "note": "ü"})]


def test_numbers_of_numpy_and_values_that_are_not_finite_are_made_plain() -> None:
    data = {"loss": np.float32(0.5), "epoch": np.int64(3), "diverged": float("nan"), "bound": float("inf")}
    message = parse_message(message_line("event", kind="metrics", data=data).strip())

    assert message.event is not None
    assert message.event.data == {"loss": 0.5, "epoch": 3, "diverged": None, "bound": None}


def test_an_error_crosses_with_all_its_parts() -> None:
    error = InputError("Cut off", code="TRUNCATED", place="a.h5", fix="Save it again.")
    message = parse_message(message_line("error", data=error.to_json()).strip())
    assert (message.type, message.data) == ("error", error.to_json())


def test_text_from_a_worker_cannot_forge_a_second_line() -> None:
    message = parse_message(message_line("event", kind="note", data={"text": "a\nb\u202ec"}).strip())
    assert message.event is not None
    assert message.event.data["text"] == "a b\N{REPLACEMENT CHARACTER}c"


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b"[]",
        b'"ready"',
        b"{}",
        b'{"type": "launch"}',
        b'{"type": "event", "kind": "shell", "data": {}}',
        b'{"type": "event", "kind": "note", "data": []}',
        b'{"type": "event", "kind": "note", "data": {"a": {"b": 1}}}',
        b'{"type": "event", "kind": "metrics", "data": {"a": 1' + b"0" * 400 + b"}}",
        json.dumps({"type": "event", "kind": "metrics", "data": {str(i): i for i in range(100)}}).encode(),
        b"[" * 60_000,
        b"\xff\xfe",
        b" " * (MAX_LINE_BYTES + 1),
    ],
)
def test_anything_else_is_refused(line: bytes) -> None:
    with pytest.raises(BadMessageError):
        parse_message(line)


def test_a_line_without_end_is_refused_before_it_fills_the_memory() -> None:
    reader = MessageReader()
    for _ in range(16):
        assert list(reader.feed(b"x" * 4096)) == []
    with pytest.raises(BadMessageError):
        list(reader.feed(b"x" * 4096))
