"""Whether two stretches of a curve saw the same data in the same order."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from runvet.run import FloatArray
from runvet.statistics.basics import MAD_TO_SIGMA, usable
from runvet.statistics.rank import correlation

FEWEST = 8  # common points below which a correlation says nothing
NARROW, WIDE = 5, 101
CLIP = 5.0  # sigmas from which on a point is a spike: one that both share must not make a correlation
NEIGHBOURS = 11
LONGEST = 100_000  # points compared at most


def detrend(values: npt.ArrayLike) -> FloatArray:
    """The values minus their centred moving mean over a tenth of them (5 to 101 points), shape (n,), float64.

    Non-finite values stay NaN; the mean runs over the finite ones around them.
    """
    v = np.array(values, np.float64).ravel()
    good = usable(v)
    v[~good] = np.nan
    if not good.any():
        return v
    half = int(np.clip(len(v) // 10, NARROW, WIDE)) // 2
    centre = float(np.median(v[good]))
    total = np.concatenate([[0.0], np.cumsum(np.where(good, v - centre, 0.0))])
    count = np.concatenate([[0], np.cumsum(good)])
    i = np.arange(len(v))
    # the same reach on both sides, shorter at the ends, so that a line leaves nothing
    reach = np.minimum(half, np.minimum(i, len(v) - 1 - i))
    low, high = i - reach, i + reach + 1
    mean = (total[high] - total[low]) / np.maximum(count[high] - count[low], 1)
    return np.asarray(v - centre - mean, np.float64)


def replayed(before: npt.ArrayLike, after: npt.ArrayLike) -> float:
    """Correlation at lag 0 of two detrended stretches from their starts on, over the length of the shorter
    (100,000 points at most), spikes left out.

    Near 1 when the second saw the batches of the first in the same order, near 0 for another order. NaN for fewer
    than 8 common finite points. Give stretches that begin at corresponding places, such as two epoch starts.
    """
    a, b = np.asarray(before, np.float64).ravel(), np.asarray(after, np.float64).ravel()
    n = min(len(a), len(b))
    n = min(n, LONGEST)
    a, b = detrend(_despiked(a[:n]))[1 : n - 1], detrend(_despiked(b[:n]))[1 : n - 1]  # the ends are their own mean
    good = np.isfinite(a) & np.isfinite(b)
    if int(good.sum()) < FEWEST:
        return math.nan
    return correlation(a[good], b[good])


def _despiked(values: FloatArray) -> FloatArray:
    """The values with those beyond 5 sigma of the median of 11 neighbours set to that median; NaN where unusable."""
    v = np.where(usable(values), values, np.nan)
    good = np.flatnonzero(np.isfinite(v))
    if len(good) < NEIGHBOURS:
        return v
    side = NEIGHBOURS // 2
    padded = np.pad(v[good], side, mode="reflect")
    middle = np.median(np.lib.stride_tricks.sliding_window_view(padded, NEIGHBOURS), axis=1)
    away = np.abs(v[good] - middle)
    far = away > CLIP * MAD_TO_SIGMA * np.median(away)
    v[good[far]] = middle[far]
    return v
