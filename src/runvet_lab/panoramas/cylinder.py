"""From a rig's cameras to one panorama per car: what the rig can see, the warp, and two kinds of depth kept apart.

Ray depth is the distance to the point; z depth its part along the camera's axis. Their ratio is the length of the
camera's ray of forward 1: 1 in the middle of the image, 2 and more in its corners.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from runvet_lab.panoramas.opv2v import RIG, VIEW, Kind, mounted
from runvet_lab.panoramas.scene import HEIGHT
from runvet_lab.panoramas.sensors import Sensor

F: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_]

START = 60.0  # metres that the first guess of a pixel is at: where sky and far houses are
ROUNDS = 6  # of refining it


@dataclass(frozen=True, slots=True)
class Depth:
    """Depth of a sensor (..., rows, columns) in metres, 0 where unknown, with its kind."""

    metres: F
    kind: Kind

    def along_ray(self, sensor: Sensor) -> F:
        """As ray depth."""
        if self.kind == "ray":
            return self.metres
        out: F = self.metres * np.linalg.norm(sensor.rays, axis=-1)
        return out


@dataclass(frozen=True, slots=True)
class Fused:
    """A panorama: `colour` (rows, columns, 3) uint8, `depth` (rows, columns) along the ray, 0 where unknown, and `seen`:
    what is in the field of view of some camera for things far away, whatever stands in between.
    """

    colour: npt.NDArray[np.uint8]
    depth: F
    seen: Mask


def coverage(
    pano: Sensor,
    *,
    size: tuple[int, int] = (800, 600),
    rig: Sequence[Sequence[float]] = RIG,
    view: float = VIEW,
    cropped_to: tuple[int, int] | None = None,
) -> Mask:
    """Which pixels of a panorama the rig can see, far away, by geometry alone: (rows, columns).

    `size`: columns and rows of a camera; `view`: its horizontal field in degrees. `cropped_to`: columns and rows whose
    aspect the images are cropped to before the warp, which throws rows away.
    """
    rows = size[1] if cropped_to is None else min(size[1], round(size[0] * cropped_to[1] / cropped_to[0]))
    wide = np.tan(np.deg2rad(view) / 2)
    high = wide * rows / size[0]
    seen = np.zeros(pano.shape, bool)
    for mount in rig:
        ahead, left, up = np.moveaxis(pano.rays @ _to_centre(mount)[:3, :3], -1, 0)
        seen |= (ahead > 0) & (np.abs(left) <= wide * ahead) & (np.abs(up) <= high * ahead)
    return seen


def fuse(
    pano: Sensor,
    pictures: npt.NDArray[np.uint8],
    depths: Depth,
    camera: Sensor,
    *,
    rig: Sequence[Sequence[float]] = RIG,
    parallax: bool = True,
    cropped_to: tuple[int, int] | None = None,
    bilinear: bool = False,
) -> Fused:
    """Pictures (k, h, w, 3) and depth (k, h, w) of the rig's cameras as the panorama of the car's middle.

    With `parallax`, the distance of each pixel is found by going back and forth between panorama and camera; without, rays
    are turned but not moved, which draws near things aside. Nearest pixels are taken: no depth is mixed with holes.
    `cropped_to` as of `coverage`: what a preprocessing loses that cuts pictures to the panorama's shape. `bilinear`: take
    depth between pixels, holes (0) included, as a resize of the depth map does; values next to holes come out too short.
    """
    colour, seen = np.zeros((*pano.shape, 3), np.uint8), np.zeros(pano.shape, bool)
    depth, best = np.zeros(pano.shape), np.full(pano.shape, np.inf)
    along = depths.along_ray(camera)
    lost = _rows_lost(camera, cropped_to)
    for number, mount in enumerate(rig):
        pose = _to_centre(mount)
        row, column, inside = _pixel(camera, pano.rays @ pose[:3, :3])
        far = inside & (row >= lost) & (row < camera.shape[0] - lost)
        colour[far & ~seen] = pictures[number][row[far & ~seen], column[far & ~seen]]
        seen |= far
        row, column, inside, distance, error = _found(
            pano, camera, along[number], pose, parallax=parallax, bilinear=bilinear
        )
        better = inside & (error < best) & (row >= lost) & (row < camera.shape[0] - lost)
        colour[better] = pictures[number][row[better], column[better]]
        depth[better], best[better] = distance[better], error[better]
    return Fused(colour, depth, seen | np.isfinite(best))


def _between(camera: Sensor, depth: F, point: F) -> F:
    """Depth between the four pixels around the places of points, by bilinear weights: a hole counts as 0 metres."""
    assert camera.across is not None
    rows, columns = camera.shape
    focal = columns / 2 / np.tan(camera.across)
    ahead = np.maximum(point[..., 0], 1e-6)
    x = (columns / 2 - point[..., 1] / ahead * focal - 0.5).clip(0, columns - 1.001)
    y = (rows / 2 - point[..., 2] / ahead * focal - 0.5).clip(0, rows - 1.001)
    left, top = x.astype(np.int64), y.astype(np.int64)
    across, down = x - left, y - top
    upper = (1 - across) * depth[top, left] + across * depth[top, left + 1]
    lower = (1 - across) * depth[top + 1, left] + across * depth[top + 1, left + 1]
    out: F = (1 - down) * upper + down * lower
    return out


def _rows_lost(camera: Sensor, cropped_to: tuple[int, int] | None) -> int:
    """Rows that a crop takes away at the top, and as many at the bottom."""
    rows, columns = camera.shape
    return 0 if cropped_to is None else max(0, (rows - round(columns * cropped_to[1] / cropped_to[0])) // 2)


def _found(
    pano: Sensor, camera: Sensor, along: F, pose: F, *, parallax: bool, bilinear: bool
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Mask, F, F]:
    """For every ray of a panorama: pixel of a camera, whether it is inside, distance, and how far off the match is."""
    distance = np.full(pano.shape, START)
    rays = np.linalg.norm(camera.rays, axis=-1)
    shift = pose[:3, 3] if parallax else np.zeros(3)
    error = np.full(pano.shape, np.inf)
    for _ in range(ROUNDS if parallax else 1):
        point = (pano.rays * distance[..., None] - shift) @ pose[:3, :3]
        row, column, inside = _pixel(camera, point)
        held = _between(camera, along, point) if bilinear else along[row, column]
        met = np.where(inside, held, 0)
        there = (camera.rays[row, column] / rays[row, column, None] * met[..., None]) @ pose[:3, :3].T + shift
        onto = np.einsum("rci,rci->rc", there, pano.rays)
        known = inside & (met > 0) & (onto > 0)
        # Squared sine of the angle between the ray and the point that the camera saw: 0 for a perfect match.
        aside = 1 - (onto / np.maximum(np.linalg.norm(there, axis=-1), 1e-9)) ** 2
        error = np.where(known, aside, np.where(inside, 0.5, np.inf))
        distance = np.where(known, onto, distance)
    return row, column, inside, np.where(error < 0.5, distance, 0), error


def _pixel(camera: Sensor, point: F) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Mask]:
    rows, columns = camera.shape
    assert camera.across is not None
    focal = columns / 2 / np.tan(camera.across)
    ahead = np.maximum(point[..., 0], 1e-6)
    column = np.floor(columns / 2 - point[..., 1] / ahead * focal).astype(np.int64)
    row = np.floor(rows / 2 - point[..., 2] / ahead * focal).astype(np.int64)
    inside = (point[..., 0] > 1e-6) & (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
    return row.clip(0, rows - 1), column.clip(0, columns - 1), inside


def _to_centre(mount: Sequence[float]) -> F:
    """Camera to the middle of the car's roof, where a panorama is taken."""
    pose = mounted(mount)
    pose[2, 3] -= HEIGHT
    return pose
