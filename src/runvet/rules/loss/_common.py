"""What several rules about curves need: numbers as a person reads them, places, and series on a common axis."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from runvet.evidence.curves import measured
from runvet.report import Window
from runvet.run import FloatArray, Series
from runvet.statistics import finite_values, noise

EVALUATIONS = 2000  # that are looked at, evenly: a log with one a step has a million


def num(value: float) -> str:
    """A value with four significant digits, without needless zeros."""
    if not math.isfinite(value):
        return str(value)
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e7 else f"{value:.4g}"


def place(series: Series, x: float) -> str:
    """`step 1,200`, `epoch 7` or `point 12`."""
    whole = series.axis != "epoch" or float(x).is_integer() or abs(x) >= 100
    return f"{series.axis} {x:,.0f}" if whole else f"{series.axis} {x:.3g}"


def guilty(series: Series, start: float, end: float | None = None) -> Window:
    """The part of a curve from `start` to `end` (its own end by default)."""
    return Window(series.name, float(start), float(series.x()[-1]) if end is None else float(end), series.axis)


def parts(series: Series, minimum: int = 4) -> Iterator[Series]:
    """The usable points of each uninterrupted part that has enough of them."""
    for part in series.segments():
        clean = collapsed(measured(part))
        if len(clean) >= minimum:
            yield clean


def collapsed(series: Series) -> Series:
    """One point a place: an evaluation that was logged batch by batch at one step becomes its median."""
    x = series.x()
    places, first, inverse = np.unique(x, return_index=True, return_inverse=True)
    if 2 * len(places) > len(x) or len(places) < 2:
        return series
    once = series.pick(first)
    value = np.array([np.median(series.value[inverse.ravel() == k]) for k in range(len(places))])
    return replace(once, value=value, minimum=float(value.min()), maximum=float(value.max()))


def last_part(series: Series, minimum: int = 4) -> Series | None:
    """The last uninterrupted part with enough points, or None."""
    found = list(parts(series, minimum))
    return found[-1] if found else None


def shared_axis(a: Series, b: Series) -> tuple[FloatArray, FloatArray] | None:
    """The axes of two series in the same unit: steps where both have them, else epochs; None where neither fits."""
    for left, right in ((a.step, b.step), (a.epoch, b.epoch)):
        if len(left) and len(right) and np.isfinite(left).all() and np.isfinite(right).all():
            return left, right
    return None


def ratios(train: Series, val: Series) -> tuple[FloatArray, FloatArray]:
    """Validation over training loss at each evaluation, and the training loss just before it; both (k,)."""
    axes = shared_axis(train, val)
    assert axes is not None
    x, xv = axes
    order = np.argsort(x, kind="stable")
    x, losses = x[order], train.value[order]

    def between(start: float, end: float) -> float:
        v = finite_values(losses[slice(*np.searchsorted(x, [start, end], side="right"))])
        return float(np.median(v)) if len(v) else math.nan

    ratio, level = [], []
    gaps = np.abs(np.diff(xv))
    usual = float(np.median(gaps)) if len(gaps) else 1.0
    chosen = np.linspace(0, len(xv) - 1, min(len(xv), EVALUATIONS)).round().astype(int)
    for at, value in zip(xv[chosen].tolist(), val.value[chosen].tolist(), strict=True):
        near = between(at - 0.5 * usual, at)
        if not np.isfinite(near):
            near = between(at - usual, at + 0.5 * usual)
        if np.isfinite(near) and near > 0:
            ratio.append(value / near)
            level.append(near)
    return finite_values(ratio), finite_values(level)


def level_between(series: Series, x: FloatArray, start: float, end: float) -> float:
    """The median of the values with start < x <= end, NaN for none."""
    v = finite_values(series.value[(x > start) & (x <= end)])
    return float(np.median(v)) if len(v) else math.nan


def ends(values: FloatArray, share: float = 0.1) -> tuple[float, float]:
    """Robust levels of the start and of the end: medians of the first and last `share` of the points (at least 1)."""
    v = finite_values(values)
    if not len(v):
        return math.nan, math.nan
    k = max(1, int(share * len(v)))
    return float(np.median(v[:k])), float(np.median(v[-k:]))


def progress(series: Series) -> float:
    """How far a curve came in its better direction, over |first level|: positive is better. NaN where unknown."""
    first, last = ends(series.value)
    gain = (last - first) if series.direction == "up" else (first - last)
    return gain / abs(first) if first else math.nan


def significant(values: FloatArray, difference: float, sigmas: float = 4.0) -> bool:
    """Whether a difference between two levels of a curve is beyond its noise (that of its ends' medians)."""
    v = finite_values(values)
    if len(v) < 3:
        return False
    spread = noise(v) / math.sqrt(max(1.0, 0.1 * len(v)))
    return abs(difference) > sigmas * 1.2533 * math.sqrt(2.0) * spread


def improves(series: Series, after: float) -> bool:
    """Whether a metric with a known direction is better at its end than it was around x = `after`, beyond its noise."""
    if series.direction is None:
        return False
    sign = 1.0 if series.direction == "up" else -1.0
    x = series.x()
    before = finite_values(series.value[x <= after])[-5:]
    later = finite_values(series.value[x > after])
    if len(before) < 1 or len(later) < 2:
        return False
    change = sign * (float(np.median(later[-max(1, len(later) // 4) :])) - float(np.median(before)))
    return change > 2.0 * noise(series.value) / math.sqrt(max(1, len(later) // 4))
