"""Recordings of a drive: the one form that the simulator and the readers of real data sets both give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from runvet_lab.trajectories.world import DT, INTENTS, STOP, Scenes, to_world

F: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Recording:
    """One uninterrupted drive (a `batch_id` of DAIR-V2X).

    `time` (t,) seconds; `pose` (t, 3) x, y and heading of the own car in the world, metres and radians; `labels`: for
    each moment the other cars (k, 3) in the order of the label file, which may change from one to the next.
    `frames`: the moments that have pictures; `ids` and `texts` name and describe those.
    """

    name: str
    time: F
    pose: F
    labels: tuple[F, ...]
    frames: npt.NDArray[np.int64]
    ids: tuple[str, ...]
    texts: tuple[str, ...]


def recordings(scenes: Scenes, seed: int = 0) -> list[Recording]:
    """The scenes as recordings in world coordinates. The order of labels is by chance, as detectors give them."""
    rng = np.random.default_rng([3, seed])
    made = []
    for number in range(len(scenes)):
        pose = to_world(scenes.ego[number, :, :3], scenes.frame[number])
        cars = to_world(scenes.cars[number], scenes.frame[number])
        there = np.flatnonzero(~np.isnan(cars[:, 0, 0]))
        labels = tuple(cars[rng.permutation(there), step] for step in range(len(pose)))
        ids = tuple(f"{number * len(scenes.at) + frame:06d}" for frame in range(len(scenes.at)))
        texts = tuple(sentence(scenes, number, int(step)) for step in scenes.at)
        made.append(
            Recording(f"{number:04d}", np.arange(len(pose), dtype=float) * DT, pose, labels, scenes.at, ids, texts)
        )
    return made


def sentence(scenes: Scenes, scene: int, step: int) -> str:
    """What a person would say about the moment; neither light nor crossing car, which are to be seen in the pictures."""
    speed = 3.6 * scenes.ego[scene, step, 3]
    ahead = {"straight": "goes straight on", "left": "turns left", "right": "turns right"}
    intent = INTENTS[int(scenes.intent[scene])]
    where = "towards a junction" if scenes.ego[scene, step, 0] < -STOP else "in a junction"
    signs = f"{scenes.limit[scene]} are allowed"
    return f"The car drives at {round(speed)} km/h, {signs}. It is {where} and {ahead[intent]}."
