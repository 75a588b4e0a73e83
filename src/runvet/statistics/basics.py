"""Small robust helpers that every other file of this package uses."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from runvet.run import Direction, FloatArray, IntArray

MAD_TO_SIGMA = 1.4826  # the median absolute deviation of a normal distribution is sigma / 1.4826
MEDIAN_SE = 1.2533  # sqrt(pi / 2): standard error of a median over that of a mean, for normal noise
LARGEST = 1e100
MOST_POINTS = 1 << 22  # points that a test looks at
CHUNK = 1 << 20
SPREAD_FOR_LOG = 20.0  # from this ratio of maximum to minimum on, a curve is judged in its logarithm


def usable(values: FloatArray) -> npt.NDArray[np.bool_]:
    """Which values are finite and below 1e100 in size, shape (n,); no metric means more, and products would overflow."""
    return np.asarray((values < LARGEST) & (values > -LARGEST))


def finite_points(x: npt.ArrayLike, values: npt.ArrayLike) -> tuple[FloatArray, FloatArray, IntArray]:
    """The points whose value and x are finite (see `usable`): x (m,), values (m,) and their indices (m,) as given.

    At most about four million: of more, every second, third, … is taken, so that memory is bounded.
    Raises ValueError when the arrays differ in length.
    """
    a, b = np.asarray(x, np.float64).ravel(), np.asarray(values, np.float64).ravel()
    if len(a) != len(b):
        raise ValueError(f"x has {len(a)} points and values has {len(b)}")
    index = _usable_points(b, a)
    if len(index) == len(a):
        return a, b, index
    return a[index], b[index], index


def finite_values(values: npt.ArrayLike) -> FloatArray:
    """The finite values alone (see `usable`), shape (m,), at most about four million as in `finite_points`."""
    a = np.asarray(values, np.float64).ravel()
    index = _usable_points(a)
    return a if len(index) == len(a) else a[index]


def _usable_points(*columns: FloatArray) -> IntArray:
    """Indices at which all columns are usable, thinned evenly; computed in chunks."""
    n = len(columns[0])
    if n <= MOST_POINTS:
        return np.flatnonzero(np.logical_and.reduce([usable(c) for c in columns])).astype(np.int64)

    def chunks() -> Iterator[tuple[int, npt.NDArray[np.bool_]]]:
        for start in range(0, n, CHUNK):
            yield start, np.logical_and.reduce([usable(c[start : start + CHUNK]) for c in columns])

    count = sum(int(np.count_nonzero(good)) for _, good in chunks())
    stride = max(1, -(-count // MOST_POINTS))
    parts, seen = [], 0
    for start, good in chunks():
        at = np.flatnonzero(good)
        parts.append(at[-seen % stride :: stride] + start)
        seen += len(at)
    return np.concatenate(parts).astype(np.int64)


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
