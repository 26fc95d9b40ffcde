"""Protocol buffers taken apart field by field, without their classes and without trust: every length is checked before it is used."""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_VARINT_BYTES = 10

Value = int | memoryview
"""A number, or the bytes of a text, a message or a packed list."""


class WireError(ValueError):
    """The bytes are not a protocol buffer."""


def fields(data: memoryview) -> Iterator[tuple[int, Value]]:
    """(field number, value) of one message in the order of the bytes. Raises WireError."""
    position, end = 0, len(data)
    while position < end:
        key, position = _varint(data, position)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise WireError("a field has the number 0")
        if kind == VARINT:
            value, position = _varint(data, position)
            yield number, value
            continue
        if kind == BYTES:
            length, position = _varint(data, position)
        elif kind in (FIXED64, FIXED32):
            length = 8 if kind == FIXED64 else 4
        else:
            raise WireError(f"field {number} is of the unknown kind {kind}")
        if length > end - position:
            raise WireError(f"field {number} is longer than the message")
        yield number, data[position : position + length]
        position += length


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    """A number of seven bits a byte, and the position after it."""
    value = 0
    for count in range(MAX_VARINT_BYTES):
        if position + count >= len(data):
            raise WireError("the message is cut off")
        byte = data[position + count]
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value, position + count + 1
    raise WireError("a number is too long")


def messages(data: memoryview, number: int) -> Iterator[memoryview]:
    """Every occurrence of a field that holds bytes. Parsers merge repeated messages: so all of them count. Raises WireError."""
    for found, value in fields(data):
        if found == number:
            if isinstance(value, int):
                raise WireError(f"field {number} is not a message")
            yield value


def texts(data: memoryview, number: int) -> Iterator[str]:
    """Every occurrence of a text field. Raises WireError."""
    for value in messages(data, number):
        try:
            yield bytes(value).decode("utf-8")
        except UnicodeDecodeError as error:
            raise WireError(f"field {number} is not UTF-8 text") from error


def text(data: memoryview, number: int) -> str:
    """A text field, the last one where it is repeated, as parsers do; "" where it is absent. Raises WireError."""
    found = ""
    for value in texts(data, number):
        found = value
    return found


def numbers(data: memoryview, number: int) -> list[int]:
    """A field of whole numbers, packed or not, as signed 64-bit. Raises WireError."""
    found: list[int] = []
    for key, value in fields(data):
        if key != number:
            continue
        if isinstance(value, int):
            found.append(value)
            continue
        position = 0
        while position < len(value):
            item, position = _varint(value, position)
            found.append(item)
    return [item - 2**64 if item >= 2**63 else item for item in found]
