"""Voxel and token grids: whole numbers in 2-D or 3-D, their filled cells and values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from runvet.artifacts.components import Parts, parts
from runvet.artifacts.model import Array, evenly
from runvet.artifacts.onehot import ids_of
from runvet.artifacts.pictures import pictures_of

Grid = npt.NDArray[np.int64]
CELLS = 8 << 20  # cells of the largest grid that is looked at
MOST = 256  # grids taken from one file that stacks many
TOKENS = ("tokens", "token_ids", "codes", "code_ids", "indices", "codebook_indices", "input_ids")
_NAMES = (
    "voxels",
    "voxel",
    "blocks",
    "grid",
    "block_ids",
    "ids",
    "structure",
    "occupancy",
    *TOKENS,
    "array",
    "arr_0",
    "data",
)


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


def grids_of(arrays: Mapping[str, Array]) -> list[Grid]:
    """The grids in one file, at most 256, as int64: whole numbers of (D, H, W), of (N, D, H, W), or with channels last.

    Classes that have a channel each (one-hot or probabilities, channels last or first) become the most likely class.
    Tokens (see `is_tokens`) may also be (T,) or (H, W). Of channels the first is taken (block ids; the others are
    metadata). Pictures (H, W, 3) are no grids.
    """
    return [np.asarray(g, np.int64) for g in stored_grids(arrays)]


def stored_grids(arrays: Mapping[str, Array], *, maybe_pictures: bool = True) -> list[Array]:
    """The same grids in the type in which they are stored; `maybe_pictures`: that the file holds none is not known."""
    array = main_array(arrays)
    if array is None or (maybe_pictures and pictures_of(arrays, most=1)):
        return []
    array = ids_of(array)
    if array.dtype.kind == "f":
        if array.size > CELLS or not np.isfinite(array).all() or not np.array_equal(array, np.round(array)):
            return []
        array = array.astype(np.int64)
    elif array.dtype.kind not in "iub":
        return []
    if is_tokens(arrays):
        rows = array if array.ndim >= 3 else array[None]
        return [rows[i] for i in evenly(range(len(rows)), MOST) if rows[0].size <= CELLS]
    if array.ndim == 5 and array.shape[-1] <= 4:
        array = array[..., 0]
    if array.ndim == 4 and array.shape[-1] <= 4 < min(array.shape[:3]):
        array = array[..., 0]
    if array.ndim == 4 and min(array.shape[1:]) >= 3:
        return [array[i] for i in evenly(range(len(array)), MOST) if array[0].size <= CELLS]
    if array.ndim == 3 and min(array.shape) >= 5 and array.size <= CELLS:
        return [array]
    return []


def is_tokens(arrays: Mapping[str, Array]) -> bool:
    """Whether a file holds tokens: whole numbers under a name such as `tokens`, of (T,), (H, W) or (N, H, W).

    Tokens are names without a background: none of them means "empty".
    """
    array = main_array(arrays)
    named = any(array is v and k.lower() in TOKENS for k, v in arrays.items())
    return named and array is not None and array.dtype.kind in "iu" and array.ndim <= 3


def main_array(arrays: Mapping[str, Array]) -> Array | None:
    """The array that holds the thing itself: one with a usual name, else the largest numeric one."""
    numeric = {k: v for k, v in arrays.items() if v.dtype.kind in "iufb" and v.ndim >= 1 and v.size}
    for name in _NAMES:
        if name in numeric and (numeric[name].ndim >= 2 or name in TOKENS):
            return numeric[name]
    return max(numeric.values(), key=lambda v: v.size, default=None)


def counts(grid: Grid) -> dict[int, int]:
    """How many cells hold each value."""
    values, number = np.unique(grid, return_counts=True)
    return dict(zip(values.tolist(), number.tolist(), strict=True))
