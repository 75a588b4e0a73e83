"""The numbers of many items of a data set at once: items of one shape and type are measured together."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from runvet.artifacts import near
from runvet.artifacts.components import parts_of
from runvet.artifacts.model import Array

Kind: TypeAlias = Literal["grids", "pictures", "arrays", "records", "sounds", "texts"]
CONNECTED = 200_000  # cells of the largest grid whose connected parts are counted
CHUNK = 4 << 20  # bytes that are measured together
HELD = 32 << 20  # bytes of items that wait to be measured
_SEEN = 64  # cells of a grid that are looked at to guess its most frequent value
NAN = float("nan")


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
            each = max(1, self._waiting[numbers[0]].array.nbytes)
            size = max(1, CHUNK // each)
            for at in range(0, len(numbers), size):
                batch = numbers[at : at + size]
                for number, one in zip(batch, measured([self._waiting[n] for n in batch], kind), strict=True):
                    found[number] = one
        self._done += [one for one in found if one is not None]
        self._waiting, self._held = [], 0


def measured(items: Sequence[Waiting], kind: Kind) -> list[One]:
    """Items of one kind, shape and type, measured together."""
    stack = np.stack([i.array for i in items])
    flat = stack.reshape(len(items), -1)
    if kind == "grids":
        columns, digests = _grids(stack, flat)
    elif stack.dtype == np.uint8:
        columns, digests = _bytes(stack, flat, pictures=kind == "pictures"), _digests(flat)
    else:
        rows = [_numbers(row) for row in flat]
        columns = Columns(*(np.array(c) for c in zip(*rows, strict=True)))
        digests = _digests(flat)
    head = f"{stack.shape[1:]}".encode()
    out = []
    for n, item in enumerate(items):
        digest = hashlib.blake2b(head, digest_size=16)
        for part in digests[n]:
            digest.update(part.data)
        sketch = b"" if columns.sketches is None else columns.sketches[n].tobytes()
        low, high, mean, sd = (float(c[n]) for c in (columns.low, columns.high, columns.mean, columns.sd))
        filled, whole = (NAN if c is None else float(c[n]) for c in (columns.filled, columns.whole))
        out.append(One(item.name, item.label, item.split, stack.shape[1:], digest.digest(), low, high, mean, sd,
                       int(columns.broken[n]), filled, whole, sketch))  # fmt: skip
    return out


@dataclass(frozen=True, slots=True)
class Columns:
    """Measures of n items, each of shape (n,); sketches (n, 256)."""

    low: npt.NDArray[Any]
    high: npt.NDArray[Any]
    mean: npt.NDArray[Any]
    sd: npt.NDArray[Any]
    broken: npt.NDArray[Any]
    filled: npt.NDArray[Any] | None = None
    whole: npt.NDArray[Any] | None = None
    sketches: near.Sketches | None = None


def _digests(flat: Array) -> list[tuple[Array, ...]]:
    """What a digest is made of: whole numbers in one type, so that it does not depend on how they are stored."""
    if flat.dtype.kind not in "iub" or flat.dtype == np.uint8:
        return [(row,) for row in flat]
    return [(r.astype(np.uint8 if r.min() >= 0 and r.max() <= 255 else np.int64),) for r in flat]


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


def _bytes(stack: Array, flat: Array, *, pictures: bool) -> Columns:
    """Items (n, *shape) of uint8, with thumbnails where they are pictures (n, h, w, c)."""
    low, high = flat.min(axis=1), flat.max(axis=1)
    wide = flat.astype(np.float32)
    mean = (wide @ np.ones(flat.shape[1], np.float32)).astype(np.float64) / flat.shape[1]
    square = np.einsum("ij,ij->i", wide, wide).astype(np.float64) / flat.shape[1]
    sd = np.where(low == high, 0.0, np.sqrt(np.maximum(square - mean**2, 1e-12)))
    sketches = near.picture_sketches(wide.reshape(stack.shape)) if pictures and stack.ndim == 4 else None
    return Columns(low, high, np.where(low == high, low, mean), sd, np.zeros(len(flat), np.int64), sketches=sketches)


def _grids(stack: Array, flat: Array) -> tuple[Columns, list[tuple[Array, ...]]]:
    """Grids (n, *shape) of whole numbers. Only the mask looks at every cell; all else at the cells that it holds."""
    n, size = flat.shape
    common = _most_frequent(flat)
    mask = flat != common[:, None]
    filled = np.array([np.count_nonzero(row) for row in mask])
    place = np.flatnonzero(mask)
    owner = np.repeat(np.arange(n), filled)
    values = flat.reshape(-1)[place].astype(np.int64)
    cells = (place - owner * size).astype(np.int32)
    ends = np.cumsum(filled)
    shaped = mask.reshape(stack.shape)
    whole = np.full(n, NAN)
    chosen = [i for i in range(n) if 0 < filled[i] <= size / 2 and size <= CONNECTED]
    whole[chosen] = [p.share for p in parts_of([shaped[i] for i in chosen])]
    low, high, mean, sd = _moments(common.astype(np.int64), values, owner, filled, size)
    columns = Columns(low, high, mean, sd, np.zeros(n, np.int64), filled / size, whole,
                      near.grid_sketches(cells, values, owner, n))  # fmt: skip
    parts = [slice(e - f, e) for e, f in zip(ends.tolist(), filled.tolist(), strict=True)]
    return columns, [(common[i : i + 1].astype(np.int64), cells[p], values[p]) for i, p in enumerate(parts)]


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


def _most_frequent(flat: Array) -> npt.NDArray[Any]:
    """The most frequent value of each row (n, k)."""
    # A value that fills more than half of a row is the median of nearly any sample of it, and that it does is quickly
    # counted; only other rows are sorted.
    size = flat.shape[1]
    sample = flat[:, :: max(1, size // _SEEN)]
    guess = np.partition(sample, sample.shape[1] // 2, axis=1)[:, sample.shape[1] // 2].copy()
    for n, row in enumerate(flat):
        if 2 * np.count_nonzero(row == guess[n]) <= size:
            values, counts = np.unique(row, return_counts=True)
            guess[n] = values[counts.argmax()]
    return np.asarray(guess)


def column(items: Sequence[One], name: str) -> npt.NDArray[np.float64]:
    """One measure of some items, shape (n,)."""
    return np.array([getattr(i, name) for i in items], np.float64)
