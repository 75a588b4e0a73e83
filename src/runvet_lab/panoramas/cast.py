"""Ray casting of upright or tilted boxes over flat ground, for many sensors at once, with numpy or torch.

Boxes are brought into the frame of each sensor, where the directions of pixels never change. A box is met only with the
columns of pixels that its corners span; one number holds distance and box together, so that the nearest is a minimum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from runvet_lab.panoramas.sensors import Sensor

F: TypeAlias = npt.NDArray[np.float64]

SKY, GROUND = -2, -1
FAR = 1e4  # metres; nothing is seen beyond
NEAR = 0.05  # metres; what is nearer is inside of the sensor's own housing
CHUNK = 1 << 21  # rays against boxes at a time: bounds the memory to some 200 MB
_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)


@dataclass(frozen=True, slots=True)
class Boxes:
    """Boxes of n scenes: `pose` (n, b, 4, 4) from box to world, `half` (n, b, 3) half sizes, `there` (n, b) which exist."""

    pose: F
    half: F
    there: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Seen:
    """What n sensors see: `distance` (n, rows, columns) in metres along the ray, infinite for sky; `what` the number of
    the box, or GROUND or SKY. Arrays of numpy, or tensors on the device where they were cast.
    """

    distance: Any
    what: Any


def cast(sensor: Sensor, poses: F, boxes: Boxes, *, backend: str = "numpy", device: str = "cpu") -> Seen:
    """Look from `poses` (n, 4, 4) sensor to world. Raises ValueError for an unknown backend, MissingExtra without torch."""
    tools = _tools(backend, device)
    n, (rows, columns) = len(poses), sensor.shape
    sensor_of, box_of, relative = _visible(poses, boxes)
    first, count = _span(sensor, relative, boxes.half[sensor_of, box_of])
    keys = tools.full(n * rows * columns, _key(FAR, boxes.pose.shape[1]))
    rays = tools.of(sensor.rays / np.linalg.norm(sensor.rays, axis=-1, keepdims=True))
    inverse = np.linalg.inv(relative)
    turn, start, half = (
        tools.of(inverse[:, :3, :3]),
        tools.of(inverse[:, :3, 3]),
        tools.of(boxes.half[sensor_of, box_of]),
    )
    for part in _parts(count * rows):
        pair = np.repeat(np.arange(part.start, part.stop), count[part])
        column = _running(first[part], count[part]) % columns
        at, number = tools.index(pair), tools.index(box_of[pair])
        distance = _slabs(tools, rays[:, tools.index(column)], turn[at], start[at], half[at])
        cell = (sensor_of[pair] * rows * columns + column)[None, :] + (np.arange(rows) * columns)[:, None]
        tools.lowest(keys, tools.index(cell.reshape(-1)), tools.keys(distance, number).reshape(-1))
    distance, what = tools.split(keys, boxes.pose.shape[1])
    shape = (n, rows, columns)
    return _with_ground(tools, distance.reshape(shape), what.reshape(shape), rays, poses)


def _visible(poses: F, boxes: Boxes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], F]:
    """Pairs of sensor and box, and the boxes' poses in the frame of the sensor."""
    sensor_of, box_of = np.nonzero(boxes.there)
    return sensor_of, box_of, np.linalg.inv(poses)[sensor_of] @ boxes.pose[sensor_of, box_of]


def _span(sensor: Sensor, relative: F, half: F) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """First column and number of columns that each box can touch; columns run on past the last one of a panorama."""
    corners = np.einsum("kij,kcj->kci", relative[:, :3, :3], half[:, None] * _CORNERS) + relative[:, None, :3, 3]
    columns = sensor.shape[1]
    azimuth = np.arctan2(-corners[..., 1], corners[..., 0])  # to the right, as columns run
    middle = np.arctan2(-relative[:, 1, 3], relative[:, 0, 3])[:, None]
    aside = (azimuth - middle + np.pi) % (2 * np.pi) - np.pi
    low, high = middle[:, 0] + aside.min(axis=1), middle[:, 0] + aside.max(axis=1)
    around = (high - low >= np.pi - 1e-6) | _over(relative, half)  # the axis of the sensor goes through the box
    if sensor.across is None:
        begin, end = ((edge / (2 * np.pi) + 0.5) * columns - 0.5 for edge in (low, high))
        first = np.where(around, 0, np.floor(begin)).astype(np.int64)
        count = np.where(around, columns, np.minimum(np.ceil(end) - np.floor(begin) + 1, columns))
        return first, count.astype(np.int64)
    behind = around | (corners[..., 0].min(axis=1) <= NEAR)
    with np.errstate(divide="ignore", invalid="ignore"):
        across = -corners[..., 1] / corners[..., 0] * columns / 2 / np.tan(sensor.across) + columns / 2 - 0.5
    begin = np.where(behind, 0, np.floor(across.min(axis=1))).clip(0, columns)
    end = np.where(behind, columns - 1, np.ceil(across.max(axis=1))).clip(-1, columns - 1)
    hidden = corners[..., 0].max(axis=1) <= NEAR
    return begin.astype(np.int64), np.where(hidden, 0, np.maximum(end - begin + 1, 0)).astype(np.int64)


def _over(relative: F, half: F) -> npt.NDArray[np.bool_]:
    """Whether a vertical line through the sensor may meet the box: its circle around the middle holds the sensor."""
    aside: F = np.linalg.norm(relative[:, :2, 3], axis=1)
    over: npt.NDArray[np.bool_] = aside <= np.linalg.norm(half, axis=1)
    return over


def _slabs(tools: Any, rays: Any, turn: Any, start: Any, half: Any) -> Any:
    """Distance (rows, pairs) along unit rays (rows, pairs, 3) to boxes, FAR where they are missed."""
    enter: Any = None
    leave: Any = None
    for axis in range(3):
        along = rays[..., 0] * turn[:, axis, 0] + rays[..., 1] * turn[:, axis, 1] + rays[..., 2] * turn[:, axis, 2]
        along = tools.nonzero(along)
        middle, reach = -start[:, axis] / along, abs(half[:, axis] / along)
        enter = middle - reach if enter is None else tools.larger(enter, middle - reach)
        leave = middle + reach if leave is None else tools.smaller(leave, middle + reach)
    return tools.where((enter <= leave) & (enter > NEAR), enter, FAR)


def _with_ground(tools: Any, distance: Any, what: Any, rays: Any, poses: F) -> Seen:
    up = tools.of(poses[:, 2, :3])
    fall = (
        rays[..., 0] * up[:, 0, None, None] + rays[..., 1] * up[:, 1, None, None] + rays[..., 2] * up[:, 2, None, None]
    )
    ground = -tools.of(poses[:, 2, 3])[:, None, None] / tools.nonzero(fall)
    ground = tools.where(ground > NEAR, ground, FAR)
    nearer = ground < distance
    distance, what = tools.where(nearer, ground, distance), tools.where(nearer, GROUND, what)
    sky = distance >= FAR
    return Seen(tools.where(sky, float("inf"), distance), tools.where(sky, SKY, what))


def _parts(work: npt.NDArray[np.int64]) -> list[slice]:
    """Consecutive pairs whose rays stay below CHUNK together."""
    ends, total = [0], 0
    for place, size in enumerate(work.tolist()):
        if total and total + size > CHUNK:
            ends.append(place)
            total = 0
        total += size
    return [slice(a, b) for a, b in zip(ends, [*ends[1:], len(work)], strict=True) if b > a]


def _running(first: npt.NDArray[np.int64], count: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """first, first + 1, … for `count` numbers, one pair after the other."""
    before = np.cumsum(count) - count
    return np.arange(int(count.sum())) - np.repeat(before - first, count)


def _key(distance: float, number: int) -> int:
    """Distance in the high bits (the bits of a positive float keep its order), the number of the box in the low ones."""
    return int(np.float32(distance).view(np.int32)) << 16 | number


def _tools(backend: str, device: str) -> Any:
    if backend == "numpy":
        from runvet_lab.panoramas import with_numpy

        return with_numpy
    if backend == "torch":
        from runvet_lab.panoramas.with_torch import Tools

        return Tools(device)
    raise ValueError(f"unknown backend {backend!r}; known are numpy and torch")
