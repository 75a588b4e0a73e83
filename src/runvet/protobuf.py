"""The protobuf wire format, walked by hand: field numbers, wire types and positions, without any schema."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class Malformed(ValueError):
    """The bytes are not a protobuf message."""


class Field(NamedTuple):
    """One field of a message: its number, wire type, number (varints only) and the bytes `start:end` it occupies."""

    number: int
    wire: int
    value: int
    start: int
    end: int


def varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The unsigned number at `at` and the position after it. Raises Malformed past `end` or after ten bytes."""
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
        shift += 7
    raise Malformed("a number has no end")


def signed(value: int) -> int:
    """A varint as int64: negative numbers are stored as their two's complement."""
    return value - (1 << 64) if value >= 1 << 63 else value


def fields(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Field]:
    """Every field of the message `data[start:end]`, in order. Raises Malformed where the bytes break off."""
    at, end = start, len(data) if end is None else end
    while at < end:
        key, at = varint(data, at, end)
        wire = key & 7
        value, first = 0, at
        if wire == VARINT:
            value, at = varint(data, at, end)
        elif wire == BYTES:
            length, first = varint(data, at, end)
            at = first + length
        elif wire == FIXED64:
            at += 8
        elif wire == FIXED32:
            at += 4
        else:
            raise Malformed(f"wire type {wire}")
        if at > end or key < 8:
            raise Malformed("a field reaches past its message")
        yield Field(key >> 3, wire, value, first, at)


def text(data: bytes, field: Field) -> str:
    """A string field; what is not UTF-8 is replaced."""
    return data[field.start : field.end].decode("utf-8", "replace")


def double(data: bytes, field: Field) -> float:
    """A double (wire type FIXED64)."""
    return float(struct.unpack_from("<d", data, field.start)[0])


def timestamp(data: bytes, field: Field) -> float:
    """A `google.protobuf.Timestamp` message as unix seconds."""
    seconds = nanoseconds = 0
    for part in fields(data, field.start, field.end):
        if part.wire == VARINT and part.number == 1:
            seconds = signed(part.value)
        elif part.wire == VARINT and part.number == 2:
            nanoseconds = signed(part.value)
    return seconds + nanoseconds / 1e9
