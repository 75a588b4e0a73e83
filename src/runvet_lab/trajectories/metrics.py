"""Errors of paths, always beside what simple predictors reach.

Shapes: predictions and truth (n, 45, 2) in metres. The two definitions of "L2 at t" have two names: `l2_at` is the error
of the position at t (UniAD, ST-P3), `l2_upto` the mean over all positions up to t (VAD and others).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from runvet_lab.trajectories.world import DT

F: TypeAlias = npt.NDArray[np.float64]

HORIZONS = (2.5, 3.5, 4.5)  # seconds
STILL = 1.0  # m² of variance of the last position below which R² and ratios mean nothing


def errors(predicted: F, truth: F) -> dict[str, float]:
    """ADE, FDE and both definitions of L2, in metres."""
    distance = np.linalg.norm(np.asarray(predicted, float) - truth, axis=-1)
    out = {"ade": float(distance.mean()), "fde": float(distance[:, -1].mean())}
    for seconds in HORIZONS:
        step = round(seconds / DT)
        out[f"l2_at_{seconds}s"] = float(distance[:, step - 1].mean())
        out[f"l2_upto_{seconds}s"] = float(distance[:, :step].mean())
    return out


def spread(predicted: F, truth: F, mean: F, *, seed: int = 0) -> dict[str, float]:
    """How far predictions follow the truth: R² against the mean path (45, 2) of training, ranges, and a permutation.

    `range_ratio`: central 95 % of the last positions, predictions over truth. `variance_ratio`: median over positions
    after 1 s. `permuted_ratio`: error with truths of other samples over the error; 1 means that inputs carry nothing.
    Empty where the truth hardly moves.
    """
    predicted = np.asarray(predicted, float)
    if truth[:, -1].var(axis=0).max() < STILL:
        return {}
    rest, total = ((predicted - truth) ** 2).sum(), ((truth - mean) ** 2).sum()
    ends = [np.subtract(*np.percentile(part[:, -1], [97.5, 2.5], axis=0)) for part in (predicted, truth)]
    later = slice(round(1 / DT), None)
    variances = predicted[:, later].var(axis=0) / np.maximum(truth[:, later].var(axis=0), 1e-9)
    order = np.random.default_rng(seed).permutation(len(truth))
    distance = np.linalg.norm(predicted - truth, axis=-1).mean()
    shuffled = np.linalg.norm(predicted - truth[order], axis=-1).mean()
    return {
        "r2": float(1 - rest / total),
        "range_ratio": float(np.median(ends[0] / np.maximum(ends[1], 1e-9))),
        "variance_ratio": float(np.median(variances)),
        "permuted_ratio": float(shuffled / max(distance, 1e-9)),
    }


def constant_velocity(speed: F, steps: int = 45) -> F:
    """Straight on at the speed (n,) in m/s: (n, steps, 2)."""
    out = np.zeros((len(speed), steps, 2))
    out[..., 0] = np.asarray(speed, float)[:, None] * (np.arange(steps) + 1) * DT
    return out


def baselines(truth: F, speed: F, training: F) -> Mapping[str, F]:
    """Predictions of what needs no network: standing still, mean and median path of training, constant velocity."""
    shape = truth.shape
    return {
        "zero": np.zeros(shape),
        "mean": np.broadcast_to(training.mean(axis=0), shape),
        "median": np.broadcast_to(np.median(training, axis=0), shape),
        "constant_velocity": constant_velocity(speed, shape[1]),
    }
