"""Voxel and token grids: whole numbers in 2-D or 3-D, their filled cells, connected parts and values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from runvet.artifacts.model import Array, evenly

Grid = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
CELLS = 8 << 20  # cells of the largest grid that is looked at
MOST = 256  # grids taken from one file that stacks many
_NAMES = (
    "voxels",
    "voxel",
    "blocks",
    "grid",
    "block_ids",
    "ids",
    "structure",
    "occupancy",
    "tokens",
    "array",
    "arr_0",
    "data",
)


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


def connectivity(grid: Array, background: int | Iterable[int] = 0) -> Parts:
    """The parts of a grid's filled cells, joined through faces (6 neighbours in 3-D, 4 in 2-D).

    `grid` is any array of whole numbers or truth values of 1 to 4 dimensions; cells whose value is in `background`
    are empty. Raises ValueError for floats that are no whole numbers.
    """
    grid = np.asarray(grid)
    if grid.dtype.kind == "f" and not np.array_equal(grid, np.round(grid)):
        raise ValueError("a grid holds whole numbers")
    empty = [background] if isinstance(background, int) else list(background)
    return parts(~np.isin(grid, empty))


def parts(filled: Mask) -> Parts:
    """The face-connected parts of a mask of any number of dimensions."""
    cells = int(filled.sum())
    if not cells:
        return Parts(0, 0, 0)
    number = np.full(filled.shape, -1, np.int64)
    number[filled] = np.arange(cells)
    pairs = []
    for axis in range(filled.ndim):
        low, high = np.moveaxis(number, axis, 0)[:-1], np.moveaxis(number, axis, 0)[1:]
        both = (low >= 0) & (high >= 0)
        pairs.append(np.stack([low[both], high[both]]))
    sizes = np.bincount(_labels(cells, np.concatenate(pairs, axis=1)), minlength=cells)
    return Parts(int((sizes > 0).sum()), int(sizes.max()), cells)


def _labels(count: int, pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The root of each of `count` nodes joined by pairs (2, m): hook the larger root under the smaller, halve the paths."""
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


def grids_of(arrays: Mapping[str, Array]) -> list[Grid]:
    """The grids in one file, at most 256: whole numbers of (D, H, W), of (N, D, H, W), or with channels last.

    Of channels the first is taken (block ids; the others are metadata). Pictures (H, W, 3) are no grids.
    """
    found = main_array(arrays)
    if found is None:
        return []
    array = found
    if array.dtype.kind == "f":
        if array.size > CELLS or not np.isfinite(array).all() or not np.array_equal(array, np.round(array)):
            return []
    elif array.dtype.kind not in "iub":
        return []
    if array.ndim == 5 and array.shape[-1] <= 4:
        array = array[..., 0]
    if array.ndim == 4 and array.shape[-1] <= 4 < min(array.shape[:3]):
        array = array[..., 0]
    if array.ndim == 4 and min(array.shape[1:]) >= 3:
        return [np.asarray(array[i], np.int64) for i in evenly(range(len(array)), MOST) if array[0].size <= CELLS]
    if array.ndim == 3 and min(array.shape) >= 5 and array.size <= CELLS:
        return [np.asarray(array, np.int64)]
    return []


def main_array(arrays: Mapping[str, Array]) -> Array | None:
    """The array that holds the thing itself: one with a usual name, else the largest numeric one."""
    numeric = {k: v for k, v in arrays.items() if v.dtype.kind in "iufb" and v.ndim >= 1 and v.size}
    for name in _NAMES:
        if name in numeric and numeric[name].ndim >= 2:
            return numeric[name]
    return max(numeric.values(), key=lambda v: v.size, default=None)


def counts(grid: Grid) -> dict[int, int]:
    """How many cells hold each value."""
    values, number = np.unique(grid, return_counts=True)
    return dict(zip(values.tolist(), number.tolist(), strict=True))
