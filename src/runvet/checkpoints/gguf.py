"""GGUF: the format of llama.cpp. A header with typed values and one record a tensor, then the aligned values.

Format: github.com/ggml-org/ggml/blob/master/docs/gguf.md. Quantised blocks are located, compared and counted, not decoded.
"""

from __future__ import annotations

import math
import struct
from typing import Any

from runvet.checkpoints.content import Content, Piece, Store, contiguous
from runvet.checkpoints.dtypes import dtype
from runvet.checkpoints.model import Tensor
from runvet.checkpoints.problems import Damaged
from runvet.checkpoints.window import Window

TENSORS = 300_000
VALUES = 100_000
TEXT = 1 << 20  # bytes of a text; chat templates are some kilobytes
ITEMS = 20_000_000  # of an array in the header: vocabularies have some hundred thousand
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
# type -> (name, elements of a block, bytes of a block)
_TYPES = {
    0: ("float32", 1, 4), 1: ("float16", 1, 2), 2: ("q4_0", 32, 18), 3: ("q4_1", 32, 20), 6: ("q5_0", 32, 22), 7: ("q5_1", 32, 24),
    8: ("q8_0", 32, 34), 9: ("q8_1", 32, 36), 10: ("q2_k", 256, 84), 11: ("q3_k", 256, 110), 12: ("q4_k", 256, 144), 13: ("q5_k", 256, 176),
    14: ("q6_k", 256, 210), 15: ("q8_k", 256, 292), 16: ("iq2_xxs", 256, 66), 17: ("iq2_xs", 256, 74), 18: ("iq3_xxs", 256, 98),
    19: ("iq1_s", 256, 50), 20: ("iq4_nl", 32, 18), 21: ("iq3_s", 256, 110), 22: ("iq2_s", 256, 82), 23: ("iq4_xs", 256, 136),
    24: ("int8", 1, 1), 25: ("int16", 1, 2), 26: ("int32", 1, 4), 27: ("int64", 1, 8), 28: ("float64", 1, 8), 29: ("iq1_m", 256, 56),
    30: ("bfloat16", 1, 2), 34: ("tq1_0", 256, 54), 35: ("tq2_0", 256, 66), 39: ("mxfp4", 32, 17),
}  # fmt: skip


class _Header:
    """The header's values in order. Raises Damaged."""

    def __init__(self, window: Window) -> None:
        self.window, self.at = window, 0
        self._base, self._block = 0, b""

    def take(self, length: int) -> bytes:
        if not self._base <= self.at <= self.at + length <= self._base + len(self._block):
            size = min(max(length, 1 << 18), self.window.size - self.at)
            if size < length:
                raise Damaged(f"cut off in its header, at byte {self.at:,}")
            self._base, self._block = self.at, self.window.read(self.at, size)
        inside = self.at - self._base
        self.at += length
        return self._block[inside : inside + length]

    def number(self, form: str) -> Any:
        return struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}")))[0]

    def text(self) -> str:
        length = self.number("Q")
        if length > TEXT:
            raise Damaged(f"a text of {length:,} bytes in its header")
        return self.take(length).decode("utf-8", "replace")

    def value(self, kind: int, depth: int = 0) -> Any:
        """A number or text; an array is passed over."""
        if kind in _NUMBERS:
            return self.number(_NUMBERS[kind])
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY or depth > 4:
            raise Damaged(f"a value of unknown kind {kind} in its header")
        inner, count = self.number("I"), self.number("Q")
        if count > ITEMS:
            raise Damaged(f"an array of {count:,} values in its header")
        if inner in _NUMBERS:
            self._skip(count * struct.calcsize(f"<{_NUMBERS[inner]}"))
        else:
            for _ in range(count):
                self._skip(self.number("Q")) if inner == _STRING else self.value(inner, depth + 1)
        return None

    def _skip(self, length: int) -> None:
        if self.at + length > self.window.size:
            raise Damaged(f"cut off in its header, at byte {self.at:,}")
        self.at += length


def read_gguf(window: Window, content: Content) -> None:
    """List a GGUF file. Raises Damaged where the header cannot be believed."""
    header = _Header(window)
    header.take(4)
    version = header.number("I")
    if version not in (2, 3):
        raise Damaged(f"version {version} of GGUF is not known")
    tensors, values = header.number("Q"), header.number("Q")
    if tensors > TENSORS or values > VALUES:
        raise Damaged(f"{tensors:,} tensors and {values:,} values in its header")
    align = 32
    for _ in range(values):
        key, kind = header.text(), header.number("I")
        value = header.value(kind)
        if isinstance(value, (str, int, float, bool)):
            content.note(key[:200], value)
            if key == "general.alignment" and isinstance(value, int) and 0 < value <= 1 << 20:
                align = value
    records = [_record(header) for _ in range(tensors)]
    start = -(-header.at // align) * align
    content.root = "dict" if records else "empty"
    content.kind = "gguf"
    for name, shape, kind, offset in records:
        _tensor(name, shape, kind, start + offset, window, content)


def _record(header: _Header) -> tuple[str, tuple[int, ...], int, int]:
    name, axes = header.text()[:400], header.number("I")
    if axes > 8:
        raise Damaged(f"{name[:80]!r} has {axes} axes")
    shape = tuple(header.number("Q") for _ in range(axes))
    if any(n >= 1 << 48 for n in shape):
        raise Damaged(f"{name[:80]!r} has an absurd shape")
    return name, tuple(reversed(shape)), header.number("I"), header.number("Q")


def _tensor(name: str, shape: tuple[int, ...], kind: int, start: int, window: Window, content: Content) -> None:
    if kind not in _TYPES:
        content.add(Tensor(name, shape, f"ggml_{kind}", layout="quantized"))
        return
    label, per_block, width = _TYPES[kind]
    length = math.prod(shape) // per_block * width
    if start + length > window.size:
        content.damaged(f"cut off: {name[:80]!r} ends at byte {start + length:,}, the file has {window.size:,}")
        return
    store = Store((start, length), length, lambda: window.part(start, length))
    if dtype(label) is not None:
        content.add(Tensor(name, shape, label), (Piece(store, label, 0, shape, contiguous(shape)),))
    else:
        content.add(Tensor(name, shape, label, layout="quantized"), (Piece(store, "bits8", 0, (length,), (1,)),))
