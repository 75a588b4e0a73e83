"""Equal-count bins: the form in which long curves are judged."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from runvet.run import FloatArray, IntArray
from runvet.statistics.basics import MEDIAN_SE, finite_points
from runvet.statistics.noise import difference_noise, inflation, sample

SMALLEST = 40  # points from which bins make sense; below, see small.py
FEWEST, MOST = 8, 24


@dataclass(frozen=True, slots=True)
class Bins:
    """Equal-count bins of a curve; every array has the shape (k,).

    Bin i covers the points start[i] to stop[i] (exclusive) of the arrays as they were given; `x` and `value` are
    the medians of its finite points, `n` how many they are, `se` the standard error of `value`.
    """

    start: IntArray
    stop: IntArray
    x: FloatArray
    value: FloatArray
    se: FloatArray
    n: IntArray

    def __len__(self) -> int:
        return len(self.value)


def bins(x: npt.ArrayLike, values: npt.ArrayLike, *, count: int | None = None, minimum: int = 8) -> Bins | None:
    """Equal-count bins in the order of the points: 8 to 24 of them with `minimum` points each, or `count`.

    40 to 63 points give 8 bins of 5 to 7. None for fewer than 40 finite points. The standard error of a bin is
    1.2533 * sigma / sqrt(n), with sigma the noise within that bin (curves are rarely equally noisy throughout),
    times the excess with which medians of blocks scatter over the whole curve (see `noise`).
    Raises ValueError when the arrays differ in length or count is below 1.
    """
    a, v, index = finite_points(x, values)
    if len(v) < SMALLEST:
        return None
    k = min(max(len(v) // max(minimum, 1), FEWEST), MOST) if count is None else count
    if k < 1:
        raise ValueError("count must be at least 1")
    k = min(k, len(v))
    edge = np.linspace(0, len(v), k + 1).astype(np.int64)
    spans = [slice(int(s), int(e)) for s, e in itertools.pairwise(edge)]
    n = np.diff(edge)
    whole = sample(v)
    sigma_all = difference_noise(whole)
    excess = inflation(whole, sigma_all)
    local = np.array([_local(v[s], sigma_all) for s in spans])
    return Bins(
        start=index[edge[:-1]],
        stop=index[edge[1:] - 1] + 1,
        x=np.array([np.median(a[s]) for s in spans]),
        value=np.array([np.median(v[s]) for s in spans]),
        se=MEDIAN_SE * local * excess / np.sqrt(n),
        n=n,
    )


def _local(values: FloatArray, overall: float) -> float:
    """The noise within one bin; with few points it is drawn towards the noise of the whole curve."""
    if len(values) < 3:
        return overall
    weight = min(len(values) / 32.0, 1.0)  # the MAD of 8 differences is uncertain by a third
    return float(np.sqrt(weight * difference_noise(sample(values)) ** 2 + (1.0 - weight) * overall**2))
