"""Permutation tests: how often would a shuffle of the two groups look as different?"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations

import numpy as np

from runvet.run import FloatArray

EXACT = 5_000  # divisions into two groups that are all tried; of more, as many are drawn


def permutation_p(rows: FloatArray, n: int, difference: Callable[[FloatArray, FloatArray], float], *, seed: int = 0) -> float:  # fmt: skip
    """One-sided p that the first `n` rows differ from the others no more than a random choice of `n` rows does.

    `rows` is (n + m, k), `difference` gets both groups and is larger where they differ more. All divisions are tried
    where there are at most 5,000, and p is exact; else 5,000 random ones, always the same, and p = (hits + 1) / 5,001
    (Phipson and Smyth 2010, doi 10.2202/1544-6115.1585). Raises ValueError where a group would be empty.
    """
    total = len(rows)
    if not 0 < n < total:
        raise ValueError(f"{n} of {total} rows leave an empty group")
    seen = difference(rows[:n], rows[n:]) - 1e-12

    def hit(chosen: np.ndarray[tuple[int, ...], np.dtype[np.intp]]) -> bool:
        kept = np.zeros(total, np.bool_)
        kept[chosen] = True
        return difference(rows[kept], rows[~kept]) >= seen

    if math.comb(total, n) <= EXACT:
        hits = [hit(np.array(c)) for c in combinations(range(total), n)]
        return sum(hits) / len(hits)
    rng = np.random.default_rng(seed)
    return (1 + sum(hit(rng.permutation(total)[:n]) for _ in range(EXACT))) / (EXACT + 1)
