"""The numbers of many items of a data set at once: items of one shape and type are measured together."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from runvet.artifacts import near
from runvet.artifacts.components import parts_of_cells
from runvet.artifacts.model import Array

Kind: TypeAlias = Literal["grids", "pictures", "arrays", "records", "sounds", "texts"]
CONNECTED = 200_000  # cells of the largest grid whose connected parts are counted
CHUNK = 1 << 19  # bytes that are measured together: more would not stay in the processor's cache
HELD = 2 << 20  # bytes of items that wait to be measured while others are read
_SEEN = 64  # cells of a grid that are looked at to guess its most frequent value
NAN = float("nan")
DIGEST = 16  # bytes
Content: TypeAlias = tuple[bytes, Array]  # what a digest is made of


@dataclass(frozen=True, slots=True)
class One:
    """One item of a data set: a digest of its content and the numbers that a profile needs."""

    name: str
    label: str
    split: str
    shape: tuple[int, ...]
    digest: bytes
    low: float
    high: float
    mean: float
    sd: float
    non_finite: int
    filled: float  # share of cells that do not hold the most frequent value; NaN where not whole numbers
    whole: float = NAN  # share of the filled cells in the largest connected part; NaN where not computed
    sketch: bytes = field(default=b"", repr=False)  # see near.py; empty where none is made


@dataclass(frozen=True, slots=True)
class Waiting:
    """An item that is not measured yet."""

    name: str
    label: str
    split: str
    array: Array
    kind: Kind


class Measurer:
    """Collects items and measures those of one shape together; `items` are in the order in which they came."""

    def __init__(self) -> None:
        self._waiting: list[Waiting] = []
        self._held = 0
        self._done: list[One] = []

    def __len__(self) -> int:
        return len(self._done) + len(self._waiting)

    def add(self, item: Waiting) -> None:
        """Take one item; its array is let go once some megabytes have come together."""
        self._waiting.append(item)
        self._held += item.array.nbytes
        if self._held > HELD:
            self._flush()

    def items(self) -> list[One]:
        """All items, measured."""
        self._flush()
        return self._done

    def _flush(self) -> None:
        alike: dict[tuple[Any, ...], list[int]] = {}
        for number, item in enumerate(self._waiting):
            alike.setdefault((item.kind, item.array.shape, item.array.dtype.str), []).append(number)
        found: list[One | None] = [None] * len(self._waiting)
        for (kind, *_), numbers in alike.items():
            # Of grids only the filled cells are looked at together, and those are few.
            size = len(numbers) if kind == "grids" else max(1, CHUNK // max(1, self._waiting[numbers[0]].array.nbytes))
            for at in range(0, len(numbers), size):
                batch = numbers[at : at + size]
                for number, one in zip(batch, measured([self._waiting[n] for n in batch], kind), strict=True):
                    found[number] = one
        self._done += [one for one in found if one is not None]
        self._waiting, self._held = [], 0


def measured(items: Sequence[Waiting], kind: Kind) -> list[One]:
    """Items of one kind, shape and type, measured together."""
    if kind == "grids":
        return _told(items, *_grids([i.array for i in items]))
    stack = np.stack([i.array for i in items])
    flat = stack.reshape(len(items), -1)
    if stack.dtype == np.uint8:
        columns, contents = _bytes(stack, kind), [(b"", row) for row in flat]
    else:
        low, high, mean, sd, broken = (np.array(c) for c in zip(*(_numbers(row) for row in flat), strict=True))
        columns = Columns(low, high, mean, sd, broken)
        if kind in ("arrays", "records") and not columns.broken.any():
            rows = zip(flat, columns.mean.tolist(), columns.sd.tolist(), strict=True)
            columns = replace(
                columns, sketches=[near.array_sketch(np.asarray(r, np.float64), m, d) for r, m, d in rows]
            )
        contents = _in_one_type(flat)
    return _told(items, columns, contents)


def _told(items: Sequence[Waiting], columns: Columns, contents: Sequence[Content]) -> list[One]:
    """Items of one shape with their measures and a digest of their content."""
    shape = items[0].array.shape
    begun = hashlib.sha256(f"{shape}".encode(), usedforsecurity=False)
    out = []
    for item, content, numbers in zip(items, contents, columns.rows(), strict=True):
        whole = begun.copy()
        whole.update(content[0])
        whole.update(content[1].data)
        out.append(One(item.name, item.label, item.split, shape, whole.digest()[:DIGEST], *numbers))
    return out


@dataclass(frozen=True, slots=True)
class Columns:
    """Measures of n items, each of shape (n,), and the sketches of those that have one."""

    low: npt.NDArray[Any]
    high: npt.NDArray[Any]
    mean: npt.NDArray[Any]
    sd: npt.NDArray[Any]
    broken: npt.NDArray[Any]
    filled: npt.NDArray[Any] | None = None
    whole: npt.NDArray[Any] | None = None
    sketches: list[bytes] | None = None

    def rows(self) -> Iterator[tuple[float, float, float, float, int, float, float, bytes]]:
        """The measures of each item, in the order of `One`."""
        n = len(self.low)
        numbers = [np.asarray(c, np.float64).tolist() for c in (self.low, self.high, self.mean, self.sd)]
        shares = [[NAN] * n if c is None else c.tolist() for c in (self.filled, self.whole)]
        sketches = [b""] * n if self.sketches is None else self.sketches
        return zip(*numbers, self.broken.tolist(), *shares, sketches, strict=True)


def _in_one_type(flat: Array) -> list[Content]:
    """What digests are made of: whole numbers in one type, so that it does not depend on how they are stored."""
    if flat.dtype.kind not in "iub":
        return [(b"", row) for row in flat]
    return [(b"", r.astype(np.uint8 if r.min() >= 0 and r.max() <= 255 else np.int64)) for r in flat]


def _numbers(row: Array) -> tuple[float, float, float, float, int]:
    """Lowest, highest, mean and standard deviation of the finite values of one item, and how many are not."""
    with np.errstate(all="ignore"):
        finite = row[np.isfinite(row)] if row.dtype.kind == "f" else row
        if not finite.size:
            return NAN, NAN, NAN, NAN, row.size
        wide = finite.astype(np.float64)
        low, high = float(wide.min()), float(wide.max())
        sd = 0.0 if low == high else float(wide.std())
        return low, high, float(wide.mean()), sd, int(row.size - finite.size)


def _bytes(stack: Array, kind: Kind) -> Columns:
    """Items (n, *shape) of uint8, with thumbnails where they are pictures (n, h, w, c)."""
    n, size = len(stack), math.prod(stack.shape[1:])
    flat = stack.reshape(n, size)
    low, high = flat.min(axis=1), flat.max(axis=1)
    # Row by row: sums of a few hundred squares are exact in 32 bits, sums of millions are not.
    wide = stack.reshape(n, stack.shape[1] if stack.ndim > 2 else 1, -1).astype(np.float32)
    mean = np.einsum("nij->ni", wide).sum(axis=1, dtype=np.float64) / size
    square = np.einsum("nij,nij->ni", wide, wide).sum(axis=1, dtype=np.float64) / size
    sd = np.where(low == high, 0.0, np.sqrt(np.maximum(square - mean**2, 1e-12)))
    sketches = None
    if kind == "pictures" and stack.ndim == 4:
        sketches = [s.tobytes() for s in near.picture_sketches(wide.reshape(stack.shape))]
    elif kind == "texts":
        sketches = [near.text_sketch(row) for row in flat]
    return Columns(low, high, np.where(low == high, low, mean), sd, np.zeros(n, np.int64), sketches=sketches)


def _grids(arrays: Sequence[Array]) -> tuple[Columns, list[Content]]:
    """Grids of one shape and of whole numbers. Every cell is looked at once; all else asks the few that are filled."""
    n, size, shape = len(arrays), arrays[0].size, arrays[0].shape
    common = np.zeros(n, np.int64)
    cells: list[npt.NDArray[np.int64]] = []
    held: list[npt.NDArray[np.int64]] = []
    for number, array in enumerate(arrays):
        row = array.reshape(-1)
        common[number], mask = _most_frequent(row)
        cells.append(np.flatnonzero(mask))
        held.append(row[cells[-1]].astype(np.int64))
    filled = np.array([len(c) for c in cells])
    owner = np.repeat(np.arange(n), filled)
    within, values = np.concatenate(cells), np.concatenate(held)
    mixed = near.mixed(within, values)
    whole = _whole(within + owner * size, owner, filled, shape)
    low, high, mean, sd = _moments(common, values, owner, filled, size)
    columns = Columns(low, high, mean, sd, np.zeros(n, np.int64), filled / size, whole,
                      [s.tobytes() for s in near.grid_sketches(mixed, owner, n)])  # fmt: skip
    heads = [c.tobytes() for c in common]
    return columns, list(zip(heads, np.split(mixed, np.cumsum(filled)[:-1]), strict=True))


def _whole(
    place: npt.NDArray[np.int64], owner: npt.NDArray[np.int64], filled: npt.NDArray[np.int64], shape: tuple[int, ...]
) -> npt.NDArray[np.float64]:
    """The share of each grid's filled cells in its largest connected part; NaN for empty, dense and large grids."""
    size = math.prod(shape)
    chosen = (filled > 0) & (2 * filled <= size) & (size <= CONNECTED)
    kept = place if chosen.all() else place[chosen[owner]]
    largest = parts_of_cells(kept, len(filled), shape)[1]
    return np.where(chosen, largest / np.maximum(filled, 1), NAN)


def _moments(
    common: npt.NDArray[np.int64],
    values: npt.NDArray[np.int64],
    owner: npt.NDArray[np.int64],
    filled: npt.NDArray[np.int64],
    size: int,
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Lowest, highest, mean and standard deviation of n grids whose other cells hold `common`."""
    low, high = common.copy(), common.copy()
    np.minimum.at(low, owner, values)
    np.maximum.at(high, owner, values)
    # Around the most frequent value: those cells add nothing, and squares of large numbers stay small.
    apart = (values - common[owner]).astype(np.float64)
    first, second = (np.bincount(owner, weights=w, minlength=len(common)) / size for w in (apart, apart**2))
    sd = np.where(filled == 0, 0.0, np.sqrt(np.maximum(second - first**2, 0)))
    return low, high, common + first, sd


def _most_frequent(row: Array) -> tuple[np.int64, npt.NDArray[np.bool_]]:
    """The most frequent value of some cells (k,), and which of them hold another one (k,)."""
    # A value that fills more than half of a row is the median of nearly any sample of it, and that it does is quickly
    # counted; only other rows are sorted.
    sample = np.sort(row[:: max(1, len(row) // _SEEN)])
    guess = sample[len(sample) // 2]
    mask = row != guess
    if 2 * np.count_nonzero(mask) >= len(row):
        values, counts = np.unique(row, return_counts=True)
        guess = values[counts.argmax()]
        mask = row != guess
    return guess.astype(np.int64), mask


def column(items: Sequence[One], name: str) -> npt.NDArray[np.float64]:
    """One measure of some items, shape (n,)."""
    return np.array([getattr(i, name) for i in items], np.float64)
