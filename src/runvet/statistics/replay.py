"""Whether two stretches of a curve saw the same data in the same order."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from runvet.run import FloatArray
from runvet.statistics.basics import MAD_TO_SIGMA
from runvet.statistics.rank import correlation

FEWEST = 8  # common points below which a correlation says nothing
NARROW, WIDE = 5, 101
CLIP = 5.0  # residuals beyond as many sigmas are clipped: one shared spike must not make a correlation


def detrend(values: npt.ArrayLike) -> FloatArray:
    """The values minus their centred moving mean over a tenth of them (5 to 101 points), shape (n,), float64.

    Non-finite values stay NaN; the mean runs over the finite ones around them.
    """
    v = np.array(values, np.float64).ravel()
    good = np.isfinite(v)
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
    """Correlation at lag 0 of two detrended stretches from their starts on, over the length of the shorter.

    Near 1 when the second saw the batches of the first in the same order, near 0 for another order. NaN for fewer
    than 8 common finite points. Give stretches that begin at corresponding places, such as two epoch starts.
    """
    a, b = np.asarray(before, np.float64).ravel(), np.asarray(after, np.float64).ravel()
    n = min(len(a), len(b))
    a, b = detrend(a[:n])[1 : n - 1], detrend(b[:n])[1 : n - 1]  # the outermost points are their own mean
    good = np.isfinite(a) & np.isfinite(b)
    if int(good.sum()) < FEWEST:
        return math.nan
    return correlation(_clipped(a[good]), _clipped(b[good]))


def _clipped(v: FloatArray) -> FloatArray:
    limit = CLIP * MAD_TO_SIGMA * float(np.median(np.abs(v)))
    return np.clip(v, -limit, limit) if limit > 0.0 else v
