"""The values of one HDF5 data set as a readable range, a block of rows at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from runvet.checkpoints.content import Store
from runvet.checkpoints.problems import Damaged
from runvet.checkpoints.window import Window

CHUNK_LIMIT = 64 << 20  # bytes of one packed chunk: it can only be unpacked as a whole


class RowStream:
    """The bytes of a data set in row order, read through HDF5 by blocks of rows; sequential reads are cheap."""

    def __init__(self, data: Any, shape: tuple[int, ...], kind: str) -> None:
        self._data, self._kind = data, np.dtype(kind).newbyteorder("<")
        self._shape = shape or (1,)
        self._row = math.prod(self._shape[1:]) * self._kind.itemsize
        self._at, self._block, self._start = 0, b"", 0

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to a byte."""
        del whence
        self._at = offset
        return offset

    def readinto(self, buffer: Any, /) -> int:
        """Some bytes from here."""
        inside = self._at - self._start
        if not 0 <= inside < len(self._block):
            self._load()
            inside = self._at - self._start
        part = self._block[inside : inside + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def _load(self) -> None:
        first = self._at // self._row if self._row else 0
        count = max(1, (4 << 20) // max(1, self._row))
        try:
            rows = self._data[first : first + count] if self._data.shape else self._data[()]
        except (OSError, RuntimeError, ValueError) as error:
            raise Damaged(f"HDF5: {str(error)[:120]}") from None
        self._block, self._start = np.ascontiguousarray(rows, dtype=self._kind).tobytes(), first * self._row

    def close(self) -> None:
        """Nothing to give back: the file belongs to its window."""


def store_of(data: Any, shape: tuple[int, ...], kind: str) -> Store | None:
    """The values of a data set, or None where one row or chunk would not fit into bounded memory."""
    width = np.dtype(kind).itemsize
    row = math.prod(shape[1:]) * width
    if row > CHUNK_LIMIT or (data.chunks and math.prod(data.chunks) * width > CHUNK_LIMIT):
        return None
    size = math.prod(shape) * width
    return Store(data.name, size, lambda: Window(RowStream(data, shape, kind), 0, size))
