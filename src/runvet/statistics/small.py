"""Series of 4 to 39 points, as evaluations are: what can be said, and no more."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from runvet.run import Direction, FloatArray
from runvet.statistics.basics import MAD_TO_SIGMA, finite_values, lower_is_better
from runvet.statistics.binning import SMALLEST, bins
from runvet.statistics.noise import difference_noise
from runvet.statistics.rank import kendall, theil_sen

FEWEST = 4
MARGIN = 0.05  # relative to the best value, for positive series
MARGIN_OF_GAIN = 0.25  # of the improvement before, for the others
SIGMAS = 4.0
TAU, P = 0.6, 0.005
FACTOR_OF_FOUR = 1.5  # four points only tell when the last is half as large again as the best


@dataclass(frozen=True, slots=True)
class Overfit:
    """An evaluation series whose best value lies in its first half and that has become worse since.

    `best_index` counts the values as given; `best` and `last` are values, `size` their difference (positive),
    `relative` is size / |best| or NaN unless all values are positive, `in_noise` is size in units of the noise.
    """

    best_index: int
    best: float
    last: float
    size: float
    relative: float
    in_noise: float
    n: int


@dataclass(frozen=True, slots=True)
class SmallRise:
    """A short series that gets worse from its best value on; fields as in `Overfit`, tau and one-sided p of the tail."""

    best_index: int
    best: float
    last: float
    size: float
    relative: float
    in_noise: float
    tau: float
    p: float
    n: int


def best_index(values: npt.ArrayLike, direction: Direction = "down") -> int | None:
    """Index of the first best finite value, None when there is none."""
    v = np.asarray(values, np.float64).ravel()
    index = np.flatnonzero(np.isfinite(v))
    if not len(index):
        return None
    return int(index[np.argmin(lower_is_better(v[index], direction))])


def improvement(values: npt.ArrayLike, direction: Direction = "down") -> float:
    """How far a curve came: its first level minus its best one, >= 0, in its own unit; NaN for no values.

    From 40 points on the best bin median counts, so that a lucky point does not, and the median of the first
    points; below, the first and the best value themselves.
    """
    v = lower_is_better(finite_values(values), direction)
    if not len(v):
        return math.nan
    made = bins(np.arange(len(v)), v)
    best = float(v.min()) if made is None else float(made.value.min())
    first = float(np.median(v[: max(1, min(64, len(v) // 200))]))
    return max(first - best, 0.0)


def _small(values: npt.ArrayLike, direction: Direction) -> tuple[FloatArray, npt.NDArray[np.intp], bool] | None:
    """The finite values with lower as better, their indices as given and whether all are positive; None unless 4-39."""
    raw = np.asarray(values, np.float64).ravel()
    index = np.flatnonzero(np.isfinite(raw))
    if not FEWEST <= len(index) < SMALLEST:
        return None
    v = raw[index]
    return lower_is_better(v, direction), index, bool(v.min() > 0.0)


def _scatter(v: FloatArray) -> float:
    """Noise of a few points: the larger of that by differences and that around a line through the points."""
    by_steps = difference_noise(v)
    x = np.arange(len(v), dtype=np.float64)
    slope = theil_sen(x, v).slope
    rest = v - slope * x
    around = MAD_TO_SIGMA * float(np.median(np.abs(rest - np.median(rest))))
    return max(by_steps, around) if len(v) < 8 else by_steps


def _enough(size: float, best: float, positive: bool, gain: float) -> bool:
    """Whether a worsening matters: 5 % of the best value, or a quarter of the gain where zero means nothing."""
    return size > MARGIN * abs(best) if positive else size > MARGIN_OF_GAIN * gain


def overfit_small(values: npt.ArrayLike, *, direction: Direction = "down") -> Overfit | None:
    """Whether 4 to 39 evaluations say that the model got worse after its best one, or None.

    The best value lies in the first half, the last one and the median of the last three are worse by 5 % (a
    quarter of the gain unless all values are positive) and by 4 times the noise, and three of the last four
    changes were for the worse. Four points must rise throughout after the best and end half as high again.
    """
    series = _small(values, direction)
    if series is None:
        return None
    v, index, positive = series
    n, best = len(v), int(np.argmin(v))
    size, gain = float(v[-1] - v[best]), float(v[: best + 1].max() - v[best])
    if best + 1 > n / 2 or not _enough(size, float(v[best]), positive, gain):
        return None
    steps = np.diff(v)
    if n == FEWEST:
        if not positive or direction == "up" or bool((steps[best:] <= 0).any()) or v[-1] < FACTOR_OF_FOUR * v[best]:
            return None
    elif int((steps[-4:] > 0).sum()) < 3:
        return None
    recent = float(np.median(v[max(best + 1, n - 3) :]) - v[best])
    sigma = _scatter(v)
    if n > FEWEST and not (recent > SIGMAS * sigma and _enough(recent, float(v[best]), positive, gain)):
        return None
    relative = size / abs(float(v[best])) if positive else math.nan
    sign = -1.0 if direction == "up" else 1.0
    in_noise = size / sigma if sigma > 0 else math.inf
    return Overfit(int(index[best]), sign * float(v[best]), sign * float(v[-1]), size, relative, in_noise, n)


def rising_small(values: npt.ArrayLike, *, direction: Direction = "down") -> SmallRise | None:
    """Whether 4 to 39 points rise steadily from their best one, or None; at least 6 points from there on.

    Kendall's tau of these points >= 0.6 with an exact one-sided p < 0.005, and the median of the last three is
    worse than the best by 4 times the noise and by 5 % (a quarter of the gain unless all values are positive).
    Fewer than 6 points can't reach that p: 4 noisy points never do.
    """
    series = _small(values, direction)
    if series is None:
        return None
    v, index, positive = series
    best = int(np.argmin(v))
    tail = v[best:]
    trend = kendall(tail)
    p = trend.p / 2.0
    if not (trend.tau >= TAU and p < P):
        return None
    size = float(np.median(v[-3:]) - v[best])
    sigma, gain = _scatter(v), float(v[: best + 1].max() - v[best])
    if size <= SIGMAS * sigma or not _enough(size, float(v[best]), positive, gain):
        return None
    relative = size / abs(float(v[best])) if positive else math.nan
    sign = -1.0 if direction == "up" else 1.0
    in_noise = size / sigma if sigma > 0 else math.inf
    return SmallRise(
        int(index[best]), sign * float(v[best]), sign * float(v[-1]), size, relative, in_noise, trend.tau, p, len(v)
    )
