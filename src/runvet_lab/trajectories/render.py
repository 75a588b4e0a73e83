"""Pictures of a scene by ray casting: ground with roads, sky, and upright boxes for cars, houses and the traffic light.

Every ray of a batch meets every box of its picture at once (slab method). Camera axes: forward, left, up; metres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from runvet_lab.trajectories.world import CARS, LANE, STOP, Scenes

Pictures: TypeAlias = npt.NDArray[np.uint8]
F32: TypeAlias = npt.NDArray[np.float32]

WIDTH, HEIGHT = 96, 48  # of a picture, unless another width is asked for
BATCH = 48  # pictures at once: the arrays of a batch stay in the cache
CAR = (4.4, 1.9, 1.6)
CORNER = 14.0  # from the middle of the junction to the houses, which hide the roads to the right and left
HOUSE = (30.0, 30.0, 9.0)
ROAD = 3.5  # half the width
SKY, GRASS, ASPHALT, PAINT = ((150, 190, 230), (90, 120, 70), (80, 80, 84), (225, 225, 215))
CAR_COLOURS = ((200, 60, 50), (60, 90, 190), (230, 230, 230), (40, 40, 45), (220, 190, 60), (90, 160, 90), (150, 110, 170), (240, 140, 40))  # fmt: skip
HOUSES = ((170, 140, 120), (150, 150, 160), (185, 165, 120), (140, 120, 140))
RED, GREEN = (250, 40, 30), (40, 220, 70)


@dataclass(frozen=True, slots=True)
class Camera:
    """Where a camera is (n, 3), where it looks (n,) yaw and pitch in radians, and its horizontal field of view."""

    place: F32
    yaw: F32
    pitch: float
    view: float


def vehicle(scenes: Scenes, rows: npt.NDArray[np.int64], steps: npt.NDArray[np.int64], width: int = WIDTH) -> Pictures:
    """What the own cars see at the given steps: (n, width / 2, width, 3) uint8."""
    ego = scenes.ego[rows, steps]
    place = np.stack([ego[:, 0], ego[:, 1], np.full(len(rows), 1.5)], -1)
    camera = Camera(place.astype(np.float32), ego[:, 2].astype(np.float32), -0.03, 1.2)
    return _pictures(scenes, rows, steps, camera, width, own=False)


def roadside(scenes: Scenes, rows: npt.NDArray[np.int64], steps: npt.NDArray[np.int64], width: int = WIDTH) -> Pictures:
    """What the camera at the junction sees at the given steps: it looks down the road that the houses hide."""
    n = len(rows)
    place = np.tile(np.array([-STOP - 3, STOP + 3, 10.0], np.float32), (n, 1))
    camera = Camera(place, np.full(n, -0.98, np.float32), -0.27, 1.2)
    return _pictures(scenes, rows, steps, camera, width, own=True)


def _pictures(
    scenes: Scenes, rows: npt.NDArray[np.int64], steps: npt.NDArray[np.int64], camera: Camera, width: int, *, own: bool
) -> Pictures:
    height = width // 2
    out = np.empty((len(rows), height, width, 3), np.uint8)
    for begin in range(0, len(rows), BATCH):
        part = slice(begin, begin + BATCH)
        boxes, colours = _boxes(scenes, rows[part], steps[part], own=own)
        rays = _rays(camera.yaw[part], camera.pitch, camera.view, width)
        out[part] = _cast(camera.place[part], rays, boxes, colours, scenes.daylight[rows[part]]).reshape(
            -1, height, width, 3
        )
    return out


def _rays(yaw: F32, pitch: float, view: float, width: int) -> F32:
    """Directions (n, pixels, 3), not normalised: one forward."""
    height = width // 2
    across = np.tan(view / 2) * (1 - 2 * (np.arange(width) + 0.5) / width)
    up = np.tan(view / 2) * height / width * (1 - 2 * (np.arange(height) + 0.5) / height)
    left, high = (grid.reshape(-1) for grid in np.meshgrid(across, up))
    forward, high = np.cos(pitch) - high * np.sin(pitch), np.sin(pitch) + high * np.cos(pitch)
    cos, sin = np.cos(yaw)[:, None], np.sin(yaw)[:, None]
    return np.stack(
        [forward * cos - left * sin, forward * sin + left * cos, np.broadcast_to(high, (len(yaw), len(high)))], -1
    ).astype(np.float32)


def _boxes(
    scenes: Scenes, rows: npt.NDArray[np.int64], steps: npt.NDArray[np.int64], *, own: bool
) -> tuple[F32, npt.NDArray[np.uint8]]:
    """Boxes (n, count, 7): x, y, z of the middle, half sizes, heading; NaN where there is none. Colours (n, count, 3)."""
    n = len(rows)
    cars = scenes.cars[rows, :, steps]
    moving = np.full((n, CARS + 1, 7), np.nan)
    moving[:, :CARS, [0, 1, 6]] = cars
    if own:
        moving[:, CARS, [0, 1, 6]] = scenes.ego[rows, steps][:, :3]
    moving[..., 2], moving[..., 3:6] = CAR[2] / 2, np.array(CAR) / 2
    side = CORNER + HOUSE[0] / 2
    fixed = [[x, y, HOUSE[2] / 2, *(np.array(HOUSE) / 2), 0] for x in (-side, side) for y in (-side, side)]
    fixed.append([STOP + 4, -2 * LANE - 1.2, 4.0, 0.6, 1.1, 1.6, 0])  # the light, on the far side
    boxes = np.concatenate([moving, np.broadcast_to(np.array(fixed), (n, 5, 7))], axis=1)
    colours = np.empty((n, boxes.shape[1], 3), np.uint8)
    colours[:, :CARS] = CAR_COLOURS
    colours[:, CARS] = (245, 245, 245)
    colours[:, CARS + 1 : -1] = HOUSES
    colours[:, -1] = np.where(scenes.red[rows, None], RED, GREEN)
    return boxes.astype(np.float32), colours


def _cast(
    place: F32, rays: F32, boxes: F32, colours: npt.NDArray[np.uint8], daylight: npt.NDArray[np.float64]
) -> npt.NDArray[np.uint8]:
    """The colour that each ray meets first: (n, pixels, 3)."""
    n, pixels, _ = rays.shape
    with np.errstate(divide="ignore", invalid="ignore"):
        ground = np.where(rays[..., 2] < 0, -place[:, None, 2] / rays[..., 2], np.float32(np.inf))
    nearest, which, face = ground, np.full((n, pixels), -1, np.int16), np.zeros((n, pixels), np.int8)
    for number in range(boxes.shape[1]):
        there = np.flatnonzero(~np.isnan(boxes[:, number, 0]))
        if not len(there):
            continue
        hit, axis = _slabs(place[there], rays[there], boxes[there, number])
        closer = hit < nearest[there]
        nearest[there] = np.where(closer, hit, nearest[there])
        which[there] = np.where(closer, number, which[there])
        face[there] = np.where(closer, axis, face[there])
    picture = _ground(place, rays, nearest)
    row, pixel = np.nonzero(which >= 0)
    shade = np.array([1.0, 0.8, 1.15], np.float32)[face[row, pixel]]  # faces differ, so that a box is seen as one
    picture[row, pixel] = np.clip(colours[row, which[row, pixel]] * shade[:, None], 0, 255).astype(np.uint8)
    picture = np.minimum(picture * daylight[:, None].astype(np.float32), 255).astype(np.uint8)
    lamp = which == boxes.shape[1] - 1  # shines by itself
    picture[lamp] = colours[np.nonzero(lamp)[0], -1]
    return picture


def _slabs(place: F32, rays: F32, box: F32) -> tuple[F32, npt.NDArray[np.int8]]:
    """Distance along each ray (n, pixels) to one box a picture, infinite where it is missed, and the axis of the face."""
    cos, sin = np.cos(box[:, 6]), np.sin(box[:, 6])
    dx, dy = place[:, 0] - box[:, 0], place[:, 1] - box[:, 1]
    start = np.stack([dx * cos + dy * sin, dy * cos - dx * sin, place[:, 2] - box[:, 2]], -1)
    turned = (
        rays[..., 0] * cos[:, None] + rays[..., 1] * sin[:, None],
        rays[..., 1] * cos[:, None] - rays[..., 0] * sin[:, None],
        rays[..., 2],
    )
    enter = np.zeros(rays.shape[:2], np.float32)
    leave = np.full(rays.shape[:2], np.inf, np.float32)
    axis = np.zeros(rays.shape[:2], np.int8)
    for number, direction in enumerate(turned):
        safe = np.where(np.abs(direction) < 1e-9, np.float32(1e-9), direction)
        middle = -start[:, None, number] / safe
        reach = np.abs(box[:, None, 3 + number] / safe)
        begin = middle - reach
        axis = np.where(begin > enter, np.int8(number), axis)
        enter = np.maximum(enter, begin)
        leave = np.minimum(leave, middle + reach)
    return np.where((enter <= leave) & (enter > 0.1), enter, np.float32(np.inf)), axis


def _ground(place: F32, rays: F32, distance: F32) -> npt.NDArray[np.uint8]:
    """Sky, grass, road and its markings where no box is met: (n, pixels, 3)."""
    sky = ~np.isfinite(distance)
    far = np.where(sky, np.float32(0), distance)
    x, y = place[:, 0, None] + far * rays[..., 0], place[:, 1, None] + far * rays[..., 1]
    ax, ay = np.abs(x), np.abs(y)
    road = (ax < ROAD * 2) | (ay < ROAD * 2)
    middle = ((ax < 0.25) & (ay > STOP)) | ((ay < 0.25) & (ax > STOP))
    line = (np.abs(x + STOP - 0.4) < 0.4) & (y < 0) & (ay < ROAD * 2)
    kind = np.where(sky, 0, np.where(middle & road | line, 3, np.where(road, 2, 1)))
    made: npt.NDArray[np.uint8] = np.array([SKY, GRASS, ASPHALT, PAINT], np.uint8)[kind]
    return made
