"""Structures as one picture: cubes seen from a corner, in the colours of their blocks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from runvet_lab.base.extra import need
from runvet_lab.voxels.blocks import AIR, rgb
from runvet_lab.voxels.shapes import Grid

EDGE = 6  # pixels: half the width of a cube
SHADES = (1.0, 0.8, 0.6)  # of the top, the left and the right face
PAPER = (255, 255, 255)


def sheet(path: Path, rows: Sequence[tuple[str, Grid]], *, edge: int = EDGE) -> None:
    """Write a PNG of rows of structures: a caption and grids (n, x, y, z) each. MissingExtra without Pillow."""
    image, draw = need("PIL.Image"), need("PIL.ImageDraw")
    longest = max(len(grids) for _, grids in rows)
    x, y, z = (max(grids.shape[axis] for _, grids in rows) for axis in (1, 2, 3))
    wide, high = (x + z) * edge + 2 * edge, (x + z) * edge // 2 + y * edge + 2 * edge
    caption = 18
    whole = image.new("RGB", (longest * wide, len(rows) * (high + caption)), PAPER)
    pen = draw.Draw(whole)
    for row, (text, grids) in enumerate(rows):
        top = row * (high + caption)
        pen.text((6, top + 3), text, fill=(40, 40, 40))
        for column, grid in enumerate(grids):
            _structure(pen, grid, column * wide + z * edge + edge, top + caption + y * edge + edge, edge)
    path.parent.mkdir(parents=True, exist_ok=True)
    whole.save(path, optimize=True)


def _structure(pen: Any, grid: Grid, left: int, top: int, edge: int) -> None:
    """Draw one grid (x, y, z), the far cubes first; `left`, `top` is where the corner (0, 0, 0) comes to lie."""
    solid = np.pad(grid != AIR, 1)
    covered = solid[2:, 1:-1, 1:-1] & solid[1:-1, 2:, 1:-1] & solid[1:-1, 1:-1, 2:]
    cells = np.argwhere((grid != AIR) & ~covered)
    for x, y, z in cells[np.argsort(cells.sum(axis=1), kind="stable")]:
        colour = rgb(int(grid[x, y, z]))
        across, down = left + (x - z) * edge, top + (x + z) * edge // 2 - y * edge
        half = edge // 2
        faces = (
            ((0, -edge), (edge, -half), (0, 0), (-edge, -half)),  # top
            ((-edge, -half), (0, 0), (0, edge), (-edge, half)),  # left
            ((0, 0), (edge, -half), (edge, half), (0, edge)),  # right
        )
        for face, shade in zip(faces, SHADES, strict=True):
            fill = tuple(int(part * shade) for part in colour)
            pen.polygon(
                [(across + dx, down + dy) for dx, dy in face], fill=fill, outline=tuple(int(c * 0.85) for c in fill)
            )
