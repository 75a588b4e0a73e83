"""Named binary tags, the tree format of Minecraft files: read without recursion, every length checked against what is left."""

from __future__ import annotations

import struct
import zlib
from typing import Any, TypeAlias

import numpy as np

from runvet.artifacts.model import UnreadableError

Tag: TypeAlias = Any  # int, float, bytes (texts), numpy array, list, dict
BYTES = 128 << 20  # of the unpacked tree: a few kilobytes of gzip can promise terabytes
TAGS = 4_000_000
DEPTH = 512  # the format's own limit
_END, _STRING, _LIST, _COMPOUND = 0, 8, 9, 10
_NUMBERS = {1: ">i1", 2: ">i2", 3: ">i4", 4: ">i8", 5: ">f4", 6: ">f8"}
_ARRAYS = {7: ">i1", 11: ">i4", 12: ">i8"}
_SCALARS = {kind: struct.Struct(code) for kind, code in ((1, ">b"), (2, ">h"), (3, ">i"), (4, ">q"), (5, ">f"), (6, ">d"))}  # fmt: skip


def unpacked(data: bytes, limit: int = BYTES) -> bytes:
    """The bytes behind gzip or zlib, or the same bytes where they are not packed. Raises UnreadableError."""
    if data[:2] != b"\x1f\x8b" and data[:1] != b"\x78":
        return data
    stream = zlib.decompressobj(wbits=47)  # gzip or zlib, whichever the first bytes say
    try:
        out = stream.decompress(data, limit + 1)
    except zlib.error as error:
        raise UnreadableError(f"damaged: {error}") from None
    if len(out) > limit:
        raise UnreadableError(f"more than {limit:,} bytes unpacked, which are not read")
    if not stream.eof:
        raise UnreadableError(f"cut off: the packed data end after {len(out):,} unpacked bytes")
    return out


def parse(data: bytes) -> dict[str, Tag]:
    """The root compound of an NBT file, packed or not. Raises UnreadableError."""
    cursor = _Cursor(unpacked(data))
    if cursor.byte() != _COMPOUND:
        raise UnreadableError("no NBT file: the root is no compound")
    cursor.text()
    return cursor.tree()


class _Cursor:
    """A place in the bytes of a tree. Every read checks that the bytes are there."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.tags = data, 0, 0

    def take(self, size: int) -> int:
        """Go on by `size` bytes and return the place before them."""
        at = self.at
        if size < 0 or at + size > len(self.data):
            raise UnreadableError(f"cut off or damaged at byte {at:,} of {len(self.data):,}")
        self.at = at + size
        return at

    def byte(self) -> int:
        return self.data[self.take(1)]

    def text(self) -> str:
        at = self.take(2)
        size = int.from_bytes(self.data[at : at + 2], "big")
        at = self.take(size)
        return self.data[at : at + size].decode("utf-8", "replace")

    def count(self) -> int:
        at = self.take(4)
        return int.from_bytes(self.data[at : at + 4], "big", signed=True)

    def array(self, code: str, number: int) -> Tag:
        kind = np.dtype(code)
        at = self.take(max(0, number) * kind.itemsize)
        return np.frombuffer(self.data, kind, max(0, number), at)

    def simple(self, kind: int) -> Tag:
        """A tag that holds no others."""
        self.tags += 1
        if self.tags > TAGS:
            raise UnreadableError(f"more than {TAGS:,} tags, which are not read")
        if kind in _SCALARS:
            form = _SCALARS[kind]
            return form.unpack_from(self.data, self.take(form.size))[0]
        if kind == _STRING:
            return self.text()
        if kind in _ARRAYS:
            return self.array(_ARRAYS[kind], self.count())
        raise UnreadableError(f"no tag of type {kind} at byte {self.at:,}")

    def tree(self) -> dict[str, Tag]:
        """The compound that begins here, with a stack of open compounds and lists instead of recursion."""
        root: dict[str, Tag] = {}
        # An open compound is (dict, 0, 0), an open list is (list, type of its items, how many are still to come).
        stack: list[tuple[Any, int, int]] = [(root, 0, 0)]
        while stack:
            holder, kind, left = stack.pop()
            if isinstance(holder, dict):
                kind = self.byte()
                if kind == _END:
                    continue
                name = self.text()
                stack.append((holder, 0, 0))
            elif left:
                name = ""
                stack.append((holder, kind, left - 1))
            else:
                continue
            value = self.opened(stack, kind) if kind in (_LIST, _COMPOUND) else self.simple(kind)
            if isinstance(holder, dict):
                holder[name] = value
            else:
                holder.append(value)
        return root

    def opened(self, stack: list[tuple[Any, int, int]], kind: int) -> Tag:
        """An empty compound or list that is filled later, or a list of numbers at once."""
        self.tags += 1
        if len(stack) >= DEPTH or self.tags > TAGS:
            raise UnreadableError(f"nested deeper than {DEPTH} levels, or more than {TAGS:,} tags")
        if kind == _COMPOUND:
            made: dict[str, Tag] = {}
            stack.append((made, 0, 0))
            return made
        held, number = self.byte(), self.count()
        if held in _NUMBERS:
            return self.array(_NUMBERS[held], number)
        # Items of no size would let eight bytes promise two thousand million of them.
        if held == _END or number <= 0:
            return []
        listed: list[Tag] = []
        stack.append((listed, held, number))
        return listed
