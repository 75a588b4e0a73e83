"""Predicted masks beside the true ones: means from evaluation summaries, or from saved arrays."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from runvet.artifacts import pairs
from runvet.artifacts.grouping import words
from runvet.artifacts.model import Artifacts, UnreadableError, evenly
from runvet.evidence import Missing, provides
from runvet.evidence.artifact_groups import owner
from runvet.evidence.mask_pictures import mask_pictures
from runvet.evidence.predictions import FILES, Predictions
from runvet.run import Run, Setting, Stage, number

_MASK = frozenset("mask masks occupancy seg segmentation foreground fg valid ambiguous".split())
_STATISTIC = frozenset("mean ratio fraction share avg average coverage occupancy foreground".split())
_SUMMARY = frozenset(
    "summary eval evaluation val test metrics results result report precheck stats index idx debug inference".split()
)


@dataclass(frozen=True, slots=True)
class Mask:
    """The mean of a predicted mask and of the true one (both 0..1), and their overlap where arrays tell it, else NaN.

    `samples` is how many the means are over, 0 where the file does not say.
    """

    name: str
    pred: float
    true: float
    iou: float
    samples: int
    where: str


@dataclass(frozen=True, slots=True)
class Masks:
    """Every mask of a stage for which both means are known; never empty."""

    masks: tuple[Mask, ...]


@provides
def masks(run: Run, stage: Stage, saved: Predictions | None) -> Masks | Missing:
    found = list(_told(stage.settings))
    curves = {s.name: s for s in stage.series if len(s.finite()) == len(s) > 0}
    found += _means(
        {n: float(np.median(s.value[-3:])) for n, s in curves.items()},
        stage.logs[0].source if stage.logs else "the log",
    )
    if run.artifacts is not None:
        kept = run.artifacts
        summaries = kept.memo("summaries", lambda: tuple(_summaries(kept)))
        drawn = kept.memo("mask pictures", lambda: tuple(mask_pictures(kept)))
        found += [m for m in summaries if owner(m.where, run.stages) is stage]
        found += [m for w, p, t in drawn if owner(w, run.stages) is stage and (m := _of_arrays("mask", p, t, w))]
    found += [
        m for p in (saved.pairs if saved else ()) if (m := _of_arrays(p.name, p.pred, p.true, p.where)) is not None
    ]
    if not found:
        return Missing(
            "no mask beside its truth", "log the mean of predicted and true masks at evaluation", applicable=False
        )
    # A summary is read as settings, too: the same two means are the same mask.
    return Masks(tuple({(m.pred, m.true): m for m in reversed(found)}.values())[::-1])


def _told(settings: Sequence[Setting]) -> Iterator[Mask]:
    by_source: dict[str, dict[str, float]] = {}
    for setting in settings:
        if (value := setting.number) is not None:
            by_source.setdefault(setting.source, {})[setting.key] = value
    for source, values in by_source.items():
        yield from _means(values, source)


def _summaries(artifacts: Artifacts) -> Iterator[Mask]:
    candidates = [
        i for i in artifacts.items if i.suffix == ".json" and i.size < 1 << 20 and _SUMMARY & set(words(i.parts[-1]))
    ]
    for item in evenly(candidates, FILES):
        try:
            plain = artifacts.read(item).plain
        except UnreadableError:
            continue
        if isinstance(plain, dict):
            yield from _means(dict(_flat(plain)), item.name)
    tables = [
        i
        for i in artifacts.items
        if i.suffix == ".csv" and i.size < 16 << 20 and _SUMMARY & {w for p in i.parts[-2:] for w in words(p)}
    ]
    for item in evenly(tables, FILES):
        try:
            columns = artifacts.read(item).arrays
        except UnreadableError:
            continue
        # One row a sample: the mean over them.
        known = {k: float(v[np.isfinite(v)].mean()) for k, v in columns.items() if v.ndim == 1 and np.isfinite(v).any()}
        rows = max((len(v) for v in columns.values()), default=0)
        yield from (replace(m, samples=rows) for m in _means(known, item.name))


def _flat(value: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, float]]:
    for key, inner in list(value.items())[:500]:
        if isinstance(inner, dict) and depth < 3:
            yield from _flat(inner, f"{prefix}{key}.", depth + 1)
        elif (known := number(inner)) is not None:
            yield f"{prefix}{key}", known


def _means(values: Mapping[str, float], source: str) -> Iterator[Mask]:
    """Pairs such as `pred_mask_mean` and `gt_mask_mean`."""
    named = {k: v for k, v in values.items() if _MASK & set(words(k)) and _STATISTIC & set(words(k))}
    for p, t, rest in pairs.matched(named):
        if 0 <= named[p] <= 1 and 0 <= named[t] <= 1:
            yield Mask(rest or "mask", named[p], named[t], math.nan, 0, source)


def _of_arrays(name: str, pred: np.ndarray[Any, Any], true: np.ndarray[Any, Any], where: str) -> Mask | None:
    """The means of saved masks: a truth of zeros and ones, predictions within 0..1."""
    if not np.isin(true, (0.0, 1.0)).all() or pred.min() < -1e-6 or pred.max() > 1 + 1e-6 or true.shape[1] < 16:
        return None
    on, real = pred >= 0.5, true > 0
    union = int((on | real).sum())
    return Mask(
        name,
        float(pred.mean()),
        float(true.mean()),
        float((on & real).sum() / union) if union else math.nan,
        len(pred),
        where,
    )
