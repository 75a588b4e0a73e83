"""Predictions of a future beside what was known before it: the forecasts that anybody can make."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from runvet.artifacts.grouping import words
from runvet.artifacts.model import Array, UnreadableError
from runvet.evidence import Missing, provides
from runvet.evidence.predictions import Pair, Predictions, judged
from runvet.run import FloatArray, Run

PAST = frozenset("past history hist context previous prev lookback observation observations input inputs x".split())
LAST = frozenset("last current now present start".split())


@dataclass(frozen=True, slots=True)
class Forecast:
    """One pair of (n, steps) or (n, steps, k) with simple forecasts of the same shape by name.

    `pred` and `true` are (n, steps, k) float64.
    """

    pair: Pair
    pred: FloatArray
    true: FloatArray
    simple: tuple[tuple[str, FloatArray], ...]

    def errors(self, predicted: FloatArray) -> FloatArray:
        """Mean distance of each sample over the steps, (n,)."""
        return np.asarray(np.linalg.norm(predicted - self.true, axis=-1).mean(axis=1))


@dataclass(frozen=True, slots=True)
class Forecasts:
    """All predictions of futures for which a simple forecast can be made; never empty."""

    all: tuple[Forecast, ...]


@provides
def forecasts(run: Run, predictions: Predictions) -> Forecasts | Missing:
    found = [f for p in judged(predictions.pairs, fewest=30) if (f := _forecast(run, p)) is not None]
    if not found:
        return Missing(
            "no predicted future beside its past",
            "save the past beside pred and gt: np.savez(…, past=…)",
            applicable=False,
        )
    return Forecasts(tuple(found))


def _forecast(run: Run, pair: Pair) -> Forecast | None:
    if not 1 <= len(pair.shape) <= 2 or pair.shape[0] < 2 or (len(pair.shape) == 2 and pair.shape[1] > 16):
        return None
    pred, true = (a.reshape(pair.n, pair.shape[0], -1) for a in (pair.pred, pair.true))
    simple: list[tuple[str, FloatArray]] = []
    for past in _pasts(run, pair, true):
        simple.append(("the last value", np.repeat(past[:, -1:], true.shape[1], axis=1)))
        if past.shape[1] >= 2:
            # One step back alone is noise: the mean step over up to the last three.
            back = min(3, past.shape[1] - 1)
            step = (past[:, -1:] - past[:, -1 - back : -back]) / back
            ahead = np.arange(1, true.shape[1] + 1)[None, :, None]
            simple.append(("constant velocity", past[:, -1:] + step * ahead))
        break
    if not simple and _starts_at_zero(true) and true.shape[2] in (2, 3):
        simple.append(("standing still", np.zeros_like(true)))
    return Forecast(pair, pred, true, tuple(simple)) if simple else None


def _starts_at_zero(true: FloatArray) -> bool:
    """Whether paths are told from where each begins: the first step is small beside the last, and the motion is real."""
    size = np.median(np.linalg.norm(true, axis=-1), axis=0)
    return bool(size[-1] > 0 and size[0] < 0.35 * size[-1] and (np.diff(size) > -0.05 * size[-1]).all())


def _pasts(run: Run, pair: Pair, true: FloatArray) -> Iterator[FloatArray]:
    """Arrays of the same file that can be the past: (n, h, k) that goes on into the truth at the same scale."""
    item = next((i for i in run.artifacts.items if i.name == pair.where), None) if run.artifacts else None
    if item is None or run.artifacts is None:
        return
    try:
        held = run.artifacts.read(item).arrays
    except UnreadableError:
        return
    for name, array in held.items():
        told = set(words(name))
        if not told & (PAST | LAST) or array.dtype.kind not in "fiu" or not array.ndim or len(array) != pair.n:
            continue
        past = _shaped(array, true, last=bool(told & LAST))
        if past is not None and np.isfinite(past).all() and _goes_on(past, true):
            yield past


def _shaped(array: Array, true: FloatArray, *, last: bool) -> FloatArray | None:
    k = true.shape[2]
    if array.ndim == 3 and array.shape[2] == k:
        return np.asarray(array, np.float64)
    if array.ndim == 2 and k == 1 and not last:
        return np.asarray(array, np.float64)[..., None]
    if array.ndim == 2 and array.shape[1] == k and last:
        return np.asarray(array, np.float64)[:, None]
    return None


def _goes_on(past: FloatArray, true: FloatArray) -> bool:
    """Whether the truth goes on from the past: its first step is nearer to the last value than to the last of others."""
    own = np.median(np.linalg.norm(true[:, 0] - past[:, -1], axis=-1))
    other = np.median(np.linalg.norm(true[:, 0] - np.roll(past[:, -1], len(past) // 2, axis=0), axis=-1))
    return bool(own < 0.7 * other)
