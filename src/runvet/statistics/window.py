"""Windows of a round length, for people."""

from __future__ import annotations

import math

FEWEST, MOST = 4, 8


def window_edges(first: float, last: float) -> list[tuple[int, int]]:
    """Windows [from, to) over the steps first..last, both included: 1, 2 or 5 times a power of ten long.

    They start at multiples of their length, and the length is the largest that gives four to eight of them (the
    one nearest to that where none does; a run of fewer than 4 steps has windows of one step). A rest shorter
    than half a window joins the last window. Empty for last < first or what is not finite.
    """
    if not (math.isfinite(first) and math.isfinite(last)) or last < first:
        return []
    low, high = math.floor(first), math.floor(last) + 1
    power = 10 ** max(len(str(high - low)) - 2, 0)
    lengths = [f * power * s for s in (1, 10, 100) for f in (1, 2, 5)]
    return min((_cut(low, high, length) for length in reversed(lengths)), key=lambda edges: _misfit(len(edges)))


def _misfit(count: int) -> float:
    return max(FEWEST / count, count / MOST, 1.0)


def _cut(low: int, high: int, length: int) -> list[tuple[int, int]]:
    starts = list(range(low // length * length, high, length))
    if len(starts) > 1 and 2 * (high - starts[-1]) < length:
        starts.pop()
    return list(zip(starts, [*starts[1:], high], strict=True))
