"""Two groups of numbers, often very few: is one of them larger?"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from runvet.run import FloatArray
from runvet.statistics.basics import finite_values

EXACT = 2_000_000  # states of the exact distribution that are counted before the normal approximation takes over


def mann_whitney(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Two-sided p-value of the Mann-Whitney test that `a` (n,) and `b` (m,) come from one distribution.

    Exact where no two values are equal and n·m is small enough; else the normal approximation with corrections for
    ties and continuity, bounded below by the smallest p that groups of these sizes can give. 1.0 where a group is empty.
    """
    x, y = finite_values(a), finite_values(b)
    n, m = len(x), len(y)
    if not n or not m:
        return 1.0
    both = np.concatenate([x, y])
    _, inverse, ties = np.unique(both, return_inverse=True, return_counts=True)
    ends = np.cumsum(ties)
    rank = (ends - (ties - 1) / 2.0)[inverse]
    u = float(rank[:n].sum() - n * (n + 1) / 2)
    u = min(u, n * m - u)
    if len(ties) == n + m and n * m * min(n, m) <= EXACT:
        return min(1.0, 2.0 * _below(n, m, int(u)))
    total = n + m
    tied = float(((ties.astype(np.float64) ** 3) - ties).sum())
    variance = n * m / 12.0 * (total + 1 - tied / (total * (total - 1)))
    if variance <= 0:
        return 1.0
    z = max(0.0, abs(u - n * m / 2) - 0.5) / math.sqrt(variance)
    smallest = 2.0 / math.comb(total, n) if total < 1000 else 0.0
    return min(1.0, max(math.erfc(z / math.sqrt(2)), smallest))


def _below(n: int, m: int, u: int) -> float:
    """P(U <= u) without ties: partitions of 0..u into at most n parts of at most m, over all choices."""
    size = u + 1
    ways: FloatArray = np.zeros(size)
    ways[0] = 1.0
    # The Gaussian binomial coefficient: multiply by (1 - q^(m+i)) and divide by (1 - q^i) for i = 1..n.
    for i in range(1, n + 1):
        if m + i < size:
            ways[m + i :] -= ways[: size - m - i].copy()
        for k in range(i, size):
            ways[k] += ways[k - i]
    return float(ways.sum() / math.comb(n + m, n))
