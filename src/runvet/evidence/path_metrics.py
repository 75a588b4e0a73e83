"""Told errors of paths at the farthest horizon, beside what the saved predictions give under both definitions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from runvet.artifacts.grouping import words
from runvet.artifacts.model import Artifacts, UnreadableError, evenly
from runvet.evidence import Missing, provides
from runvet.evidence.artifact_groups import owner
from runvet.evidence.horizons import _AHEAD, _ERROR, _NOT, _SUMMARY, _levels
from runvet.evidence.predictions import Pair, Predictions, judged
from runvet.run import Run, Stage

FILES = 12
_PREFIX = re.compile(r"^(?:val|valid|validation|test|eval|evaluation)[/_. ]")


@dataclass(frozen=True, slots=True)
class Told:
    """One told error: its name without the split, the value, and where."""

    name: str
    value: float
    where: str


@dataclass(frozen=True, slots=True)
class PathMetrics:
    """`at` is the mean error of the last position, `upto` that of all positions, of the predictions in `where`."""

    where: str
    samples: int
    at: float
    upto: float
    told: tuple[Told, ...]


@provides
def path_metrics(run: Run, stage: Stage, predictions: Predictions) -> PathMetrics | Missing:
    pair = next((p for p in judged(predictions.pairs, fewest=30) if len(p.shape) == 2 and p.shape[1] in (2, 3)), None)
    told = [*_logged(stage), *(_in_files(run.artifacts, run, stage) if run.artifacts is not None else ())]
    if pair is None or not told:
        return Missing("no saved paths beside told errors at a distance ahead", "save pred and gt as (samples, steps, 2), and print the errors by horizon", applicable=False)  # fmt: skip
    return PathMetrics(pair.where, pair.n, *_both(pair), tuple(told))


def _both(pair: Pair) -> tuple[float, float]:
    distance = np.linalg.norm((pair.pred - pair.true).reshape(pair.n, *pair.shape), axis=-1)
    return float(distance[:, -1].mean()), float(distance.mean())


def _logged(stage: Stage) -> Iterator[Told]:
    """The last value of each such curve, and its lowest, which is that of the best checkpoint."""
    series = {s.name: s.finite() for s in stage.series}
    for name in _farthest(dict.fromkeys(series, 1.0)):
        values = series[name].value
        if len(values):
            for value in dict.fromkeys((float(values[-1]), float(values.min()))):
                yield Told(_PREFIX.sub("", name), value, series[name].where(len(values) - 1))


def _in_files(artifacts: Artifacts, run: Run, stage: Stage) -> Iterator[Told]:
    candidates = [i for i in artifacts.items if i.suffix == ".json" and i.size < 1 << 20 and _SUMMARY & set(words(i.parts[-1]))]  # fmt: skip
    for item in evenly(candidates, FILES):
        if owner(item.name, run.stages) is not stage:
            continue
        try:
            plain = artifacts.read(item).plain
        except UnreadableError:
            continue
        for _, level in _levels(plain) if isinstance(plain, dict) else ():
            for name, value in _farthest(level).items():
                yield Told(_PREFIX.sub("", name), value, item.name)


def _farthest(values: Mapping[str, float]) -> dict[str, float]:
    """Errors whose name tells the farthest distance of all that are told: `l2_4.5s` beside `l2_2.5s`."""
    found: dict[str, tuple[float, str]] = {}
    for key in values:
        match = _AHEAD.match(key.strip())
        told = set(words(match["name"])) if match else set()
        if match and match["unit"] and told & _ERROR and not told & _NOT:
            found[key] = float(match["ahead"]), match["unit"]
    if len({ahead for ahead, _ in found.values()}) < 2:
        return {}
    longest = max(ahead for ahead, _ in found.values())
    return {key: values[key] for key, (ahead, _) in found.items() if ahead == longest}
