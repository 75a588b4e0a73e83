"""Series of 4 to 39 points, as evaluations are: what can be said, and no more."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from runvet.run import Direction, FloatArray
from runvet.statistics.basics import MAD_TO_SIGMA, finite_values, lower_is_better, usable
from runvet.statistics.binning import SMALLEST, bins
from runvet.statistics.noise import difference_noise
from runvet.statistics.rank import kendall

FEWEST = 4
MARGIN = 0.05  # relative to the best value, for positive series
MARGIN_OF_GAIN = 0.25  # of the improvement before, for the others
SIGMAS = 5.0
SIGMAS_FEW, FEW = 6.0, 8  # ... and with this many points or fewer
VERY_FEW = 5
TAU, P = 0.6, 0.005
APART_P, APART_MARGIN = 0.0025, 0.25  # the first points all better than all others, which are worse by a quarter
FACTOR_OF_FOUR = 2.0  # four points only tell when the last is twice the best and 1.5 times the first


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
    index = np.flatnonzero(usable(v))
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
    index = np.flatnonzero(usable(raw))
    if not FEWEST <= len(index) < SMALLEST:
        return None
    v = raw[index]
    return lower_is_better(v, direction), index, bool(v.min() > 0.0)


def _scatter(v: FloatArray, best: int) -> float:
    """Noise of a few points: how far each lies off the middle of its neighbours, the kink at the best one left out.

    Five points or fewer have so few neighbours that the largest deviation counts instead of the median.
    """
    off = np.abs(np.delete(np.diff(v, 2), best - 1) if 0 < best < len(v) - 1 else np.diff(v, 2))
    if not len(off):
        return difference_noise(v)
    return float(off.max() if len(v) <= VERY_FEW else MAD_TO_SIGMA * np.median(off)) / math.sqrt(6.0)


def _enough(size: float, best: float, positive: bool, gain: float) -> bool:
    """Whether a worsening matters: 5 % of the best value, or a quarter of the gain where zero means nothing."""
    return size > MARGIN * abs(best) if positive else size > MARGIN_OF_GAIN * gain


def overfit_small(values: npt.ArrayLike, *, direction: Direction = "down") -> Overfit | None:
    """Whether 4 to 39 evaluations say that the model got worse after its best one, or None.

    The best value lies in the first half, the last one and the median of the last three are worse by 5 % (a
    quarter of the gain unless all values are positive) and by 5 times the noise, and three of the last four
    changes were for the worse. Eight points or fewer must get worse at every step after the best, by 6 times the
    noise in all, and four, all positive, must end at twice the best and half as high again as the first.
    """
    series = _small(values, direction)
    if series is None:
        return None
    v, index, positive = series
    n, best = len(v), int(np.argmin(v))
    size, gain = float(v[-1] - v[best]), float(v[: best + 1].max() - v[best])
    if best + 1 > n / 2 or not _enough(size, float(v[best]), positive, gain):
        return None
    sigma = _scatter(v, best)
    steps = np.diff(v[best:])
    if n <= FEW:
        clear = bool((steps > 0).all()) and size > SIGMAS_FEW * sigma
    else:
        recent = float(np.median(v[-3:]) - v[best])
        clear = int((steps[-4:] > 0).sum()) >= 3 and recent > SIGMAS * sigma
        clear = clear and _enough(recent, float(v[best]), positive, gain)
    far = positive and size > (FACTOR_OF_FOUR - 1.0) * abs(float(v[best])) and v[-1] - v[0] > 0.5 * abs(float(v[0]))
    if not clear or (n == FEWEST and not far):
        return None
    relative = size / abs(float(v[best])) if positive else math.nan
    sign = -1.0 if direction == "up" else 1.0
    in_noise = size / sigma if sigma > 0 else math.inf
    return Overfit(int(index[best]), sign * float(v[best]), sign * float(v[-1]), size, relative, in_noise, n)


def rising_small(values: npt.ArrayLike, *, direction: Direction = "down") -> SmallRise | None:
    """Whether 4 to 39 points get worse from their best ones on, steadily or at once, or None.

    Steadily: Kendall's tau from the best point on >= 0.6 with an exact one-sided p < 0.005 (so at least 6 points),
    and the median of the last three worse than the best by 5 times the noise and by 5 % (a quarter of the gain
    unless all values are positive). At once: the first 3 or more points, at most a third, are all better than all
    others, which chance orders so with p < 0.0025, and the median of the others is worse than theirs by a quarter
    (by a quarter of the whole range unless all values are positive). Four noisy points never fulfil either.
    """
    series = _small(values, direction)
    if series is None:
        return None
    v, index, positive = series
    n, best = len(v), int(np.argmin(v))
    trend = kendall(v[best:])
    size, gain = float(np.median(v[-3:]) - v[best]), float(v[: best + 1].max() - v[best])
    sigma, p = _scatter(v, best), trend.p / 2.0
    steady = trend.tau >= TAU and p < P and size > SIGMAS * sigma and _enough(size, float(v[best]), positive, gain)
    if not steady:
        p = _apart(v, positive)
        if p >= APART_P or size <= 0.0:
            return None
    relative = size / abs(float(v[best])) if positive else math.nan
    sign = -1.0 if direction == "up" else 1.0
    in_noise = size / sigma if sigma > 0 else math.inf
    return SmallRise(
        int(index[best]), sign * float(v[best]), sign * float(v[-1]), size, relative, in_noise, trend.tau, p, n
    )


def _apart(v: FloatArray, positive: bool) -> float:
    """The smallest p with which the first k points all lie below all others by chance; 1.0 where none do."""
    n, smallest = len(v), 1.0
    for k in range(3, n // 3 + 1):
        start, rest = float(np.median(v[:k])), float(np.median(v[k:]))
        scale = abs(start) if positive else float(v.max() - v.min())
        if v[:k].max() < v[k:].min() and rest - start > APART_MARGIN * scale:
            smallest = min(smallest, 1.0 / math.comb(n, k))
    return smallest
