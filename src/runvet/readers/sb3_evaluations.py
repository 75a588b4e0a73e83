"""`evaluations.npz` of Stable-Baselines3's EvalCallback: returns and lengths of the episodes of every evaluation.

Arrays `timesteps` (n,), `results` and `ep_lengths` (n, episodes), and `successes` (n, episodes) where the environment
tells them. The series have the names that the same callback gives its logger.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from runvet.artifacts.model import Array, UnreadableError
from runvet.artifacts.npz import peek_npz, read_npz
from runvet.readers import Reader
from runvet.sink import Sink
from runvet.source import Source

FILE = "evaluations.npz"
MEANS = {"results": "eval/mean_reward", "ep_lengths": "eval/mean_ep_length", "successes": "eval/success_rate"}


def claims(source: Source) -> float:
    """Certain by the name with `timesteps` and `results` inside; damaged files of this name, too."""
    if source.name != FILE or not source.head.startswith(b"PK"):
        return 0.0
    try:
        held = peek_npz(source.path)
    except UnreadableError:
        return 0.6
    return 0.99 if {"timesteps", "results"} <= set(held) else 0.0


def read(source: Source, sink: Sink) -> None:
    """The mean of each evaluation's episodes. Arrays of objects are pickles, which are never opened."""
    try:
        contents = read_npz(source.path)
    except UnreadableError as error:
        sink.problem(f"no evaluations can be read: {error}")
        return
    for problem in contents.problems:
        sink.problem(problem)
    steps = _numbers(contents.arrays, "timesteps")
    if steps is None or steps.ndim != 1:
        sink.problem("no timesteps of the evaluations")
        return
    for name, series in MEANS.items():
        found = _numbers(contents.arrays, name)
        if found is None:
            continue
        if not found.ndim or len(found) != len(steps) or not found.size:
            sink.problem(f"{name} has the shape {found.shape}, beside {len(steps)} evaluations")
            continue
        means = found.astype(np.float64).reshape(len(steps), -1).mean(axis=1)
        sink.columns(series, means, step=steps.astype(np.float64), line=np.arange(1, len(steps) + 1))


def _numbers(arrays: Mapping[str, Array], name: str) -> Array | None:
    found = arrays.get(name)
    return found if found is not None and found.dtype.kind in "iufb" else None


reader = Reader("sb3_evaluations", claims, read)
