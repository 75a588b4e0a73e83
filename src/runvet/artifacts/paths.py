"""Trajectories among arrays, and whether their points belong to one motion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from runvet.artifacts.model import Array

STILL = 0.1  # change of a step over the steps of the quickest paths, below which it is the noise of a slow path


def jumps(path: Array) -> float:
    """How much consecutive steps of paths (n, t, k) disagree: median over paths of |second| over |first differences|.

    Smooth motion is far below 1, a random walk gives 1.4, points that have nothing to do with each other 1.7.
    """
    return float(np.median(jump_ratios(path)))


def jump_ratios(path: Array) -> Array:
    """The ratio of `jumps` for each path (n, t, k), shape (n,); 0 for those that stand or creep with a little noise."""
    first = np.diff(np.asarray(path, np.float64), axis=1)
    second = np.diff(first, axis=1)
    speed, change = (np.median(np.linalg.norm(d, axis=-1), axis=1) for d in (first, second))
    told = change > STILL * np.quantile(speed, 0.95) if len(speed) else speed > 0
    return np.asarray(np.divide(change, speed, out=np.zeros_like(speed), where=(speed > 0) & told))


def paths_in(arrays: Iterable[tuple[str, Array]]) -> Iterator[tuple[str, Array]]:
    """The arrays (n, t, 2 or 3) whose names speak of motion."""
    words = ("traj", "path", "future", "waypoint", "motion", "track", "position", "gt", "target")
    for name, array in arrays:
        if (
            array.ndim == 3
            and array.shape[1] >= 5
            and array.shape[2] in (2, 3)
            and array.dtype.kind in "fi"
            and any(w in name.lower() for w in words)
        ):
            good = array[np.isfinite(np.asarray(array, np.float64)).all(axis=(1, 2))]
            if len(good) >= 20:
                yield name, good
