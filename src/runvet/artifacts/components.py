"""Connected parts of many small masks at once: runs of filled cells, joined by a union-find over whole arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]
BATCH = 1 << 19  # cells that are labelled together: more would not stay in the processor's cache


@dataclass(frozen=True, slots=True)
class Parts:
    """Connected parts of the filled cells: how many, the largest one's cells, and its share (0 for an empty grid)."""

    count: int
    largest: int
    filled: int

    @property
    def share(self) -> float:
        """Cells of the largest part over all filled cells."""
        return self.largest / self.filled if self.filled else 0.0


def parts(filled: Mask) -> Parts:
    """The face-connected parts of a mask of any number of dimensions (4 neighbours in 2-D, 6 in 3-D)."""
    return parts_of([filled])[0]


def parts_of(masks: Sequence[Mask]) -> list[Parts]:
    """The face-connected parts of each of many masks; those of one shape are labelled together.

    Cells in a row are one run, so that a grid of 30,000 cells has a few hundred nodes; the nodes of a batch of grids
    go through one union-find.
    """
    found: list[Parts] = [Parts(0, 0, 0)] * len(masks)
    shapes: dict[tuple[int, ...], list[int]] = {}
    for number, mask in enumerate(masks):
        if mask.size:
            shapes.setdefault(mask.shape or (1,), []).append(number)
    for shape, numbers in shapes.items():
        size = max(1, BATCH // math.prod(shape))
        for at in range(0, len(numbers), size):
            batch = numbers[at : at + size]
            stack = np.stack([masks[n].reshape(shape) for n in batch])
            made = parts_of_cells(np.flatnonzero(stack), len(batch), shape)
            for n, *one in zip(batch, *(column.tolist() for column in made), strict=True):
                found[n] = Parts(*one)
    return found


def parts_of_cells(place: Numbers, n: int, shape: tuple[int, ...]) -> tuple[Numbers, Numbers, Numbers]:
    """Count of parts, cells of the largest, and filled cells of `n` masks of one shape, each of shape (n,).

    `place` (m,) tells the filled cells in order, as places in the flat stack (n, *shape).
    """
    starts, ends = _runs(place, shape[-1])
    length = ends - starts
    row = starts // (shape[-1] + 1)  # lines along the last axis, over all masks
    root = joined(len(starts), _touching(starts, ends, row, shape))
    sizes = np.bincount(root, weights=length, minlength=len(starts)).astype(np.int64)
    owner = row // math.prod(shape[:-1])
    largest = np.zeros(n, np.int64)
    np.maximum.at(largest, owner, sizes)
    count = np.bincount(owner[root == np.arange(len(root))], minlength=n)
    return count, largest, np.bincount(owner, weights=length, minlength=n).astype(np.int64)


def _runs(place: Numbers, width: int) -> tuple[Numbers, Numbers]:
    """Starts and ends of the runs of filled cells along the last axis, where each line has one empty cell more."""
    if not len(place):
        return place, place
    apart = place + place // width
    first = np.concatenate([[0], np.flatnonzero(np.diff(apart) != 1) + 1])
    return apart[first], apart[first] + np.diff(first, append=len(place))


def _touching(starts: Numbers, ends: Numbers, row: Numbers, shape: tuple[int, ...]) -> tuple[Numbers, Numbers]:
    """Pairs of runs that share a face across each axis but the last: two arrays of equal length."""
    first: list[Numbers] = [np.zeros(0, np.int64)]
    second: list[Numbers] = [np.zeros(0, np.int64)]
    low_ends, low_starts = ends.astype(np.int32), starts.astype(np.int32)  # halves the cost of the searches
    step = 1  # lines from one line to the next along the axis
    for size in reversed(shape[:-1]):
        if size > 1:
            inner = np.flatnonzero((row // step) % size != size - 1)
            shift = np.int32(step * (shape[-1] + 1))
            low = np.searchsorted(low_ends, low_starts[inner] + shift, "right")
            high = np.searchsorted(low_starts, low_ends[inner] + shift, "left")
            number = high - low
            before = np.cumsum(number) - number
            first.append(np.repeat(inner, number))
            second.append(np.repeat(low - before, number) + np.arange(int(number.sum())))
        step *= size
    return np.concatenate(first), np.concatenate(second)


def joined(count: int, pairs: tuple[Numbers, Numbers]) -> Numbers:
    """The root of each of `count` nodes joined by pairs: hook the larger root under the smaller, halve the paths.

    Shiloach and Vishkin 1982, doi 10.1016/0196-6774(82)90008-6.
    """
    root = np.arange(count)
    a, b = pairs
    while len(a):
        ra, rb = root[a], root[b]
        apart = ra != rb
        if not apart.any():
            break
        a, b, ra, rb = a[apart], b[apart], ra[apart], rb[apart]
        np.minimum.at(root, np.maximum(ra, rb), np.minimum(ra, rb))
        while True:
            up = root[root]
            if np.array_equal(up, root):
                break
            root = up
    return root
