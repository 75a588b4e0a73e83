"""How far the tensors of one file are from those of another, streamed block by block."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from runvet.checkpoints.blocks import folded, raw_blocks
from runvet.checkpoints.content import Content, Found
from runvet.checkpoints.dtypes import decoded, dtype
from runvet.checkpoints.formats import read_window
from runvet.checkpoints.problems import Damaged
from runvet.checkpoints.window import Window


@dataclass(frozen=True, slots=True)
class Change:
    """One tensor in two files. `relative` is |b - a| / |a| in the 2-norm, NaN where either has values that are not finite.

    `distance` is |b - a| and `norm` is |a|, both in the 2-norm: of several tensors they add up in squares.
    """

    name: str
    relative: float
    largest: float  # of |b - a| over the elements
    elements: int
    distance: float = math.nan
    norm: float = math.nan


@contextmanager
def opened(path: Path) -> Iterator[Content]:
    """The listed content of one file, whose values can be read inside the block. Raises Damaged, Unread, OSError."""
    window = Window.of(path)
    try:
        content = Content("")
        read_window(window, path.name, content, None)
        yield content
    finally:
        window.close()


def value_blocks(found: Found) -> Iterator[npt.NDArray[Any]]:
    """Values of a tensor in blocks of shape (n,), small floats as float32, in the order of memory. Raises Damaged, OSError."""
    for piece in found.pieces:
        known = dtype(piece.dtype)
        if known is None:
            raise Damaged(f"an element type that is not known: {piece.dtype!r}")
        for raw in raw_blocks(folded(piece)[0]):
            native = raw.astype(known.raw) if piece.store.big else raw
            yield decoded(native, known)


def changes(before: Path, after: Path) -> list[Change]:
    """Every tensor that both files hold under the same name, shape and dtype, in the order of the second file.

    Raises Damaged or Unread where a file cannot be listed, OSError where it cannot be opened.
    """
    with opened(before) as first, opened(after) as second:
        known = {f.tensor.name: f for f in first.found if f.pieces}
        made = []
        for found in second.found:
            old = known.get(found.tensor.name)
            if (
                old
                and found.pieces
                and old.tensor.shape == found.tensor.shape
                and old.tensor.dtype == found.tensor.dtype
            ):
                made.append(_change(old, found))
        return made


def _change(old: Found, new: Found) -> Change:
    apart = size = largest = 0.0
    with np.errstate(all="ignore"):
        for a, b in zip(value_blocks(old), value_blocks(new), strict=True):
            kind = np.complex128 if a.dtype.kind == "c" else np.float64
            was, difference = np.abs(a.astype(kind)), np.abs(b.astype(kind) - a.astype(kind))
            apart += float(np.dot(difference, difference))
            size += float(np.dot(was, was))
            largest = max(largest, float(difference.max(initial=0.0)))
    if not math.isfinite(apart) or not math.isfinite(size):
        relative = math.nan
    else:
        relative = math.sqrt(apart / size) if size else (math.inf if apart else 0.0)
    return Change(new.tensor.name, relative, largest, new.tensor.elements, math.sqrt(apart), math.sqrt(size))
