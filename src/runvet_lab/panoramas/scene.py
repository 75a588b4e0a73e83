"""Streets with houses, poles and cars that drive on lanes; everything by seed.

The lab's axes: x along the street, y left, z up, metres. Times in steps of 0.1 s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from runvet_lab.panoramas.cast import Boxes

F: TypeAlias = npt.NDArray[np.float64]
Colour: TypeAlias = npt.NDArray[np.uint8]

LENGTH = 260.0  # of a street
LANES = (-5.2, -1.75, 1.75, 5.2)  # y of the lanes; negative ones are driven along +x
CAR = np.array([4.4, 1.9, 1.5])
HEIGHT = 1.9  # of the sensors over the ground
STEP = 0.1  # s
ROAD, PAVEMENT, PAINT, GRASS, SKY = ((82, 82, 86), (150, 148, 142), (228, 228, 220), (96, 122, 78), (158, 192, 228))


@dataclass(frozen=True, slots=True)
class Town:
    """What stands in a street: `pose` (b, 4, 4), `half` (b, 3), `colour` (b, 3); the first `houses` are houses, then poles."""

    pose: F
    half: F
    colour: Colour
    houses: int


@dataclass(frozen=True, slots=True)
class Scenario:
    """A drive through a town. `cars`: (cars, steps, 4, 4) car to world, in the middle of the car at the ground;
    the first `agents` of them carry sensors. `colour` (cars, 3).
    """

    town: Town
    cars: F
    agents: int
    colour: Colour

    @property
    def steps(self) -> int:
        """How many moments there are, 0.1 s apart."""
        return int(self.cars.shape[1])


def town(seed: int) -> Town:
    """A street of its own layout and colours."""
    rng = np.random.default_rng([7, seed])
    middle, half, houses = [], [], 0
    for side in (-1, 1):
        x = -LENGTH / 2
        while x < LENGTH / 2:
            wide, deep, high = rng.uniform(7, 22), rng.uniform(6, 14), rng.uniform(4, 16)
            away = rng.uniform(11, 17) + deep / 2
            middle.append([x + wide / 2, side * away, high / 2])
            half.append([wide / 2, deep / 2, high / 2])
            x += wide + rng.uniform(1, 9)
    houses = len(middle)
    for side in (-1, 1):
        for x in np.arange(-LENGTH / 2, LENGTH / 2, rng.uniform(18, 26)):
            middle.append([x + rng.uniform(-3, 3), side * rng.uniform(7.8, 9.0), 2.5])
            half.append([0.18, 0.18, 2.5])
    pose = np.tile(np.eye(4), (len(middle), 1, 1))
    pose[:, :3, 3] = middle
    colour = rng.integers(60, 235, (len(middle), 3)).astype(np.uint8)
    colour[houses:] = (70, 72, 78)
    return Town(pose, np.array(half), colour, houses)


def scenario(
    street: Town, seed: int, *, agents: int = 2, others: int = 3, steps: int = 60, slope: float = 0.0
) -> Scenario:
    """Cars within 50 m of one another. `slope`: largest roll and pitch of the cars in degrees.

    Raises ValueError where there is no agent.
    """
    if agents < 1:
        raise ValueError(f"{agents} agents; at least one car must carry sensors")
    rng = np.random.default_rng([11, seed])
    count = agents + others
    lane = rng.permutation(np.resize(rng.permutation(len(LANES)), count))
    heading = np.where(np.array(LANES)[lane] < 0, 1.0, -1.0)
    begin = rng.uniform(-60, 60) + _apart(rng, lane)
    speed = rng.uniform(4, 12, len(LANES))[lane] * heading  # one speed a lane: nobody drives into another
    x = begin[:, None] + speed[:, None] * STEP * np.arange(steps)
    tilt = np.deg2rad(slope) * rng.uniform(-1, 1, (2, count))
    cars = np.empty((count, steps, 4, 4))
    cars[:] = _poses(np.where(heading > 0, 0.0, np.pi) + rng.normal(0, 0.02, count), tilt[0], tilt[1])[:, None]
    cars[:, :, 0, 3], cars[:, :, 1, 3], cars[:, :, 2, 3] = x, np.array(LANES)[lane][:, None], 0.0
    return Scenario(street, cars, agents, rng.integers(40, 240, (count, 3)).astype(np.uint8))


def around(drive: Scenario, agent: int, steps: npt.NDArray[np.int64]) -> tuple[F, Boxes]:
    """Poses (n, 4, 4) of a sensor in the middle of an agent's roof, and the boxes that it may see, its own car left out.

    Boxes come in the order houses, poles, cars.
    """
    n, still, cars = len(steps), len(drive.town.pose), len(drive.cars)
    pose = np.empty((n, still + cars, 4, 4))
    pose[:, :still] = drive.town.pose
    pose[:, still:] = drive.cars[:, steps].transpose(1, 0, 2, 3) @ _shift(CAR[2] / 2)
    half = np.concatenate([drive.town.half, np.tile(CAR / 2, (cars, 1))])
    there = np.ones((n, still + cars), bool)
    there[:, still + agent] = False
    return drive.cars[agent, steps] @ _shift(HEIGHT), Boxes(pose, np.broadcast_to(half, (n, *half.shape)), there)


def colours(drive: Scenario) -> Colour:
    """The colour of each box, in their order: (boxes, 3)."""
    return np.concatenate([drive.town.colour, drive.colour])


def _apart(rng: np.random.Generator, lane: npt.NDArray[np.int64]) -> F:
    """Places along the lanes such that cars of one lane keep at least 9 m."""
    place = rng.uniform(-25, 25, len(lane))
    for number in np.unique(lane):
        same = np.flatnonzero(lane == number)
        place[same] = np.sort(place[same]) + 9.0 * np.arange(len(same))
    return place


def _poses(yaw: F, roll: F, pitch: F) -> F:
    """Rotations (n, 4, 4): yaw about z, then pitch about y, then roll about x of the car."""
    zero, one = np.zeros_like(yaw), np.ones_like(yaw)
    (cy, cp, cr), (sy, sp, sr) = ([f(angle) for angle in (yaw, pitch, roll)] for f in (np.cos, np.sin))
    rows = [
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr, zero],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr, zero],
        [-sp, cp * sr, cp * cr, zero],
        [zero, zero, zero, one],
    ]
    return np.moveaxis(np.array(rows), -1, 0)


def _shift(up: float) -> F:
    out = np.eye(4)
    out[2, 3] = up
    return out
