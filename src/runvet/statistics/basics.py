"""Small robust helpers that every other file of this package uses."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from runvet.run import Direction, FloatArray, IntArray

MAD_TO_SIGMA = 1.4826  # the median absolute deviation of a normal distribution is sigma / 1.4826
MEDIAN_SE = 1.2533  # sqrt(pi / 2): standard error of a median over that of a mean, for normal noise
LARGEST = 1e100
SPREAD_FOR_LOG = 20.0  # from this ratio of maximum to minimum on, a curve is judged in its logarithm


def usable(values: FloatArray) -> npt.NDArray[np.bool_]:
    """Which values are finite and below 1e100 in size, shape (n,): products of larger ones overflow, and no metric
    means them."""
    return np.asarray((values < LARGEST) & (values > -LARGEST))


def finite_points(x: npt.ArrayLike, values: npt.ArrayLike) -> tuple[FloatArray, FloatArray, IntArray]:
    """The points whose value and x are finite (see `usable`): x (m,), values (m,) and their indices (m,) in the given arrays.

    Raises ValueError when the arrays differ in length.
    """
    a, b = np.asarray(x, np.float64).ravel(), np.asarray(values, np.float64).ravel()
    if len(a) != len(b):
        raise ValueError(f"x has {len(a)} points and values has {len(b)}")
    keep = usable(a) & usable(b)
    if keep.all():
        return a, b, np.arange(len(a), dtype=np.int64)
    index = np.flatnonzero(keep).astype(np.int64)
    return a[index], b[index], index


def finite_values(values: npt.ArrayLike) -> FloatArray:
    """The finite values alone (see `usable`), shape (m,); no copy when all are."""
    a = np.asarray(values, np.float64).ravel()
    keep = usable(a)
    return a if keep.all() else a[keep]


def lower_is_better(values: FloatArray, direction: Direction) -> FloatArray:
    """The values such that lower is better: negated for the direction "up"."""
    return -values if direction == "up" else values


def mad(values: FloatArray) -> float:
    """Median absolute deviation from the median, not scaled; NaN for no values."""
    return float(np.median(np.abs(values - np.median(values)))) if len(values) else float("nan")


def log_domain(values: npt.ArrayLike) -> bool:
    """Whether a curve is better judged in its logarithm: all finite values > 0 and maximum / minimum > 20."""
    a = finite_values(values)
    if not len(a):
        return False
    low = float(a.min())
    return low > 0.0 and float(a.max()) / low > SPREAD_FOR_LOG


def to_domain(values: npt.ArrayLike) -> tuple[FloatArray, bool]:
    """The values, or their logarithm where `log_domain` says so, and which of the two it is."""
    a = np.asarray(values, np.float64).ravel()
    if not log_domain(a):
        return a, False
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.log(a), True
