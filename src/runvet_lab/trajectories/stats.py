"""What the paths of a data set look like, before anything is trained on them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from runvet_lab.trajectories import metrics
from runvet_lab.trajectories.samples import Samples
from runvet_lab.trajectories.world import DT

FAST = 45.0  # m/s: no road vehicle is faster
HARD = 15.0  # m/s²: no tyre holds more
NEAR = 1e-2  # metres: a number in a text that is this close to a coordinate is that coordinate


def describe(found: Mapping[str, Samples]) -> dict[str, Any]:
    """Facts of each split, and of both together."""
    out: dict[str, Any] = {name: _split(part) for name, part in found.items()}
    names = list(found)
    if len(names) > 1:
        train, held = found[names[0]], found[names[1]]
        shared = set(filter(None, train.recording)) & set(held.recording)
        inside = [recording in shared for recording in held.recording]
        out["held-out samples of recordings that are also trained on"] = float(np.mean(inside)) if inside else 0.0
        out["held-out paths that are equal to a trained one"] = _equal(train.paths, held.paths)
    return out


def advice(found: Mapping[str, Samples]) -> list[str]:
    """What to do about it, most important first."""
    train = found["train"]
    said, facts = [], _split(train)
    if facts["steps above 45 m/s"] > 0.001:
        said.append("Repair the targets: positions jump as no car can (identities or recordings are mixed).")
    if facts["variance explained by the recording"] > 0.9:
        said.append("Use the car's own frame: where it is explains nearly everything.")
    if facts["first step, median m"] > FAST * DT:
        said.append("The first position is farther away than 0.1 s allows: check the frame of reference.")
    if facts["texts that hold a coordinate of the path"] > 0.05:
        said.append("Remove the answer from the texts.")
    spread = train.paths.std(axis=0)
    said.append(
        f"Normalise each position: standard deviations run from {spread[0].max():.2f} m at 0.1 s to {spread[-1].max():.1f} m at 4.5 s."
    )
    return said


def _split(part: Samples) -> dict[str, Any]:
    paths = part.paths.astype(float)
    with_start = np.concatenate([np.zeros((len(paths), 1, 2)), paths], axis=1)
    speed = np.linalg.norm(np.diff(paths, axis=1), axis=-1) / DT
    change = np.abs(np.diff(speed, axis=1)) / DT
    cv = metrics.errors(metrics.constant_velocity(part.speed.astype(float)), paths)
    held = (np.abs(np.diff(paths[:, -4:], axis=1)).max(axis=(1, 2)) == 0) & (speed[:, -5] > 2)
    return {
        "samples": len(paths),
        "range of coordinates, m": [round(float(paths.min()), 2), round(float(paths.max()), 2)],
        "speed, median and highest m/s": [round(float(np.median(speed)), 2), round(float(speed.max()), 2)],
        "steps above 45 m/s": float((speed > FAST).mean()),
        "steps above 15 m/s²": float((change > HARD).mean()),
        "first step, median m": round(float(np.median(np.linalg.norm(with_start[:, 1], axis=-1))), 3),
        "paths that start at exactly 0": float((paths[:, 0] == 0).all(axis=-1).mean()),
        "paths whose last position is repeated": float(held.mean()),
        "mean displacement at 4.5 s, m": round(float(np.linalg.norm(paths[:, -1], axis=-1).mean()), 2),
        "ADE of constant velocity, m": round(cv["ade"], 3),
        "variance explained by the recording": _by_recording(part),
        "heading at 1 s, concentration": _heading(paths),
        "texts that hold a coordinate of the path": _told(part),
    }


def _by_recording(part: Samples) -> float:
    """Share of the variance of the last positions that lies between recordings of at least two samples."""
    names, index, counts = np.unique(part.recording, return_inverse=True, return_counts=True)
    if len(names) < 2 or counts.max() < 2:
        return 0.0
    ends = part.paths[:, -1].astype(float)
    means = np.stack([np.bincount(index, ends[:, axis]) / counts for axis in range(2)], -1)
    total = ((ends - ends.mean(axis=0)) ** 2).sum()
    return float(((means[index] - ends.mean(axis=0)) ** 2).sum() / total) if total else 0.0


def _heading(paths: np.ndarray[Any, Any]) -> float:
    """Length of the mean direction of those that move: near 1 in the car's own frame, near 0 without a rotation."""
    after = paths[:, round(1 / DT) - 1]
    moving = np.linalg.norm(after, axis=-1) > 1
    if not moving.any():
        return 1.0
    angle = np.arctan2(after[moving, 1], after[moving, 0])
    return float(np.hypot(np.cos(angle).mean(), np.sin(angle).mean()))


def _told(part: Samples) -> float:
    """Share of texts with a number that is a coordinate of the path (whole numbers left out: they may be anything)."""
    hits = 0
    for text, path in zip(part.texts, part.paths, strict=True):
        numbers = [float(n) for n in re.findall(r"-?\d+\.\d+", text)]
        hits += any(np.abs(path - number).min() < NEAR for number in numbers)
    return hits / len(part) if len(part) else 0.0


def _equal(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    known = {path.tobytes() for path in one}
    return float(np.mean([path.tobytes() in known for path in other])) if len(other) else 0.0
