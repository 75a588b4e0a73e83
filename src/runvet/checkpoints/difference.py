"""How far the tensors of one checkpoint are from those of another, streamed block by block."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from runvet.checkpoints.blocks import folded, raw_blocks, whole
from runvet.checkpoints.content import Found
from runvet.checkpoints.dtypes import decoded, dtype
from runvet.checkpoints.model import Checkpoint
from runvet.checkpoints.opening import opened
from runvet.checkpoints.places import Place
from runvet.checkpoints.problems import Damaged

Values: TypeAlias = "npt.NDArray[Any]"


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


def value_blocks(found: Found) -> Iterator[npt.NDArray[Any]]:
    """Values of a tensor in blocks of shape (n,), small floats as float32, in the order of memory. Raises Damaged, OSError."""
    for piece in found.pieces:
        known = dtype(piece.dtype)
        if known is None:
            raise Damaged(f"an element type that is not known: {piece.dtype!r}")
        for raw in raw_blocks(folded(piece)[0]):
            native = raw.astype(known.raw) if piece.store.big else raw
            yield decoded(native, known)


def changes(root: Place, before: Checkpoint, after: Checkpoint) -> list[Change]:
    """Every tensor that both checkpoints hold under the same name, shape and dtype, in the order of the second.

    `root` is the folder that their paths are relative to. Their files may be cut in different ways. Raises Damaged
    or Unread where a file cannot be listed, OSError where it cannot be opened.
    """
    with ExitStack() as stack:
        first, second = (_found(root, c, stack) for c in (before, after))
        pairs = ((first.get(name), new) for name, new in second.items())
        return [_change(old, new) for old, new in pairs if old is not None and _comparable(old, new)]


def _found(root: Place, checkpoint: Checkpoint, stack: ExitStack) -> dict[str, Found]:
    """The tensors of all its parts by name; those that several ranks name alike, by part and name."""
    every: dict[str, list[tuple[str, Found]]] = {}
    for part in _units(checkpoint):
        content = stack.enter_context(opened(root if part.path == "." else root / part.path, part.format))
        inside = part.path.removeprefix(checkpoint.path).lstrip("/")
        for found in content.found:
            every.setdefault(found.tensor.name, []).append((inside, found))
    return {
        name if len(many) == 1 else f"{inside}:{name}": found for name, many in every.items() for inside, found in many
    }


def _units(checkpoint: Checkpoint) -> Iterator[Checkpoint]:
    """What is opened by itself: files, folders of blocks, tables."""
    if checkpoint.format in ("torch-distributed", "orbax", "tensorflow") or not checkpoint.parts:
        yield checkpoint
    for part in checkpoint.parts:
        if part.format != "distcp":
            yield from _units(part)


def _comparable(old: Found, new: Found) -> bool:
    """Whether the values of both come in the same order: cut alike, or both by rows."""
    a, b = old.tensor, new.tensor
    if not old.pieces or not new.pieces or (a.shape, a.dtype) != (b.shape, b.dtype):
        return False
    if [(p.shape, p.stride) for p in old.pieces] == [(p.shape, p.stride) for p in new.pieces]:
        return True
    return all(p.shape[1:] == f.tensor.shape[1:] and whole(p) for f in (old, new) for p in f.pieces)


def _change(old: Found, new: Found) -> Change:
    apart = size = largest = 0.0
    with np.errstate(all="ignore"):
        for a, b in _aligned(value_blocks(old), value_blocks(new)):
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


def _aligned(first: Iterator[Values], second: Iterator[Values]) -> Iterator[tuple[Values, Values]]:
    """Two streams of as many values, in blocks of equal length. Raises Damaged where one ends early."""
    a = b = np.zeros(0, np.float32)
    while True:
        a = a if len(a) else next(first, a)
        b = b if len(b) else next(second, b)
        n = min(len(a), len(b))
        if not n:
            if len(a) or len(b):
                raise Damaged("two tensors of one shape hold different numbers of values")
            return
        yield a[:n], b[:n]
        a, b = a[n:], b[n:]
