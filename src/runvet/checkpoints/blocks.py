"""The values of a piece, streamed in blocks of bounded size through one buffer, whatever its strides are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from runvet.checkpoints.content import Piece, contiguous
from runvet.checkpoints.dtypes import DType, dtype
from runvet.checkpoints.problems import Damaged
from runvet.checkpoints.window import Window

BLOCK = 1 << 20  # bytes: fits the second-level cache, so that several passes over a block cost one read
SPAN = 4 << 20  # bytes read at once for a strided block


def folded(piece: Piece) -> tuple[Piece, int]:
    """The piece without its expanded dimensions (stride 0), and how often each element stands for itself.

    A piece whose elements overlap (windows over a storage) becomes its range, once.
    """
    times = 1
    shape, stride = [], []
    for n, s in zip(piece.shape, piece.stride, strict=True):
        if s == 0 and n > 1:
            times *= n
        elif n != 1:
            shape.append(n)
            stride.append(s)
    small = Piece(piece.store, piece.dtype, piece.start, tuple(shape), tuple(stride))
    if small.elements >= small.span:  # row by row, transposed, or overlapping: all of a range
        span = small.span
        small = Piece(piece.store, piece.dtype, piece.start, (span,), (1,))
        times = max(1, piece.elements // span) if span else 1
    return small, times


def whole(piece: Piece) -> bool:
    """Whether a folded piece is one unbroken range."""
    return piece.stride == contiguous(piece.shape)


def raw_blocks(piece: Piece) -> Iterator[npt.NDArray[Any]]:
    """The raw elements of a folded piece in blocks of shape (n,), valid until the next one. Raises Damaged, OSError."""
    known = dtype(piece.dtype)
    if known is None:
        raise Damaged(f"an element type that is not known: {piece.dtype!r}")
    if not piece.elements:
        return
    kind = known.raw.newbyteorder(">") if piece.store.big else known.raw
    window = piece.store.open()
    if whole(piece):
        yield from _range(window, piece.start * known.size, piece.elements, known, kind)
    else:
        buffer = memoryview(bytearray(min(SPAN, piece.span * known.size)))
        yield from _strided(window, piece, known, kind, buffer)


def _range(window: Window, at: int, count: int, known: DType, kind: np.dtype[Any]) -> Iterator[npt.NDArray[Any]]:
    per_block = BLOCK // known.size
    buffer = memoryview(bytearray(min(per_block, count) * known.size))
    while count:
        n = min(per_block, count)
        part = buffer[: n * known.size]
        window.fill(at, part)
        yield np.frombuffer(part, kind)
        at, count = at + n * known.size, count - n


def _strided(
    window: Window, piece: Piece, known: DType, kind: np.dtype[Any], buffer: memoryview
) -> Iterator[npt.NDArray[Any]]:
    """Split along the widest stride until a block's range fits the buffer, then gather the block's elements."""
    if piece.span * known.size <= len(buffer):
        part = buffer[: piece.span * known.size]
        window.fill(piece.start * known.size, part)
        base = np.frombuffer(part, kind)
        strides = tuple(s * known.size for s in piece.stride)
        yield np.lib.stride_tricks.as_strided(base, piece.shape, strides, writeable=False).reshape(-1)
        return
    axis = int(np.argmax([s if n > 1 else 0 for n, s in zip(piece.shape, piece.stride, strict=True)]))
    step, length = piece.stride[axis], piece.shape[axis]
    inner = piece.span - (length - 1) * step
    rows = max(1, min(length - 1, (len(buffer) // known.size - inner) // step + 1))
    for first in range(0, length, rows):
        shape = (*piece.shape[:axis], min(rows, length - first), *piece.shape[axis + 1 :])
        yield from _strided(
            window,
            Piece(piece.store, piece.dtype, piece.start + first * step, shape, piece.stride),
            known,
            kind,
            buffer,
        )
