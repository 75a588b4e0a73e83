"""Directions of pixels: panoramas of 360 by 90 degrees and pinhole cameras.

Sensor axes are x forward, y left, z up; metres and radians. Rows go from top to bottom, columns from left to right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

F: TypeAlias = npt.NDArray[np.float64]

ELEVATION = np.pi / 4  # a panorama reaches from +45 to -45 degrees in equal angles a row


@dataclass(frozen=True, slots=True)
class Sensor:
    """A kind of sensor. `rays` (rows, columns, 3): unit directions for a panorama, of forward 1 for a camera.

    `across` is the half field of view of a camera in radians; None for a panorama.
    """

    rays: F
    across: float | None

    @property
    def kind(self) -> Literal["panorama", "camera"]:
        """What it is: the depth of a panorama is along the ray, that of a camera along its axis (z depth)."""
        return "panorama" if self.across is None else "camera"

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rays.shape[0], self.rays.shape[1]


def panorama(columns: int = 168, rows: int = 42) -> Sensor:
    """Azimuth ((u + 0.5) / W - 0.5) · 2π to the right, elevation linear from +45 to -45 degrees."""
    azimuth = ((np.arange(columns) + 0.5) / columns - 0.5) * 2 * np.pi
    elevation = ELEVATION * (1 - 2 * (np.arange(rows) + 0.5) / rows)
    az, el = np.meshgrid(azimuth, elevation)
    return Sensor(np.stack([np.cos(el) * np.cos(az), -np.cos(el) * np.sin(az), np.sin(el)], -1), None)


def camera(columns: int = 200, rows: int = 150, view: float = np.deg2rad(100)) -> Sensor:
    """A pinhole camera with square pixels and its principal point in the middle; `view` is horizontal, in radians."""
    focal = columns / 2 / np.tan(view / 2)
    left = (columns / 2 - np.arange(columns) - 0.5) / focal
    up = (rows / 2 - np.arange(rows) - 0.5) / focal
    y, z = np.meshgrid(left, up)
    return Sensor(np.stack([np.ones_like(y), y, z], -1), view / 2)


def intrinsic(columns: int, rows: int, view: float = np.deg2rad(100)) -> F:
    """The 3 x 3 matrix of such a camera, in pixels."""
    focal = columns / 2 / np.tan(view / 2)
    return np.array([[focal, 0, columns / 2], [0, focal, rows / 2], [0, 0, 1]])
