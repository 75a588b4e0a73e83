"""Pictures of a training and of play: grids as PNG, walks as GIF."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from runvet_lab.base.extra import need

Picture: TypeAlias = npt.NDArray[np.uint8]
GRID = 2  # pixels between pictures
HIDDEN = np.array([150, 60, 200], np.uint8)


def grid(rows: Sequence[Sequence[Picture]], scale: int = 2) -> Picture:
    """Pictures (h, w, 3) in rows on black, each pixel drawn `scale` times as wide and high."""
    high, wide = rows[0][0].shape[0] * scale + GRID, rows[0][0].shape[1] * scale + GRID
    out = np.zeros((high * len(rows) + GRID, wide * max(map(len, rows)) + GRID, 3), np.uint8)
    for r, row in enumerate(rows):
        for c, one in enumerate(row):
            big = one.repeat(scale, 0).repeat(scale, 1)
            out[GRID + r * high : r * high + high, GRID + c * wide : c * wide + wide] = big
    return out


def covered(picture: Picture, masked: npt.NDArray[np.bool_]) -> Picture:
    """A picture whose patches are filled where `masked` (rows, columns) hides their codes."""
    side = picture.shape[0] // masked.shape[0]
    hidden = masked.repeat(side, 0).repeat(side, 1)
    return np.where(hidden[..., None], HIDDEN, picture)


def difference(made: Picture, truth: Picture) -> Picture:
    """The absolute error, three times as bright."""
    return (np.abs(made.astype(np.int16) - truth) * 3).clip(0, 255).astype(np.uint8)


def bytes_of(values: npt.NDArray[np.floating]) -> Picture:
    """Pictures (..., 3, h, w) in 0 .. 1 as (..., h, w, 3) uint8."""
    return (np.moveaxis(values, -3, -1).clip(0, 1) * 255).round().astype(np.uint8)


def write_png(path: Path, picture: Picture) -> None:
    """Write (h, w, 3). Raises OSError, MissingExtra."""
    path.parent.mkdir(parents=True, exist_ok=True)
    need("PIL.Image").fromarray(picture).save(path)


def write_gif(path: Path, frames: Sequence[Picture], *, fps: float = 8.0, scale: int = 4) -> None:
    """Write frames that follow each other, repeated for ever."""
    image = need("PIL.Image")
    path.parent.mkdir(parents=True, exist_ok=True)
    made = [image.fromarray(frame.repeat(scale, 0).repeat(scale, 1)) for frame in frames]
    made[0].save(path, save_all=True, append_images=made[1:], duration=round(1000 / fps), loop=0)
