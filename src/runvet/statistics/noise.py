"""How much a curve jitters from point to point, whatever its trend."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from runvet.run import FloatArray
from runvet.statistics.basics import MAD_TO_SIGMA, MEDIAN_SE, finite_values

SAMPLE = 1 << 20  # points looked at; longer curves are sampled in whole runs of neighbours
RUNS = 64
BLOCKS = 96  # smallest blocks of the second estimate: four in each of the 24 bins
FEWEST_BLOCKS = 16
SMALLEST_BLOCK = 3


def noise(values: npt.ArrayLike, *, block: bool = False) -> float:
    """Standard deviation of the noise of a curve: 1.4826 * MAD(differences) / sqrt(2), immune to its trend.

    0.0 for a constant, NaN for fewer than 3 finite values. Where most neighbours are equal (rounded or sparse
    values) the MAD is 0 and the mean absolute difference takes its place. Curves that were smoothed before they
    were logged differ little from point to point although they wander: with `block`, the result is the larger
    of that and of the noise that explains how medians of blocks scatter around a local parabola, so that
    1.2533 * noise / sqrt(n) is an honest standard error for the median of n neighbours.
    """
    a = finite_values(sample(np.asarray(values, np.float64).ravel()))
    if len(a) < 3:
        return float("nan")
    sigma = difference_noise(a)
    return sigma * inflation(a, sigma) if block and sigma > 0 else sigma


def sample(values: FloatArray) -> FloatArray:
    """The values, or 64 runs of neighbours spread over them when there are more than about a million."""
    if len(values) <= SAMPLE:
        return values
    length = SAMPLE // RUNS
    starts = np.linspace(0, len(values) - length, RUNS).astype(np.int64)
    return np.concatenate([values[s : s + length] for s in starts])


def difference_noise(values: FloatArray) -> float:
    """The noise by differences of at least 2 finite values."""
    steps = np.diff(values)
    centre = np.median(steps)
    away = np.abs(steps - centre)
    sigma = MAD_TO_SIGMA * float(np.median(away)) / math.sqrt(2.0)
    if sigma <= 0.0:  # more than half of the steps are equal; for normal noise E|d| = sigma * 2 / sqrt(pi)
        sigma = float(np.mean(away)) * math.sqrt(math.pi) / 2.0
    return sigma


def inflation(values: FloatArray, sigma: float) -> float:
    """How many times more the medians of blocks scatter around a local parabola than white noise `sigma` explains, >= 1.

    Blocks of several sizes are tried, from 96 in the curve to 16, and the largest excess counts: a running mean of
    50 points looks smooth in small blocks, a slow swing in small and middling ones.
    """
    largest, size = 1.0, max(SMALLEST_BLOCK, len(values) // BLOCKS)
    while sigma > 0.0 and len(values) // size >= FEWEST_BLOCKS:
        count = len(values) // size
        medians = np.median(values[: count * size].reshape(count, size), axis=1)
        rest = np.diff(medians, 3)  # nothing of a parabola is left; the variance is 20 times that of a median
        scatter = MAD_TO_SIGMA * float(np.median(np.abs(rest))) / math.sqrt(20.0)
        scatter /= 1.0 + 1.0 / math.sqrt(count - 3)  # by chance the largest of several estimates is too large
        largest = max(largest, scatter * math.sqrt(size) / (MEDIAN_SE * sigma))
        size = size * 2 if count >= 2 * FEWEST_BLOCKS else max(size + 1, len(values) // FEWEST_BLOCKS)
    return largest
