"""Two shares of few items each: is one of them larger, and how large may a share be?"""

from __future__ import annotations

import math
from collections.abc import Callable


def fisher_greater(a: int, n: int, b: int, m: int) -> float:
    """One-sided p of Fisher's exact test that a of n are not a larger share than b of m.

    The hypergeometric probability of at least `a` of the `a + b` marked items among the first `n`. 1.0 for empty groups.
    Raises ValueError for counts that do not fit. Fisher 1935, The Design of Experiments.
    """
    if not (0 <= a <= n and 0 <= b <= m):
        raise ValueError(f"{a} of {n} and {b} of {m} are no counts")
    marked, ways = a + b, math.comb(n + m, n)
    return min(1.0, sum(math.comb(marked, k) * math.comb(n + m - marked, n - k) for k in range(a, min(n, marked) + 1)) / ways)  # fmt: skip


def share_bounds(a: int, n: int, *, alpha: float = 0.05) -> tuple[float, float]:
    """The exact two-sided interval of a share of which `a` of `n` are seen (Clopper and Pearson 1934).

    (0, 1) for n = 0. Solved by bisection on the binomial distribution to 1e-9.
    """
    if not 0 <= a <= n:
        raise ValueError(f"{a} of {n} is no count")
    if not n:
        return 0.0, 1.0
    low = 0.0 if a == 0 else _solve(lambda p: _at_least(a, n, p) - alpha / 2)
    high = 1.0 if a == n else _solve(lambda p: alpha / 2 - (1 - _at_least(a + 1, n, p)))
    return low, high


def _at_least(a: int, n: int, p: float) -> float:
    return sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(a, n + 1))


def _solve(rising: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return (low + high) / 2
