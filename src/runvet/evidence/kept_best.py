"""Checkpoints named as the best, found again among the evaluations of the log by their step or epoch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from runvet.checkpoints.model import Checkpoint
from runvet.checkpoints.names import stem, words
from runvet.evidence import Missing, provides
from runvet.evidence.checkpoints import BEST, Checkpoints
from runvet.run import FloatArray, Series, Stage, number

FEWEST = 6  # evaluations
KINDS = ("loss", "accuracy", "metric", "error", "success_rate", "perplexity")
Beside: TypeAlias = tuple[Series, tuple[int, ...]]
ROLES = (*(f"{split}_{kind}" for split in ("val", "test") for kind in KINDS), *(k for k in KINDS if k != "loss"), "reward")  # fmt: skip
MONITOR = ("monitor", "metric_for_best_model", "monitor_metric", "best_metric", "save_best_metric", "best_checkpoint_metric",
           "checkpoint_metric", "checkpoint_monitor", "early_stopping_metric", "save_best", "key_metric", "model_selection_metric")  # fmt: skip
_PARTS = re.compile(r"[a-z0-9]+")
_VALUES = 200  # plain values of a checkpoint that are looked through


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A checkpoint named as the best beside one metric: `at` are the evaluations it may be, the likeliest first.

    `told` says that name, configuration or checkpoint name this metric as the one that decides.
    """

    checkpoint: Checkpoint
    series: Series
    at: tuple[int, ...]
    told: bool


@dataclass(frozen=True, slots=True)
class KeptBest:
    """The newest checkpoint of each name that says it is the best, with every metric that may have chosen it."""

    all: tuple[tuple[Evaluated, ...], ...]


@provides
def kept_best(stage: Stage, saved: Checkpoints) -> KeptBest | Missing:
    held = [
        s
        for s in map(Series.finite, stage.series)
        if s.direction and s.role in ROLES and len(s) >= FEWEST and _onward(s)
    ]
    told = stage.setting(*MONITOR)
    monitor = told.value if told is not None and isinstance(told.value, str) else ""
    found = []
    for best, step, epoch in _named(saved):
        beside = [(s, at) for s in held if (at := _places(s, step, epoch))]
        chosen = _deciding(best, beside, monitor)
        made = tuple(Evaluated(best, s, at, bool(chosen)) for s, at in chosen or beside)
        found += [made] if made else []
    if not found:
        return Missing(
            "no checkpoint named as the best tells its step, or no evaluations stand beside it", "", applicable=False
        )
    return KeptBest(tuple(found))


def _onward(series: Series) -> bool:
    """Whether steps (or epochs) only go up: then each of them means one evaluation."""
    return series.axis != "point" and bool((np.diff(series.x()) > 0).all())


def _named(saved: Checkpoints) -> Iterator[tuple[Checkpoint, int | None, float | None]]:
    """Checkpoints called best with their step and epoch; of several whose names differ in numbers, the newest."""
    newest: dict[str, tuple[Checkpoint, int | None, float | None]] = {}
    several = [(c, c.step, c.epoch) for c in saved.saves]
    several += [
        (c, c.step if c.step is not None else of.step, c.epoch if c.epoch is not None else of.epoch)
        for c, of in saved.copies
    ]
    for best, step, epoch in several:
        if (
            not words(stem(best.path.rpartition("/")[2])) & BEST
            or best.usable is False
            or (step is None and epoch is None)
        ):
            continue
        key = re.sub(r"[\d.]+", "#", best.path)
        if key not in newest or (step or 0, epoch or 0.0) > (newest[key][1] or 0, newest[key][2] or 0.0):
            newest[key] = (best, step, epoch)
    yield from newest.values()


def _places(series: Series, step: int | None, epoch: float | None) -> tuple[int, ...]:
    """The evaluation of this step or epoch and both its neighbours: counting may begin at 0 or 1."""
    for axis, value in ((series.step, step), (series.epoch, epoch)):
        if value is None or not np.isfinite(axis).all() or not (np.diff(axis) > 0).all():
            continue
        gap = float(np.median(np.diff(axis)))
        near = int(np.abs(axis - value).argmin())
        if abs(axis[near] - value) <= gap:
            return tuple(i for i in (near, near - 1, near + 1) if 0 <= i < len(series))
    return ()


def _deciding(best: Checkpoint, beside: Sequence[Beside], monitor: str) -> list[Beside]:
    """The one metric that the configuration, the file's name or a value inside names; none where none or several are."""
    name = _PARTS.findall(stem(best.path.rpartition("/")[2]).lower())
    inside = [number(v) for k, v in list(best.plain.items())[:_VALUES] if "best" in k.lower()]
    for chosen in (
        [b for b in beside if monitor and _same_name(b[0].name, monitor)],
        [b for b in beside if _last(b[0].name) in name],
        [b for b in beside if any(v is not None and _equal(float(b[0].value[b[1][0]]), v) for v in inside)],
    ):
        if len(chosen) == 1:
            return chosen
    return []


def _last(name: str) -> str:
    parts = _PARTS.findall(name.lower())
    return str(parts[-1]) if parts else ""


def _same_name(series: str, told: str) -> bool:
    """`val/acc` is `val_acc`; `accuracy` is `eval_accuracy`."""
    a, b = _PARTS.findall(series.lower()), _PARTS.findall(told.lower())
    return a == b or a == ["eval", *b] or ["eval", *a] == b


def _equal(value: float, told: float) -> bool:
    """Whether a value is the logged one, as far as six digits go; whole numbers are equal by chance."""
    return told != round(told) and bool(abs(value - told) <= 1e-6 + 1e-5 * abs(told))


def better(series: Series, index: int, margin: float) -> int:
    """How many evaluations are better than this one by more than a share of the spread of all."""
    lower: FloatArray = (-1.0 if series.direction == "up" else 1.0) * series.value
    return int(np.sum(lower < lower[index] - margin * float(lower.max() - lower.min())))
