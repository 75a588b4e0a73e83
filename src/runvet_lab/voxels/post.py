"""Repairs of finished structures. What they hide is told: every repair reports the structure before and after.

A repaired sample says nothing about the model: judge a run by its raw samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from runvet_lab.voxels.blocks import AIR
from runvet_lab.voxels.shapes import Grid


@dataclass(frozen=True, slots=True)
class State:
    """What there is of a structure: solid blocks, 6-connected parts, shares of the largest part and of floating blocks."""

    solid: int
    parts: int
    largest: float
    floating: float


def state(grid: Grid) -> State:
    """Measure a grid (x, y, z). A part floats where none of its blocks stands on the ground (y = 0)."""
    solid = grid != AIR
    marks, count = ndimage.label(solid)
    if count == 0:
        return State(0, 0, 0.0, 0.0)
    sizes = np.bincount(marks.reshape(-1), minlength=count + 1)[1:]
    standing = np.unique(marks[:, 0, :])
    grounded = int(sizes[standing[standing > 0] - 1].sum())
    total = int(sizes.sum())
    return State(total, count, float(sizes.max() / total), 1 - grounded / total)


def drop_floating(grid: Grid) -> Grid:
    """Without the parts that do not stand on the ground."""
    marks, _ = ndimage.label(grid != AIR)
    standing = np.unique(marks[:, 0, :])
    return _kept(grid, np.isin(marks, standing[standing > 0]))


def largest(grid: Grid) -> Grid:
    """The largest 6-connected part alone."""
    marks, count = ndimage.label(grid != AIR)
    if count == 0:
        return grid.copy()
    sizes = np.bincount(marks.reshape(-1))
    sizes[0] = 0
    return _kept(grid, marks == sizes.argmax())


def connect(grid: Grid) -> Grid:
    """Every part joined to the largest by the shortest straight-edged path, of the block that it starts from."""
    made = grid.copy()
    while True:
        marks, count = ndimage.label(made != AIR)
        if count < 2:
            return made
        sizes = np.bincount(marks.reshape(-1))
        sizes[0] = 0
        base = marks == sizes.argmax()
        distance, nearest = ndimage.distance_transform_cdt(~base, metric="taxicab", return_indices=True)
        others = (marks > 0) & ~base
        start = np.array(np.unravel_index(np.where(others, distance, np.iinfo(np.int32).max).argmin(), made.shape))
        _lay(made, start, nearest[:, start[0], start[1], start[2]])


def fill(grid: Grid) -> Grid:
    """Single cells of air that blocks enclose on all six sides, filled with the block below them."""
    solid = np.pad(grid != AIR, 1)
    around = np.ones(grid.shape, bool)
    for axis in range(3):
        for step in (-1, 1):
            around &= np.roll(solid, step, axis)[1:-1, 1:-1, 1:-1]
    holes = around & (grid == AIR)
    made: Grid = np.where(holes, np.roll(grid, 1, axis=1), grid)
    return made


REPAIRS: dict[str, Callable[[Grid], Grid]] = {
    "drop-floating": drop_floating,
    "largest": largest,
    "connect": connect,
    "fill": fill,
}


def repair(grid: Grid, steps: Sequence[str]) -> tuple[Grid, State, State]:
    """The repaired grid, and its state before and after. Raises ValueError for an unknown step."""
    unknown = [step for step in steps if step not in REPAIRS]
    if unknown:
        raise ValueError(f"unknown repairs {', '.join(unknown)}; known are {', '.join(REPAIRS)}")
    made = grid
    for step in steps:
        made = REPAIRS[step](made)
    return made, state(grid), state(made)


def _kept(grid: Grid, mask: npt.NDArray[np.bool_]) -> Grid:
    """The grid where the mask holds, air elsewhere."""
    made: Grid = np.where(mask, grid, np.uint8(AIR))
    return made


def _lay(grid: Grid, start: npt.NDArray[np.int64], end: npt.NDArray[np.int64]) -> None:
    """Blocks from one cell to another, along one axis after the other; `end` is part of another component."""
    block, at = grid[tuple(start)], start.copy()
    for axis in range(3):
        while at[axis] != end[axis]:
            at[axis] += 1 if end[axis] > at[axis] else -1
            if grid[tuple(at)] == AIR:
                grid[tuple(at)] = block
