"""Rank statistics: Kendall's tau, Theil-Sen slopes, Spearman's and Pearson's correlation."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from runvet.run import FloatArray
from runvet.statistics.basics import finite_points

EXACT = 33  # points up to which the exact distribution of tau is used (without ties)
PAIRWISE = 2048  # points up to which all pairs are compared; more are thinned evenly
SLOPE_POINTS = 512  # points up to which all slopes are formed; more are first reduced to medians
Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Kendall:
    """Kendall's tau-b and its two-sided p; both NaN for fewer than 2 points or a constant."""

    tau: float
    p: float


@dataclass(frozen=True, slots=True)
class Slope:
    """A Theil-Sen slope with its 95 % confidence interval, in value per x; NaN where x does not vary."""

    slope: float
    low: float
    high: float


def kendall(x_or_values: npt.ArrayLike, values: npt.ArrayLike | None = None) -> Kendall:
    """Kendall's tau-b of two arrays (n,), or of one array against its order.

    p is exact for up to 33 points without ties and the normal approximation with tie correction otherwise.
    More than 2,048 points are thinned evenly first. Raises ValueError when the arrays differ in length.
    """
    if values is None:
        y = np.asarray(x_or_values, np.float64).ravel()
        x, y, _ = finite_points(np.arange(len(y)), y)
    else:
        x, y, _ = finite_points(x_or_values, values)
    if len(x) > PAIRWISE:
        keep = np.linspace(0, len(x) - 1, PAIRWISE).astype(np.int64)
        x, y = x[keep], y[keep]
    n = len(x)
    if n < 2:
        return Kendall(math.nan, math.nan)
    upper = np.triu_indices(n, 1)
    signs = np.sign(x[upper[1]] - x[upper[0]]) * np.sign(y[upper[1]] - y[upper[0]])
    score = int(signs.sum())
    ties_x, ties_y = _ties(x), _ties(y)
    pairs = n * (n - 1) // 2
    free_x = pairs - int((ties_x * (ties_x - 1) // 2).sum())
    free_y = pairs - int((ties_y * (ties_y - 1) // 2).sum())
    if free_x == 0 or free_y == 0:
        return Kendall(math.nan, math.nan)
    tau = score / math.sqrt(free_x) / math.sqrt(free_y)
    exact = n <= EXACT and free_x == pairs and free_y == pairs
    p = _exact_p(n, (pairs - score) // 2) if exact else _normal_p(n, score, ties_x, ties_y)
    return Kendall(max(-1.0, min(1.0, tau)), p)


def _ties(values: FloatArray) -> npt.NDArray[np.int64]:
    return np.unique(values, return_counts=True)[1].astype(np.int64)


def _exact_p(n: int, inversions: int) -> float:
    """Two-sided p of this many inversions among all orders of n distinct values."""
    counts = np.ones(1)
    for size in range(2, n + 1):  # share of orders with k inversions: one more value adds 0 to size - 1 of them
        counts = np.convolve(counts, np.full(size, 1.0 / size))
    fewer = min(inversions, len(counts) - 1 - inversions)
    return float(min(1.0, 2.0 * counts[: fewer + 1].sum()))


def _normal_p(n: int, score: int, ties_x: npt.NDArray[np.int64], ties_y: npt.NDArray[np.int64]) -> float:
    """Two-sided p by the normal approximation, with the variance corrected for ties in both arrays."""
    tx, ty = ties_x.astype(np.float64), ties_y.astype(np.float64)

    def parts(t: FloatArray) -> tuple[float, float, float]:
        pairs = t * (t - 1)
        return float((pairs * (2 * t + 5)).sum()), float((pairs * (t - 2)).sum()), float(pairs.sum())

    (x5, x3, x2), (y5, y3, y2) = parts(tx), parts(ty)
    m = n * (n - 1.0)
    variance = (m * (2 * n + 5) - x5 - y5) / 18.0 + x2 * y2 / (2.0 * m)
    if n > 2:
        variance += x3 * y3 / (9.0 * m * (n - 2))
    return math.erfc(abs(score) / math.sqrt(variance) / math.sqrt(2.0)) if variance > 0 else 1.0


def theil_sen(x: npt.ArrayLike, y: npt.ArrayLike) -> Slope:
    """The median of all slopes between two points, with its 95 % confidence interval.

    More than 512 points are first reduced to the medians of 512 equal-count groups, so memory is bounded.
    Raises ValueError when the arrays differ in length.
    """
    a, b, _ = finite_points(x, y)
    if len(a) > SLOPE_POINTS:
        order = np.argsort(a, kind="stable")
        edge = np.linspace(0, len(a), SLOPE_POINTS + 1).astype(np.int64)
        groups = [order[s:e] for s, e in itertools.pairwise(edge)]
        a = np.array([np.median(a[g]) for g in groups])
        b = np.array([np.median(b[g]) for g in groups])
    i, j = np.triu_indices(len(a), 1)
    run, rise = a[j] - a[i], b[j] - b[i]
    keep = run != 0.0
    slopes = np.sort(rise[keep] / run[keep])
    if not len(slopes):
        return Slope(math.nan, math.nan, math.nan)
    n = len(a)
    variance = (n * (n - 1) * (2 * n + 5) - sum(_tie_term(t) for t in (_ties(a), _ties(b)))) / 18.0
    reach = Z95 * math.sqrt(max(variance, 0.0))
    low = max(round((len(slopes) - reach) / 2.0) - 1, 0)
    high = min(round((len(slopes) + reach) / 2.0), len(slopes) - 1)
    return Slope(float(np.median(slopes)), float(slopes[low]), float(slopes[high]))


def _tie_term(ties: npt.NDArray[np.int64]) -> float:
    t = ties.astype(np.float64)
    return float((t * (t - 1) * (2 * t + 5)).sum())


def correlation(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Pearson's correlation of the points where both are finite; NaN for fewer than 2 or a constant."""
    x, y, _ = finite_points(a, b)
    if len(x) < 2:
        return math.nan
    x, y = x - x.mean(), y - y.mean()
    sx, sy = float(np.abs(x).max()), float(np.abs(y).max())
    if sx <= 0.0 or sy <= 0.0:
        return math.nan
    x, y = x / sx, y / sy  # so that squares neither overflow nor vanish
    return float(np.clip((x @ y) / math.sqrt(float(x @ x) * float(y @ y)), -1.0, 1.0))


def ranks(values: FloatArray) -> FloatArray:
    """Ranks from 1, equal values share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts).astype(np.float64)
    return np.asarray((last - (counts - 1) / 2.0)[inverse.ravel()], np.float64)


def spearman(a: npt.ArrayLike, b: npt.ArrayLike) -> tuple[float, float]:
    """Spearman's rho and its two-sided p by Student's t; NaN for fewer than 3 points or a constant."""
    x, y, _ = finite_points(a, b)
    if len(x) < 3:
        return math.nan, math.nan
    rho = correlation(ranks(x), ranks(y))
    if math.isnan(rho):
        return math.nan, math.nan
    free = len(x) - 2
    return rho, _incomplete_beta(free / 2.0, 0.5, 1.0 - rho * rho)


def student_p(t: float, free: float) -> float:
    """Two-sided p of Student's t with `free` degrees of freedom (which need not be whole); NaN where it has none."""
    if math.isnan(t) or not free > 0.0:
        return math.nan
    if math.isinf(t):
        return 0.0
    return _incomplete_beta(free / 2.0, 0.5, free / (free + t * t)) if t else 1.0


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b), by its continued fraction (Lentz)."""
    if x <= 0.0 or x >= 1.0:
        return 0.0 if x <= 0.0 else 1.0
    if x > (a + 1.0) / (a + b + 2.0):  # the fraction converges fast only below the mean
        return 1.0 - _incomplete_beta(b, a, 1.0 - x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    tiny = 1e-300
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / (d if abs(d) > tiny else tiny)
    fraction = d
    for m in range(1, 400):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 + term * d
            c = 1.0 + term / c
            d = 1.0 / (d if abs(d) > tiny else tiny)
            c = c if abs(c) > tiny else tiny
            fraction *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return front * fraction / a
