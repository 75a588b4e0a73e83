"""The eight classes of structures, each a function of random choices. Every shape stands on the ground and is 6-connected.

A shape takes a generator, the box (x, y, z) with y up, and the materials by role; it returns a grid (x, y, z) of uint8
block ids and how large it came out, from 0 (smallest) to 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from runvet_lab.voxels.blocks import AIR

Grid: TypeAlias = npt.NDArray[np.uint8]
Box: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Materials:
    """Ids of the main block, and of those for roofs, crowns and panes."""

    main: int
    second: int
    pane: int = 20


def tree(rng: np.random.Generator, box: Box, materials: Materials) -> tuple[Grid, float]:
    """A trunk with a round, tall or pointed crown around its top, which hangs low or leaves the trunk bare."""
    grid, (x, y, z) = _empty(box), box
    radius = _between(rng, 2, max(3, min(x, z) // 5))
    trunk = _between(rng, max(3, y // 5), max(4, min(y // 2, y - radius - 2)))
    middle = np.array([x // 2, trunk, z // 2])
    cells = np.indices(box).transpose(1, 2, 3, 0) - middle
    tall = radius + _between(rng, 0, 1)
    aside = np.hypot(cells[..., 0], cells[..., 2]) / (radius + 0.3)
    if rng.random() < 0.3:
        crown = aside <= (tall + 0.3 - cells[..., 1]) / (2 * tall + 0.6)
    else:
        crown = aside**2 + (cells[..., 1] / (tall + 0.3)) ** 2 <= 1
    lowest = max(2, trunk - tall + _between(rng, 0, 1))
    grid[crown & (np.arange(y)[None, :, None] >= lowest)] = materials.second
    grid[x // 2, : trunk + 1, z // 2] = materials.main
    return grid, _share(trunk, max(3, y // 5), max(4, min(y // 2, y - radius - 2)))


def house(rng: np.random.Generator, box: Box, materials: Materials) -> tuple[Grid, float]:
    """Four walls with a floor, a door and windows under a stepped or a flat roof."""
    grid, (x, y, z) = _empty(box), box
    wide, deep = _between(rng, 6, x - 4), _between(rng, 6, z - 4)
    high = _between(rng, 4, max(5, y // 3))
    x0, z0 = (x - wide) // 2, (z - deep) // 2
    x1, z1 = x0 + wide, z0 + deep
    grid[x0:x1, : high + 1, z0:z1] = materials.main
    grid[x0 + 1 : x1 - 1, 1:high, z0 + 1 : z1 - 1] = AIR
    door = (x0 + x1) // 2
    grid[door, 1:3, z0] = AIR
    for pane in (x0 + 1, x1 - 2):
        grid[pane, 2, z0] = materials.pane
        grid[pane, 2, z1 - 1] = materials.pane
    grid[x0:x1, high, z0:z1] = materials.second
    if rng.random() < 0.6:
        for step in range(1, min((wide + 1) // 2, y - high)):
            grid[x0 + step : x1 - step, high + step, z0:z1] = materials.second
    return grid, _share(wide * deep, 36, (x - 4) * (z - 4))


def wall(rng: np.random.Generator, box: Box, materials: Materials) -> tuple[Grid, float]:
    """A wall one or two blocks thick, along x or z, with or without battlements."""
    grid, (x, y, z) = _empty(box), box
    along_z = bool(rng.integers(2))
    room = z if along_z else x
    length, high, thick = _between(rng, room // 2, room - 2), _between(rng, 3, max(4, y // 3)), _between(rng, 1, 2)
    start = (room - length) // 2
    side = ((x if along_z else z) - thick) // 2
    flat = grid.transpose(2, 1, 0) if along_z else grid  # a view: writing goes into the grid
    flat[start : start + length, :high, side : side + thick] = materials.main
    if rng.random() < 0.5:
        flat[start : start + length : 2, high, side : side + thick] = materials.second
    return grid, _share(length * high, room // 2 * 3, (room - 2) * max(4, y // 3))


def pyramid(rng: np.random.Generator, box: Box, materials: Materials) -> tuple[Grid, float]:
    """Solid square layers, each two narrower than the one below; now and then a tip of another block."""
    grid, (x, y, z) = _empty(box), box
    most = min(x, z, 2 * y) - 1
    base = _between(rng, 7, most)
    for layer in range((base + 1) // 2):
        side = base - 2 * layer
        x0, z0 = (x - side) // 2, (z - side) // 2
        block = materials.second if side <= 2 else materials.main
        grid[x0 : x0 + side, layer, z0 : z0 + side] = block
    return grid, _share(base, 7, most)


def tower(rng: np.random.Generator, box: Box, materials: Materials) -> tuple[Grid, float]:
    """A hollow square column with a wider platform and battlements, with or without windows."""
    grid, (x, y, z) = _empty(box), box
    side, high = _between(rng, 4, max(5, min(x, z) // 3)), _between(rng, y // 2, y - 3)
    x0, z0 = (x - side) // 2, (z - side) // 2
    grid[x0 : x0 + side, :high, z0 : z0 + side] = materials.main
    grid[x0 + 1 : x0 + side - 1, 1:high, z0 + 1 : z0 + side - 1] = AIR
    grid[x0 + side // 2, 1:3, z0] = AIR
    if rng.random() < 0.5:
        grid[x0 + side // 2, 4 : high - 1 : 3, [z0, z0 + side - 1]] = materials.pane
    grid[x0 - 1 : x0 + side + 1, high, z0 - 1 : z0 + side + 1] = materials.second
    rim = grid[x0 - 1 : x0 + side + 1, high + 1, z0 - 1 : z0 + side + 1]
    apart = _between(rng, 1, 2)
    rim[::apart, [0, -1]] = materials.main
    rim[[0, -1], ::apart] = materials.main
    return grid, _share(high, y // 2, y - 3)


def bridge(rng: np.random.Generator, box: Box, materials: Materials) -> tuple[Grid, float]:
    """A deck on two or three pillars, along x or z, with railings."""
    grid, (x, y, z) = _empty(box), box
    along_z = bool(rng.integers(2))
    room, across = (z, x) if along_z else (x, z)
    length, high, wide = _between(rng, room * 5 // 8, room), _between(rng, 3, max(4, y // 3)), 3
    start, side = (room - length) // 2, (across - wide) // 2
    flat = grid.transpose(2, 1, 0) if along_z else grid
    flat[start : start + length, high, side : side + wide] = materials.second
    pillars = [start, start + length - 1, *([start + length // 2] if rng.random() < 0.5 else [])]
    for at in pillars:
        flat[at, :high, side : side + wide] = materials.main
    if rng.random() < 0.7:
        flat[start : start + length, high + 1, [side, side + wide - 1]] = materials.second
    return grid, _share(length, room * 5 // 8, room)


def arch(rng: np.random.Generator, box: Box, materials: Materials) -> tuple[Grid, float]:
    """Two pillars, and a beam with corbels above them."""
    grid, (x, y, z) = _empty(box), box
    along_z = bool(rng.integers(2))
    room, across = (z, x) if along_z else (x, z)
    span, high, thick = _between(rng, room // 2, room - 3), _between(rng, y * 3 // 8, y * 3 // 4), _between(rng, 1, 2)
    start, side = (room - span) // 2, (across - thick) // 2
    flat = grid.transpose(2, 1, 0) if along_z else grid
    for at in (start, start + span - 2):
        flat[at : at + 2, :high, side : side + thick] = materials.main
    flat[start : start + span, high : high + 2, side : side + thick] = materials.second
    flat[start + 2, high - 1, side : side + thick] = materials.main
    flat[start + span - 3, high - 1, side : side + thick] = materials.main
    return grid, _share(high, y * 3 // 8, y * 3 // 4)


def cube(rng: np.random.Generator, box: Box, materials: Materials) -> tuple[Grid, float]:
    """A solid cube, in bands of two blocks now and then."""
    grid, (x, _, z) = _empty(box), box
    most = min(box) * 5 // 8
    side = _between(rng, 4, most)
    x0, z0 = (x - side) // 2, (z - side) // 2
    grid[x0 : x0 + side, :side, z0 : z0 + side] = materials.main
    if rng.random() < 0.4:
        grid[x0 : x0 + side, 1:side:2, z0 : z0 + side] = materials.second
    return grid, _share(side, 4, most)


Shape: TypeAlias = Callable[[np.random.Generator, Box, Materials], tuple[Grid, float]]
SHAPES: dict[str, Shape] = {shape.__name__: shape for shape in (tree, house, wall, pyramid, tower, bridge, arch, cube)}


def _empty(box: Box) -> Grid:
    return np.zeros(box, np.uint8)


def _between(rng: np.random.Generator, low: int, high: int) -> int:
    """A whole number from low to high, both possible."""
    return int(rng.integers(low, max(low, high) + 1))


def _share(value: float, low: float, high: float) -> float:
    return 0.5 if high <= low else float(np.clip((value - low) / (high - low), 0, 1))
