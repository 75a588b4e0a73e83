"""Curves that stay where they are: flat from the start, at a baseline, constant to the last digit, on a plateau."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from runvet.run import Direction, FloatArray
from runvet.statistics.basics import MEDIAN_SE, MOST_POINTS, finite_points, finite_values, lower_is_better, usable
from runvet.statistics.binning import bins
from runvet.statistics.noise import noise
from runvet.statistics.rank import kendall

FLAT_SE = 3.0
FLAT_RELATIVE = 0.01
FLAT_POINTS = 12  # fewer points say nothing about flatness
START_POINTS = 5  # the very first points: a fast fall hides within the first bin
START_SIGMA = 4.0
FIRST_SIGMA = 5.0
IMPROVED_SE = 3.0
DIGITS = 6


@dataclass(frozen=True, slots=True)
class Flat:
    """A curve that never moved: its median, the change from its first to its last third, and that change's error."""

    level: float
    change: float
    se: float
    n: int


@dataclass(frozen=True, slots=True)
class Constant:
    """The longest run of equal values: where it starts (as given), how long it is, and its share of all values.

    `tail` is the length of the run of equal values at the very end.
    """

    value: float
    start: int
    count: int
    share: float
    tail: int


@dataclass(frozen=True, slots=True)
class Near:
    """How near values are to a level: the share within the tolerance, and (median - target) / |target|."""

    share: float
    deviation: float


def flat_from_start(x: npt.ArrayLike, values: npt.ArrayLike, *, relative: float = FLAT_RELATIVE) -> Flat | None:
    """A curve of 12 or more points that does not move beyond its noise from its very first points on, or None.

    Its first and last third differ by less than 3 standard errors and, where all values are positive, by less than
    `relative` of the median; no part between them lies further away than noise explains; there is no monotone
    trend (Kendall p > 0.05); neither the very first point nor the first five are set apart. Whether it ought to have moved by now
    (planned steps, learning rate) is for the caller to say.
    """
    a, v, _ = finite_points(x, values)
    if len(v) < FLAT_POINTS:
        return None
    sigma = noise(v, block=True)
    level = float(np.median(v))
    start = abs(float(np.median(v[:START_POINTS])) - level)
    if start > START_SIGMA * MEDIAN_SE * sigma / math.sqrt(START_POINTS) or abs(v[0] - level) > FIRST_SIGMA * sigma:
        return None
    made = bins(a, v)
    if made is not None:
        b, error = made.value, made.se
    else:
        parts = np.array_split(v, 4)
        b = np.array([np.median(p) for p in parts])
        error = np.array([MEDIAN_SE * sigma / math.sqrt(len(p)) for p in parts])
    third = len(v) // 3
    change, se = float(np.median(v[-third:]) - np.median(v[:third])), MEDIAN_SE * sigma * math.sqrt(2.0 / third)
    # with 24 parts, the largest of their distances from the median is about 2.5 errors by chance
    away = bool((np.abs(b - np.median(b)) > (FLAT_SE + 1.0) * np.maximum(error, np.median(error))).any())
    moved = abs(change) > FLAT_SE * se or away
    far = float(v.min()) > 0.0 and abs(change) >= relative * abs(level)
    trend = kendall(v if made is None else b)
    if moved or far or trend.p <= 0.05:  # p is NaN for a constant, which is flat
        return None
    return Flat(level, change, se, len(v))


def plateau_share(x: npt.ArrayLike, values: npt.ArrayLike, *, direction: Direction = "down") -> float:
    """Share of the run, along x, since the last bin that beat all bins before it by 3 standard errors.

    1.0 when none ever did, NaN for fewer than 40 points. For information only: a late plateau is no fault.
    """
    made = bins(x, values)
    if made is None:
        return math.nan
    b = lower_is_better(made.value, direction)
    best, last = 0, 0
    for i in range(1, len(b)):
        if b[best] - b[i] > IMPROVED_SE * math.hypot(float(made.se[i]), float(made.se[best])):
            best = last = i
    span = float(made.x[-1] - made.x[0])
    return float((made.x[-1] - made.x[last]) / span) if span > 0 else math.nan


def rounded(values: FloatArray, digits: int = DIGITS) -> FloatArray:
    """The values rounded to this many significant digits, shape (n,)."""
    size = np.abs(values)
    with np.errstate(divide="ignore"):
        exponent = np.where(size > 0, np.floor(np.log10(np.where(size > 0, size, 1.0))), 0.0)
    unit = np.power(10.0, np.clip(digits - 1 - exponent, -300, 300))
    with np.errstate(over="ignore"):
        keys = np.round(values * unit) / unit
    return np.where(np.isfinite(keys), keys, values)


def bit_constant(values: npt.ArrayLike, minimum: int = 5) -> Constant | None:
    """The longest run of neighbours equal to 6 significant digits, None when shorter than `minimum`.

    Only finite values count, and the last four million points. A metric at its bound (0, 1, 100) may well be constant: the caller decides.
    """
    raw = np.asarray(values, np.float64).ravel()
    before = max(0, len(raw) - MOST_POINTS)
    index = np.flatnonzero(usable(raw[before:])) + before
    if len(index) < max(minimum, 1):
        return None
    keys = rounded(raw[index])
    edge = np.concatenate([[0], np.flatnonzero(keys[1:] != keys[:-1]) + 1, [len(keys)]])
    lengths = np.diff(edge)
    at = int(np.argmax(lengths))
    count = int(lengths[at])
    if count < minimum:
        return None
    start = int(index[edge[at]])
    return Constant(float(raw[start]), start, count, count / len(keys), int(lengths[-1]))


def level_near(values: npt.ArrayLike, target: float, *, rel: float = 0.02) -> Near:
    """How near the values are to a baseline such as ln 2 or the variance of the target; NaN for no values.

    Raises ValueError for a target that is 0 or not finite.
    """
    if not math.isfinite(target) or target == 0.0:
        raise ValueError("the target must be a finite number other than 0")
    v = finite_values(values)
    if not len(v):
        return Near(math.nan, math.nan)
    share = float(np.mean(np.abs(v - target) <= rel * abs(target)))
    return Near(share, (float(np.median(v)) - target) / abs(target))
