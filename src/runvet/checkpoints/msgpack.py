"""Flax msgpack files: nested maps whose arrays are extension values, each a shape, a type and raw bytes.

Format: the msgpack specification (github.com/msgpack/msgpack/blob/master/spec.md), and the extension codes of
`flax.serialization` (1 an array, 3 a numpy scalar; arrays of 1 GiB and more are maps of chunks).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from runvet.checkpoints.content import Content, Piece, Store, contiguous
from runvet.checkpoints.dtypes import dtype
from runvet.checkpoints.model import Role, Tensor
from runvet.checkpoints.names import role_of_key, role_of_tensor
from runvet.checkpoints.problems import Damaged
from runvet.checkpoints.window import Window

DEPTH = 64
ITEMS = 3_000_000
TEXT = 65_536  # bytes of a text that is kept
ARRAY, SCALAR = 1, 3
_BLOCK = 1 << 16
_CHUNKED = "__msgpack_chunked_array__"
_OLD = {"V2": "bfloat16"}  # how numpy called it before ml_dtypes named it
_NUMBERS = {
    0xCA: ">f",
    0xCB: ">d",
    0xCC: ">B",
    0xCD: ">H",
    0xCE: ">I",
    0xCF: ">Q",
    0xD0: ">b",
    0xD1: ">h",
    0xD2: ">i",
    0xD3: ">q",
}


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes that stay in the file: where they are, and the code of their extension (None for plain bytes)."""

    start: int
    length: int
    code: int | None = None


@dataclass(frozen=True, slots=True)
class Array:
    """An array: its shape, its type, and the pieces of the file that hold it, one after another."""

    shape: tuple[int, ...]
    dtype: str
    places: tuple[Raw, ...]


class _Reader:
    """Values one after another. Texts and numbers are made, bytes only located. Raises Damaged."""

    def __init__(self, window: Window, start: int, end: int) -> None:
        self.window, self.at, self.end, self.left = window, start, end, ITEMS
        self._base, self._buffer = 0, b""

    def take(self, length: int) -> bytes:
        if self.at + length > self.end:
            raise Damaged(f"cut off: {length:,} bytes wanted at {self.at:,} of {self.end:,}")
        if not self._base <= self.at <= self.at + length <= self._base + len(self._buffer):
            self._base = self.at
            self._buffer = self.window.read(self.at, min(max(length, _BLOCK), self.end - self.at))
        inside = self.at - self._base
        self.at += length
        return self._buffer[inside : inside + length]

    def skip(self, length: int) -> int:
        start = self.at
        if start + length > self.end:
            raise Damaged(f"cut off: a value ends at byte {start + length:,} of {self.end:,}")
        self.at += length
        return start

    def size(self, width: int) -> int:
        return int.from_bytes(self.take(width), "big")

    def value(self, depth: int = 0) -> Any:
        self.left -= 1
        if depth > DEPTH or self.left < 0:
            raise Damaged("nested too deep, or too many values")
        code = self.take(1)[0]
        if code < 0x80:
            return code
        if code < 0x90:
            return self.map(code & 15, depth)
        if code < 0xA0:
            return [self.value(depth + 1) for _ in range(code & 15)]
        if code < 0xC0:
            return self.text(code & 31)
        if code >= 0xE0:
            return code - 256
        if code in _NUMBERS:
            return struct.unpack(_NUMBERS[code], self.take(struct.calcsize(_NUMBERS[code])))[0]
        if code in (0xC0, 0xC2, 0xC3):
            return {0xC0: None, 0xC2: False, 0xC3: True}[code]
        return self.sized(code, depth)

    def sized(self, code: int, depth: int) -> Any:
        """A value with its length before it."""
        if 0xC4 <= code <= 0xC6:
            length = self.size(1 << (code - 0xC4))
            return Raw(self.skip(length), length)
        if 0xC7 <= code <= 0xC9:
            length, kind = self.size(1 << (code - 0xC7)), self.size(1)
            return Raw(self.skip(length), length, kind)
        if 0xD4 <= code <= 0xD8:
            kind = self.size(1)
            return Raw(self.skip(1 << (code - 0xD4)), 1 << (code - 0xD4), kind)
        if 0xD9 <= code <= 0xDB:
            return self.text(self.size(1 << (code - 0xD9)))
        if code in (0xDC, 0xDD):
            return [self.value(depth + 1) for _ in range(self.count(self.size(2 if code == 0xDC else 4)))]
        if code in (0xDE, 0xDF):
            return self.map(self.size(2 if code == 0xDE else 4), depth)
        raise Damaged(f"byte {code:#04x} begins no value")

    def count(self, number: int) -> int:
        if number > self.end - self.at:
            raise Damaged(f"{number:,} values are promised in {self.end - self.at:,} bytes")
        return number

    def map(self, number: int, depth: int) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for _ in range(self.count(number)):
            key = self.value(depth + 1)
            if not isinstance(key, (str, int)):
                raise Damaged("a key that is no text")
            out[str(key)[:400]] = self.value(depth + 1)
        return out

    def text(self, length: int) -> str:
        if length > TEXT:
            self.skip(length)
            return ""
        return self.take(length).decode("utf-8", "replace")


def read_msgpack(window: Window, content: Content, role: Role | None) -> None:
    """List a Flax file. Raises Damaged where it cannot be read to its end."""
    reader = _Reader(window, 0, window.size)
    root = reader.value()
    if reader.at != window.size:
        raise Damaged(f"{window.size - reader.at:,} bytes follow the end of its value")
    if not isinstance(root, dict):
        raise Damaged("not a Flax file: its value is no map")
    content.kind = "flax"
    content.root = "dict" if root else "empty"
    for name, leaf in _leaves(root, ""):
        if isinstance(leaf, dict) and leaf:
            _add(window, name, _chunked(window, leaf), content, role)
        elif isinstance(leaf, dict):
            content.empty_states.append(name)
        elif isinstance(leaf, Raw) and leaf.code in (ARRAY, SCALAR):
            _leaf(window, name, leaf, content, role)
        elif isinstance(leaf, (str, int, float, bool)) or leaf is None:
            content.note(name, leaf, top="." not in name)
    content.empty_states[:] = [n for n in content.empty_states if "." not in n]


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Leaves by dotted name; an empty map is one (Flax writes those of optimizers without state)."""
    if not isinstance(value, dict) or not value or _CHUNKED in value:
        yield name, value
        return
    for key, inner in value.items():
        yield from _leaves(inner, f"{name}.{key}"[:400] if name else key)


def _chunked(window: Window, value: dict[str, Any]) -> Array:
    """An array in chunks, which Flax flattens and numbers. Raises Damaged."""
    shape, chunks = value.get("shape"), value.get("chunks")
    if not isinstance(shape, dict) or not isinstance(chunks, dict) or len(shape) > 64:
        raise Damaged("an array in chunks without its shape or its chunks")
    sizes = [shape.get(str(i)) for i in range(len(shape))]
    parts = [_array(window, c) for i in range(len(chunks)) if isinstance(c := chunks.get(str(i)), Raw)]
    if not all(type(n) is int and 0 <= n < 1 << 62 for n in sizes) or len({p.dtype for p in parts}) != 1:
        raise Damaged("an array in chunks of several types, or with an absurd shape")
    return Array(tuple(sizes), parts[0].dtype, tuple(place for p in parts for place in p.places))  # type: ignore[arg-type]


def _leaf(window: Window, name: str, leaf: Raw, content: Content, role: Role | None) -> None:
    array = _array(window, leaf)
    known = dtype(array.dtype)
    if array.shape == () and known is not None and known.decode == "" and array.places[0].length == known.size:
        number = np.frombuffer(window.read(array.places[0].start, known.size), known.raw)[0].item()
        content.note(name, number, top="." not in name)
        if "." not in name:
            return  # a counter, not a weight
    _add(window, name, array, content, role)


def _array(window: Window, leaf: Raw) -> Array:
    """The shape, type and bytes within an extension value. Raises Damaged."""
    reader = _Reader(window, leaf.start, leaf.start + leaf.length)
    parts = reader.value()
    if not isinstance(parts, list) or len(parts) != 3 or not isinstance(parts[2], Raw):
        raise Damaged("an array without shape, type and bytes")
    shape, kind, data = parts
    if not isinstance(shape, list) or len(shape) > 64 or not all(type(n) is int and 0 <= n < 1 << 62 for n in shape):
        raise Damaged("a negative or absurd shape")
    return Array(tuple(shape), _OLD.get(str(kind), str(kind)[:40]), (data,))


def _add(window: Window, name: str, array: Array, content: Content, role: Role | None) -> None:
    known = dtype(array.dtype)
    first = name.partition(".")[0]
    mine = (
        role
        or ("optimizer" if first in ("opt_state", "opt_states") else None)
        or (role_of_key(first) if "." in name else None)
    )
    tensor = Tensor(name, array.shape, array.dtype, mine or role_of_tensor(name) or "model")
    length = sum(p.length for p in array.places)
    if known is None:
        content.add(tensor)
        return
    if math.prod(array.shape) * known.size != length:
        raise Damaged(f"{name[:80]!r} needs {math.prod(array.shape) * known.size:,} bytes, there are {length:,}")
    content.add(tensor, tuple(_piece(window, place, array, known.size) for place in array.places))


def _piece(window: Window, place: Raw, array: Array, width: int) -> Piece:
    shape = array.shape if len(array.places) == 1 else (place.length // width,)
    store = Store((place.start, place.length), place.length, lambda: window.part(place.start, place.length))
    return Piece(store, array.dtype, 0, shape, contiguous(shape))
