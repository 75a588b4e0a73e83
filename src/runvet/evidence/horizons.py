"""The error of a predicted future at each distance ahead: from saved predictions, from curves and metrics files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from runvet.artifacts.grouping import words
from runvet.artifacts.model import Artifacts, UnreadableError, evenly
from runvet.evidence import Missing, provides
from runvet.evidence.artifact_groups import owner
from runvet.evidence.predictions import Pair, Predictions, judged
from runvet.run import FloatArray, Run, Stage, number

_AHEAD = re.compile(
    r"^(?P<name>[a-z][a-z0-9_ /.]*?)(?:[_@/ ]+(?:at_?|t\+?|h|step_?|horizon_?)?|@)(?P<ahead>\d+(?:\.\d+)?)_?(?P<unit>s|sec|ms|h|steps?|m)?$",
    re.IGNORECASE,
)
_ERROR = frozenset("l ade fde minade minfde rmse mae mse error err epe ate rpe displacement".split())
_NOT = frozenset("top acc accuracy recall precision map ap iou hit hits ndcg p percentile quantile quantiles".split())
_SUMMARY = frozenset("metrics metric results result eval evaluation summary test val report".split())
FILES = 24


@dataclass(frozen=True, slots=True)
class Horizon:
    """Error at each distance ahead: `ahead` (m,) rising, `error` (m,) above 0.

    `skill` (m,) is R² against the mean at each distance, `typical` (m,) the median error, `size` (m,) how far the
    truth lies from its start; empty where only errors are told. `unit` is that of `ahead` as written.
    """

    name: str
    where: str
    ahead: FloatArray
    error: FloatArray
    skill: FloatArray
    typical: FloatArray
    size: FloatArray
    unit: str
    samples: int


@dataclass(frozen=True, slots=True)
class Horizons:
    """All of a stage; never empty."""

    all: tuple[Horizon, ...]


@provides
def horizons(run: Run, stage: Stage, predictions: Predictions | None) -> Horizons | Missing:
    found = [h for p in judged(predictions.pairs if predictions else (), fewest=30) if (h := _of_pair(p)) is not None]
    last = {s.name: float(s.finite().value[-1]) for s in stage.series if len(s.finite())}
    found += _told(last, stage.logs[0].source if stage.logs else "the log")
    if run.artifacts is not None:
        kept = run.artifacts
        files = kept.memo("horizons", lambda: tuple(_in_files(kept)))
        found += [h for h in files if owner(h.where, run.stages) is stage]
    if not found:
        return Missing("no error told for several distances ahead", "save pred and gt with the steps along the second axis", applicable=False)  # fmt: skip
    return Horizons(tuple({(h.name, h.where): h for h in found}.values()))


def _of_pair(pair: Pair) -> Horizon | None:
    if not 1 <= len(pair.shape) <= 2 or not 4 <= pair.shape[0] <= 1000 or (len(pair.shape) == 2 and pair.shape[1] > 4):
        return None
    pred, true = (a.reshape(pair.n, pair.shape[0], -1) for a in (pair.pred, pair.true))
    if len(pair.shape) == 1 and not _ordered(true[..., 0]):
        return None
    distance = np.linalg.norm(pred - true, axis=-1)
    rest = np.mean((true - true.mean(axis=0)) ** 2, axis=(0, 2))
    skill = 1 - np.mean((pred - true) ** 2, axis=(0, 2)) / np.where(rest > 0, rest, np.nan)
    size = np.median(np.linalg.norm(true - true[:, :1], axis=-1), axis=0)
    ahead = np.arange(1.0, pair.shape[0] + 1)
    return Horizon(pair.name, pair.where, ahead, distance.mean(axis=0), skill, np.median(distance, axis=0), size, "steps", pair.n)  # fmt: skip


def _ordered(true: FloatArray) -> bool:
    """Whether columns are steps of one series: neighbours correlate more than columns far apart."""
    with np.errstate(all="ignore"):
        table = np.nan_to_num(np.corrcoef(true.T))
    near = float(np.median(np.diag(table, 1)))
    return near > 0.5 and near > float(np.median(np.diag(table, len(table) // 2))) + 0.02


def _told(values: Mapping[str, float], where: str) -> Iterator[Horizon]:
    """Groups of names that differ by one number: `L2@2.5s`, `L2@3.5s`, `L2@4.5s`."""
    groups: dict[tuple[str, str], dict[float, float]] = {}
    for key, value in values.items():
        match = _AHEAD.match(key.strip())
        if match and value > 0 and np.isfinite(value):
            told = set(words(match["name"]))
            if told & _ERROR and not told & _NOT and (match["unit"] or "@" in key):
                groups.setdefault((match["name"], match["unit"] or ""), {})[float(match["ahead"])] = value
    empty = np.zeros(0)
    for (name, unit), found in groups.items():
        if len(found) >= 3:
            ahead = np.array(sorted(found))
            yield Horizon(name, where, ahead, np.array([found[a] for a in ahead]), empty, empty, empty, unit, 0)


def _in_files(artifacts: Artifacts) -> Iterator[Horizon]:
    candidates = [i for i in artifacts.items if i.suffix == ".json" and i.size < 1 << 20 and _SUMMARY & set(words(i.parts[-1]))]  # fmt: skip
    for item in evenly(candidates, FILES):
        try:
            plain = artifacts.read(item).plain
        except UnreadableError:
            continue
        if isinstance(plain, dict):
            for prefix, level in _levels(plain):
                yield from _told(level, f"{item.name}: {prefix}" if prefix else item.name)


def _levels(plain: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, dict[str, float]]]:
    """The numbers of each dict; `{"l2": {"2.5s": 1.1}}` as `l2@2.5s`."""
    level: dict[str, float] = {}
    for key, inner in list(plain.items())[:200]:
        if (value := number(inner)) is not None:
            level[key] = value
            if prefix and re.match(r"^\d+(?:\.\d+)?_?(?:s|sec|ms|h|steps?)$", key):
                level[f"{prefix.rpartition('.')[2]}@{key}"] = value
        elif isinstance(inner, dict) and depth < 3:
            yield from _levels(inner, f"{prefix}.{key}" if prefix else key, depth + 1)
    yield prefix, level
