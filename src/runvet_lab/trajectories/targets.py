"""Future paths from recordings: the right way, and the ways in which published builders went wrong.

A path holds HORIZON positions, 0.1 s apart, the first one 0.1 s after the picture: float32 (45, 2) in metres.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from runvet_lab.trajectories.recordings import Recording
from runvet_lab.trajectories.world import DT, HORIZON, PAST

F: TypeAlias = npt.NDArray[np.float64]

OVER = 0.3  # seconds over which the speed at a picture is measured
TOLERANCE = 0.5  # of a step: how much the time between two positions may differ from 0.1 s


@dataclass(frozen=True, slots=True)
class Targets:
    """Samples with a future. `paths` (n, 45, 2) metres; `speed` (n,) m/s and `pose` (n, 3) of the own car at the picture;
    `past` (n, PAST) m/s: the speeds of the steps before the picture, the newest last; `recording` (n,) names and `ids` (n,); `steps` (n, 45) names the recording of each position;
    `left_out` counts pictures without enough future.
    """

    paths: F
    speed: F
    past: F
    pose: F
    recording: tuple[str, ...]
    ids: tuple[str, ...]
    texts: tuple[str, ...]
    steps: tuple[tuple[str, ...], ...]
    left_out: int

    def __len__(self) -> int:
        return len(self.paths)


def build(found: Sequence[Recording], kind: str = "ego") -> Targets:
    """Targets of one of KINDS. Raises ValueError for an unknown kind, and where no picture has enough future."""
    if kind not in KINDS:
        raise ValueError(f"unknown targets {kind!r}; known are {', '.join(KINDS)}")
    rows, left_out = [], 0
    for recording, following in zip(found, [*found[1:], None], strict=True):
        for frame, name, text in zip(recording.frames, recording.ids, recording.texts, strict=True):
            path = KINDS[kind](recording, int(frame), following)
            if path is None:
                left_out += 1
            else:
                speed = speed_at(recording, int(frame))
                past, of = past_speeds(recording, int(frame)), _names(recording, int(frame), following, kind)
                rows.append((path, speed, past, recording.pose[frame], recording.name, name, text, of))
    if not rows:
        raise ValueError(f"none of {left_out} pictures has {HORIZON} positions after it")
    paths, speeds, pasts, poses, names, ids, texts, steps = zip(*rows, strict=True)
    numbers = np.stack(paths), np.array(speeds), np.stack(pasts), np.stack(poses)
    return Targets(*numbers, names, ids, texts, steps, left_out)


def speed_at(recording: Recording, frame: int) -> float:
    """Speed in m/s at a moment, from the positions before it: what a car knows at that time."""
    before = int(np.searchsorted(recording.time, recording.time[frame] - OVER - 1e-6))
    if before == frame:
        before, frame = frame, min(frame + 1, len(recording.time) - 1)
    span = recording.time[frame] - recording.time[before]
    moved = np.linalg.norm(recording.pose[frame, :2] - recording.pose[before, :2])
    return float(moved / span) if span > 0 else 0.0


def past_speeds(recording: Recording, frame: int) -> F:
    """Speeds (PAST,) in m/s of the steps that led to a moment; where the recording begins later, the oldest known one."""
    begin = max(frame - PAST, 0)
    if begin == frame:
        return np.full(PAST, speed_at(recording, frame))
    moved = np.linalg.norm(np.diff(recording.pose[begin : frame + 1, :2], axis=0), axis=-1)
    speeds = moved / np.diff(recording.time[begin : frame + 1])
    return np.concatenate([np.full(PAST - len(speeds), speeds[0]), speeds])


def ego(recording: Recording, frame: int, _: Recording | None) -> F | None:
    """The own car's positions in its frame at the picture: x forward, y left. None where the future is not complete."""
    future = _future(recording, frame)
    return None if future is None else _turned(future - recording.pose[frame, :2], -recording.pose[frame, 2])


def absolute(recording: Recording, frame: int, _: Recording | None) -> F | None:
    """World coordinates: the site explains nearly everything."""
    return _future(recording, frame)


def wrong_yaw(recording: Recording, frame: int, _: Recording | None) -> F | None:
    """Turned by the heading instead of against it."""
    future = _future(recording, frame)
    return None if future is None else _turned(future - recording.pose[frame, :2], recording.pose[frame, 2])


def heading_from_step(recording: Recording, frame: int, _: Recording | None) -> F | None:
    """Turned by the direction of the first step: noise decides it when the car stands or creeps."""
    future = _future(recording, frame)
    if future is None:
        return None
    noisy = future - recording.pose[frame, :2] + np.random.default_rng(frame).normal(0, 0.02, future.shape)
    step = noisy[1] - noisy[0]
    return _turned(noisy, -float(np.arctan2(step[1], step[0])))


def first_car(recording: Recording, frame: int, _: Recording | None) -> F | None:
    """The first car of each moment's label file, whichever it is, from the first one's place; clamped to 200 m.

    The idea of the founding case's builder: a path whose points belong to different cars cannot be learned.
    """
    if frame + HORIZON >= len(recording.labels):
        return None
    last = recording.pose[frame, :2]
    path = []
    for step in range(frame, frame + HORIZON + 1):
        if len(recording.labels[step]):
            last = recording.labels[step][0, :2]
        path.append(last)
    moved = np.array(path[1:]) - path[0]
    farthest = np.linalg.norm(moved, axis=1).max()
    return moved * min(1.0, 200.0 / farthest) if farthest > 0 else moved


def cross_batch(recording: Recording, frame: int, following: Recording | None) -> F | None:
    """The next 45 positions of the list, even where they are from the next recording."""
    places = recording.pose if following is None else np.concatenate([recording.pose, following.pose])
    at = _late(recording, frame)
    if at + HORIZON >= len(places):
        return None
    return _turned(places[at + 1 : at + 1 + HORIZON, :2] - places[at, :2], -recording.pose[at, 2])


def _late(recording: Recording, frame: int) -> int:
    """A moment so late that its future may run over the end."""
    return min(frame + 60, len(recording.pose) - 1)


def _names(recording: Recording, frame: int, following: Recording | None, kind: str) -> tuple[str, ...]:
    """The recording of each position of a path."""
    if kind != "cross_batch" or following is None:
        return (recording.name,) * HORIZON
    own = min(len(recording.pose) - 1 - _late(recording, frame), HORIZON)
    return (recording.name,) * own + (following.name,) * (HORIZON - own)


KINDS: dict[str, Callable[[Recording, int, Recording | None], F | None]] = {
    "ego": ego,
    "world": absolute,
    "wrong_yaw": wrong_yaw,
    "heading_from_step": heading_from_step,
    "first_car": first_car,
    "cross_batch": cross_batch,
}


def _future(recording: Recording, frame: int) -> F | None:
    """The next positions (45, 2) in the world, where there is no gap among them."""
    times = recording.time[frame : frame + HORIZON + 1]
    if len(times) <= HORIZON or np.abs(np.diff(times) - DT).max() > TOLERANCE * DT:
        return None
    return recording.pose[frame + 1 : frame + HORIZON + 1, :2]


def _turned(points: F, angle: float) -> F:
    cos, sin = np.cos(angle), np.sin(angle)
    out: F = points @ np.array([[cos, sin], [-sin, cos]])
    return out
