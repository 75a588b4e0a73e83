"""Junctions with a car that approaches, turns, stops for a red light or gives way to a car that only the roadside sees.

All scenes are simulated at once, in the frame of their arm: the car drives towards +x, the junction's middle is the origin,
traffic keeps to the right. Lengths in metres, times in seconds, angles in radians, counter-clockwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

F: TypeAlias = npt.NDArray[np.float64]

DT = 0.1  # seconds between positions
HORIZON = 45  # positions to predict: 4.5 s
PAST = 10  # positions before the first frame
LANE = 1.75  # from the middle of the road to the middle of a lane
STOP = 8.0  # from the middle of the junction to the stop line
BRAKE, PULL = 3.0, 2.0  # m/s², comfortable and always kept
CALM = 0.7 * BRAKE  # m/s² that is planned with: the rest makes up for the delay
BEFORE = 1.5  # m before the stop line, where the car comes to a halt
TURN_SPEED = 5.0  # m/s on an arc
YIELD_SPEED = 8.0  # m/s of the crossing car
LIMITS = (30, 40, 50)  # km/h, as the signs say: cars drive that fast where nothing holds them up
PLACES = ("junction", "queue", "highway")
INTENTS = ("straight", "left", "right")
SITES = np.array(  # x, y and rotation of eight junctions of one town
    [
        [2610.0, 1700.0, 0.3], [2980.0, 1655.0, 1.1], [2250.0, 1880.0, 2.0], [2705.0, 2120.0, -0.7],
        [3105.0, 2040.0, 0.9], [2390.0, 1430.0, -1.9], [2840.0, 1320.0, 2.7], [2160.0, 2205.0, -2.4],
    ]
)  # fmt: skip
CARS = 8  # most cars beside the own one; the first is the crossing one


@dataclass(frozen=True, slots=True)
class Scenes:
    """Scenes of equal length.

    `ego`: (scenes, steps, 4) x, y, heading and speed; `cars`: (scenes, CARS, steps, 3) x, y, heading, NaN where there is
    none; both in the frame of the arm. `frame`: (scenes, 3) x, y and rotation of that frame in the world.
    `intent` indexes INTENTS, `limit` is in km/h, `red` is the light, `hidden` whether a crossing car is there, `site` indexes SITES.
    `daylight`: (scenes, 3) factors of red, green and blue. `at`: the steps at which the cameras take a picture.
    """

    ego: F
    cars: F
    frame: F
    intent: npt.NDArray[np.int64]
    limit: npt.NDArray[np.int64]
    red: npt.NDArray[np.bool_]
    hidden: npt.NDArray[np.bool_]
    site: npt.NDArray[np.int64]
    daylight: F
    at: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ego)


def simulate(scenes: int, seed: int = 0, *, frames: int = 14, every: float = 0.5, place: str = "junction") -> Scenes:
    """`scenes` drives with `frames` pictures each, `every` seconds apart. Raises ValueError for no scenes or frames.

    `place` is one of PLACES: a junction, a queue that creeps up to a red light and stands, or a road without stops.
    """
    if place not in PLACES:
        raise ValueError(f"unknown place {place!r}; known are {', '.join(PLACES)}")
    if scenes < 1 or frames < 1:
        raise ValueError(f"{scenes} scenes of {frames} frames; at least one of each is needed")
    rng = np.random.default_rng(seed)
    at = PAST + np.round(np.arange(frames) * every / DT).astype(np.int64)
    steps = int(at[-1]) + HORIZON + 1
    intent, limit = rng.integers(0, 3, scenes), rng.choice(LIMITS, scenes)
    red, hidden = rng.random(scenes) < 0.3, rng.random(scenes) < 0.5
    if place != "junction":
        intent, red, hidden = np.zeros_like(intent), np.full(scenes, place == "queue"), np.zeros(scenes, bool)
    cars = _cars(rng, scenes, steps, hidden)
    gone, speed = _begin(rng, scenes, place)
    wish = limit / 3.6
    if place != "junction":
        wish = speed + rng.normal(0, 1, scenes) if place == "highway" else rng.uniform(0.5, 1.5, scenes)
    ego = _drive(gone, speed, intent, wish, red, cars[:, 0], hidden, steps)
    if place == "highway":  # nobody drives perfectly straight
        time, wide = np.arange(steps) * DT, rng.normal(0, 1, (scenes, 1))
        ego[..., 1] += wide * np.sin(time)
        ego[..., 2] += wide * np.cos(time) / ego[..., 3]
    site, arm = rng.integers(0, len(SITES), scenes), rng.integers(0, 4, scenes)
    frame = SITES[site].copy()
    frame[:, 2] += arm * np.pi / 2
    daylight = rng.uniform(0.65, 1.1, (scenes, 1)) * rng.uniform(0.94, 1.06, (scenes, 3))
    return Scenes(ego, cars, frame, intent, limit, red, hidden, site, daylight, at)


def route(distance: F, intent: npt.NDArray[np.int64]) -> F:
    """x, y, heading (..., 3) after `distance` metres past the stop line (negative: before it), for an intent per row.

    Straight on, or a quarter circle that begins at the stop line and ends in the lane of the other road.
    """
    turn = np.where(intent == 1, 1.0, np.where(intent == 2, -1.0, 0.0)).reshape(-1, *[1] * (distance.ndim - 1))
    radius = np.where(turn > 0, STOP + LANE, STOP - LANE)
    arc = np.clip(distance, 0, radius * np.pi / 2)
    angle = np.where(turn == 0, 0.0, turn * arc / radius)
    after = np.where(turn == 0, 0.0, np.maximum(distance - radius * np.pi / 2, 0))
    along = np.where(turn == 0, distance, np.minimum(distance, 0))
    x = -STOP + along + np.where(turn == 0, 0.0, radius * np.sin(np.abs(angle))) + after * np.cos(angle)
    y = -LANE + turn * radius * (1 - np.cos(angle)) + after * np.sin(angle)
    return np.stack([x, y, angle], axis=-1)


def to_world(points: F, frame: F) -> F:
    """x, y (, heading) (..., 2 or 3) in the frames (..., 3) of arms, as world coordinates."""
    turn = frame[..., 2]
    x = frame[..., 0] + points[..., 0] * np.cos(turn) - points[..., 1] * np.sin(turn)
    y = frame[..., 1] + points[..., 0] * np.sin(turn) + points[..., 1] * np.cos(turn)
    return np.stack([x, y, *([points[..., 2] + turn] if points.shape[-1] > 2 else [])], axis=-1)


def to_local(points: F, frame: F) -> F:
    """The inverse of `to_world`."""
    turn = frame[..., 2]
    dx, dy = points[..., 0] - frame[..., 0], points[..., 1] - frame[..., 1]
    x, y = dx * np.cos(turn) + dy * np.sin(turn), -dx * np.sin(turn) + dy * np.cos(turn)
    return np.stack([x, y, *([points[..., 2] - turn] if points.shape[-1] > 2 else [])], axis=-1)


def _begin(rng: np.random.Generator, scenes: int, place: str) -> tuple[F, F]:
    """Metres past the stop line (negative: before it) and speed in m/s of each own car at first."""
    if place == "queue":
        return -BEFORE - rng.uniform(0, 12, scenes), np.zeros(scenes)
    gone, speed = -rng.uniform(15, 60, scenes), rng.uniform(2, 14, scenes)
    if place == "highway":
        return gone, speed + 20
    return gone, np.minimum(speed, np.sqrt(2 * CALM * (-gone - BEFORE)))  # nobody starts too fast to stop


def _drive(
    gone: F,
    speed: F,
    intent: npt.NDArray[np.int64],
    wish: F,
    red: npt.NDArray[np.bool_],
    crossing: F,
    hidden: npt.NDArray[np.bool_],
    steps: int,
) -> F:
    """The own car: as fast as it likes, slower into turns, to a stop at the line where the light or the other says so."""
    scenes = len(intent)
    slow = np.where(intent == 0, wish, np.minimum(wish, TURN_SPEED))
    path, speeds = np.empty((scenes, steps)), np.empty((scenes, steps))
    for step in range(steps):
        path[:, step], speeds[:, step] = gone, speed
        left = np.maximum(-gone - BEFORE, 0)
        calm = np.minimum(wish, np.sqrt(slow**2 + 2 * BRAKE * np.maximum(-gone, 0)))
        limit = np.where(gone < 14 * (intent > 0), calm, wish)
        must_stop = (gone < 0.5) & (red | (hidden & _blocked(crossing[:, step, 1])))
        limit = np.where(must_stop, np.minimum(limit, np.sqrt(2 * CALM * left)), limit)
        change = np.clip((limit - speed) / 0.3, -BRAKE, PULL)
        speed = np.maximum(speed + change * DT, 0)
        gone = gone + speed * DT
    return np.concatenate([route(path, intent), speeds[..., None]], axis=-1)


def _blocked(at: F) -> npt.NDArray[np.bool_]:
    """Whether the crossing car (coming from the right, `at` metres along its lane) has not yet passed the own lane."""
    return at < LANE + 4


def _cars(rng: np.random.Generator, scenes: int, steps: int, hidden: npt.NDArray[np.bool_]) -> F:
    """The crossing car first, then some that drive straight through other lanes and change nothing."""
    time = np.arange(steps) * DT
    cars = np.full((scenes, CARS, steps, 3), np.nan)
    start = -rng.uniform(15, 85, scenes)
    cars[:, 0] = np.stack(
        [np.full((scenes, steps), LANE), start[:, None] + YIELD_SPEED * time, np.full((scenes, steps), np.pi / 2)], -1
    )
    cars[~hidden, 0] = np.nan
    count = rng.integers(3, CARS, scenes)
    lanes = np.array([np.pi, np.pi / 2, -np.pi / 2])  # oncoming, from the right, from the left
    for number in range(1, CARS):
        heading = lanes[rng.choice(3, scenes, p=[0.6, 0.1, 0.3])]
        heading = np.where(hidden & (heading == lanes[1]), lanes[2], heading)  # nobody stands in the crossing car's way
        speed, begin = rng.uniform(0, 11, scenes), rng.uniform(-70, 60, scenes)
        # Cross traffic waits at its line or has left: only the crossing car of the scene concerns the own one.
        across = heading != np.pi
        begin = np.where(across, np.where(rng.random(scenes) < 0.5, -rng.uniform(12, 40, scenes), 14.0), begin)
        speed = np.where(across & (begin < 0), 0.0, speed)
        along = begin[:, None] + speed[:, None] * time
        x = along * np.cos(heading)[:, None] + LANE * np.sin(heading)[:, None]
        y = along * np.sin(heading)[:, None] - LANE * np.cos(heading)[:, None]
        present = number <= count
        cars[present, number] = np.stack([x, y, np.broadcast_to(heading[:, None], x.shape)], -1)[present]
    return cars
