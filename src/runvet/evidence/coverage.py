"""What part of a panorama the cameras of a rig can see, and what part the data's masks say is seen."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from runvet.artifacts.grouping import words
from runvet.evidence import Missing, provides
from runvet.evidence.calibrations import Calibrations, Camera
from runvet.evidence.masks import Masks
from runvet.run import FloatArray, Run, Stage, number
from runvet.statistics.rotations import UNREAL

_SEEN = frozenset("valid validity ambiguous coverage covered visible visibility fov rig".split())
_LINE = re.compile(r"(?i)\b((?:non_ambiguous|valid|coverage|visible)\w*)\s*[=:]\s*\[?\s*(0?\.\d+)(?:\s*,\s*(0?\.\d+))?")
SIZE = ("resolution", "panorama_size", "pano_size", "panorama", "pano_resolution", "image_size")
GRID = 720  # columns of the panorama at which the rig is asked


@dataclass(frozen=True, slots=True)
class Seen:
    """The share of a panorama that masks say is seen, and where they say it."""

    name: str
    share: float
    where: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """`expected`: the share of the panorama that the rig of `where` sees; `around` the degrees that its cameras add up to.

    `cropped`: the share if each picture were cut to the panorama's shape before it is warped. `height` in degrees.
    """

    expected: float
    cropped: float
    around: float
    height: float
    cameras: int
    where: str
    seen: tuple[Seen, ...]


@provides
def coverage(run: Run, stage: Stage, described: Calibrations, masks: Masks | None) -> Coverage | Missing:
    seen = [*_of_masks(masks), *_of_lines(stage)]
    rigs = [(r.where, c) for r in described.records if (c := [k for k in r.cameras if k.cords is not None])]
    size = _panorama(run, stage)
    if not seen or not rigs or size is None:
        return Missing("no rig of cameras beside the coverage of panoramas", "", applicable=False)
    where, cameras = rigs[0]
    height = 2 * np.pi * size[1] / size[0]
    around = sum(float(2 * np.degrees(np.arctan(c.width / 2 / c.intrinsic[0, 0]))) for c in cameras)
    whole, cut = (share_seen(cameras, height, size[1] / size[0] if crop else None) for crop in (False, True))
    return Coverage(whole, cut, around, float(np.degrees(height)), len(cameras), where, tuple(seen))


def share_seen(cameras: Sequence[Camera], height: float, crop: float | None = None) -> float:
    """The share of a panorama of 360 degrees by `height` (radians, rows of equal angle) that some camera sees.

    With `crop`, each picture first loses the rows beyond that ratio of height to width. Camera frames as CARLA has
    them: x ahead, y right, z up; distances are taken as far, so that mounting points do not matter.
    """
    columns, rows = GRID, max(8, round(GRID * height / (2 * np.pi)))
    azimuth = ((np.arange(columns) + 0.5) / columns - 0.5) * 2 * np.pi
    elevation = (0.5 - (np.arange(rows) + 0.5) / rows) * height
    a, e = np.meshgrid(azimuth, elevation)
    rays = np.stack([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)], -1).reshape(-1, 3)
    hit = np.zeros(len(rays), bool)
    for camera in cameras:
        hit |= _sees(camera, rays, crop)
    return float(hit.mean())


def _sees(camera: Camera, rays: FloatArray, crop: float | None) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    assert camera.cords is not None
    angles = np.radians(camera.cords[[3, 5, 4]])[None]
    local = rays @ UNREAL.matrix(angles)[0]
    ahead = local[:, 0] > 1e-6
    depth = np.where(ahead, local[:, 0], 1.0)
    u = camera.intrinsic[0, 2] + camera.intrinsic[0, 0] * local[:, 1] / depth
    v = camera.intrinsic[1, 2] - camera.intrinsic[1, 1] * local[:, 2] / depth
    half = camera.height / 2 if crop is None else min(camera.height, camera.width * crop) / 2
    return np.asarray(ahead & (u >= 0) & (u < camera.width) & (np.abs(v - camera.height / 2) < half))


def _panorama(run: Run, stage: Stage) -> tuple[float, float] | None:
    """Width and height of the panorama from settings or lines: wider than high by two at least."""
    for setting in (*stage.settings, *run.settings):
        value = setting.value
        if setting.key.rsplit(".", 1)[-1].lower() in SIZE and isinstance(value, list) and len(value) == 2:
            w, h = (number(v) or 0.0 for v in value)
            if w >= 2 * h > 0:
                return w, h
    for event in stage.events:
        found = re.search(r"(?i)pano\w*\s*[=:]\s*(\d{2,5})\s*x\s*(\d{2,5})", event.text)
        if found and int(found[1]) >= 2 * int(found[2]) > 0:
            return float(found[1]), float(found[2])
    return None


def _of_masks(masks: Masks | None) -> Iterator[Seen]:
    for mask in masks.masks if masks else ():
        if set(words(mask.name)) & _SEEN:
            yield Seen(f"true {mask.name}", mask.true, mask.where)


def _of_lines(stage: Stage) -> Iterator[Seen]:
    for event in stage.events:
        for name, low, high in _LINE.findall(event.text):
            yield Seen(name, (float(low) + float(high or low)) / 2, event.where)
