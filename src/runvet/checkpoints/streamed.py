"""Bytes that come in blocks, in order only, as a file that a window can read from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


class Streamed:
    """What `blocks` gives, one after the other. Reads in order are cheap; going back asks for all blocks anew.

    `blocks` may raise Damaged; so may every read.
    """

    def __init__(self, blocks: Callable[[], Iterator[bytes]]) -> None:
        self._again, self._left = blocks, blocks()
        self._block, self._start, self._at = b"", 0, 0

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to a byte from the start."""
        del whence
        if offset < self._start:
            self._left, self._block, self._start = self._again(), b"", 0
        self._at = offset
        return offset

    def readinto(self, buffer: Any, /) -> int:
        """Some bytes from here; 0 at the end."""
        while self._at >= self._start + len(self._block):
            self._start += len(self._block)
            self._block = next(self._left, b"")
            if not self._block:
                return 0
        inside = self._at - self._start
        part = self._block[inside : inside + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def close(self) -> None:
        """Nothing to give back: what the blocks come from belongs to someone else."""
