"""Spikes: single points far above everything around them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from runvet.run import FloatArray, IntArray
from runvet.statistics.basics import MAD_TO_SIGMA, usable

WINDOW = 128
SHORTEST = 16  # points before the first that is judged
Z = 6.0  # distances from the median in units of the window's scaled MAD
FACTOR = 2.0  # times the window's median, for positive curves
SPREAD = 0.5  # of the curve's 5-95 % range in place of the factor, for curves that are not positive
TAIL = 1.5  # times the distance of the window's 99th percentile from its median
RECOVERY = 0.05  # share of the run within which a spike must be over
BLOCK = 16  # points in a block of the first sieve
CHUNK = 1 << 18  # points sieved at once
GATHER = 4096  # windows computed at once
NONE: IntArray = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Spikes:
    """The spikes of a curve of n points.

    `indices` (k,) are positions in the array as given, `rate` is k over the number of judged points (those with
    at least 16 finite points before). `recovered`: every spike was over within 5 % of the run. `longest` is the
    largest number of points until the curve was back, `open` how many points have passed at the end since a spike
    that is not over (0 when all are).
    """

    indices: IntArray
    rate: float
    recovered: bool
    longest: int
    open: int


def spikes(values: npt.ArrayLike, window: int = WINDOW) -> Spikes:
    """Points above the `window` points before them by all of: 6 MADs, a factor of 2, 1.5 times their upper tail.

    Judged in logarithms when all values are positive (the verdict is then the same for any unit). Otherwise the
    factor of 2 is replaced by half of the curve's 5-95 % range, and any a * value + b with a > 0 gives the same.
    A spike is over when the curve is back within a quarter of its height. Memory is bounded: a sieve in chunks
    leaves few candidates, and only for these the exact window is computed. Raises ValueError for a window < 16.
    """
    if window < SHORTEST:
        raise ValueError(f"a window needs at least {SHORTEST} points")
    raw = np.asarray(values, np.float64).ravel()
    keep = usable(raw)
    everything = bool(keep.all())
    v = raw if everything else raw[keep]
    if len(v) <= SHORTEST:
        return Spikes(NONE, 0.0, True, 0, 0)
    log = bool(v.min() > 0.0)
    guard = math.log(FACTOR) if log else SPREAD * _range(v)
    found, centres = [NONE], [np.empty(0)]
    for begin, part in _chunks(v, window, log):
        at, centre = _exact(part, _sieve(part, begin, window, guard), window, guard)
        found.append(at + begin)
        centres.append(centre)
    at, centre = np.concatenate(found), np.concatenate(centres)
    longest, waiting = _recovery(v, at, centre, log)
    limit = max(RECOVERY * len(v), 1.0)
    where = at if everything else np.flatnonzero(keep)[at]
    return Spikes(
        indices=where.astype(np.int64),
        rate=len(at) / (len(v) - SHORTEST),
        recovered=max(longest, waiting) <= limit,
        longest=max(longest, waiting),
        open=waiting,
    )


def _range(v: FloatArray) -> float:
    """Distance from the 5th to the 95th percentile, of at most about a million points."""
    low, high = np.percentile(v[:: max(1, len(v) >> 20)], (5, 95))
    return float(high - low)


def _chunks(v: FloatArray, window: int, log: bool) -> Iterator[tuple[int, FloatArray]]:
    """Parts of the curve with the window before each: (index of the part's first point, part)."""
    lead = -(-window // BLOCK) * BLOCK
    for begin in range(0, len(v), CHUNK):
        start = max(0, begin - lead)
        part = v[start : begin + CHUNK]
        yield start, np.log(part) if log else part


def _sieve(part: FloatArray, begin: int, window: int, guard: float) -> IntArray:
    """Candidates among the points of a part; no spike is lost.

    A spike exceeds the second largest point of its window (the 99th percentile guard) and its median plus the
    guard. The window covers at least window / 16 - 1 whole blocks of 16: the second largest of their maxima is
    not above the former, and the median is not below the third smallest of seven minima.
    """
    lead = -(-window // BLOCK) * BLOCK
    first = min(SHORTEST, len(part)) if begin == 0 else lead
    n = len(part)
    at = np.arange(first, n, dtype=np.int64)
    whole = window // BLOCK - 1
    if n < 2 * lead or whole < 7:
        return at
    blocks = part[: n // BLOCK * BLOCK].reshape(-1, BLOCK)
    views = np.lib.stride_tricks.sliding_window_view
    tops = np.sort(views(blocks.max(axis=1), whole), axis=1)[:, -2]
    floors = np.sort(views(blocks.min(axis=1), whole), axis=1)[:, max(0, whole // 2 - 1)]
    late = at[at >= lead]
    group = late // BLOCK - whole  # the last whole blocks before the point's own block
    keep = (part[late] > tops[group]) & (part[late] > floors[group] + guard)
    return np.concatenate([at[at < lead], late[keep]])


def _exact(part: FloatArray, at: IntArray, window: int, guard: float) -> tuple[IntArray, FloatArray]:
    """Those candidates that are spikes, and the median of the window before each."""
    hits, centres = [NONE], [np.empty(0)]
    for length in np.unique(np.minimum(at, window)):
        same = at[np.minimum(at, window) == length]
        for s in range(0, len(same), GATHER):
            some = same[s : s + GATHER]
            before = np.sort(part[some[:, None] - np.arange(int(length), 0, -1)], axis=1)
            centre = np.median(before, axis=1)
            scale = MAD_TO_SIGMA * np.median(np.abs(before - centre[:, None]), axis=1)
            tail = np.percentile(before, 99, axis=1) - centre
            excess = part[some] - centre
            hit = (excess > Z * scale) & (excess > guard) & (excess > TAIL * tail)
            hits.append(some[hit])
            centres.append(centre[hit])
    where = np.concatenate(hits)
    order = np.argsort(where, kind="stable")
    return where[order], np.concatenate(centres)[order]


def _recovery(v: FloatArray, at: IntArray, centre: FloatArray, log: bool) -> tuple[int, int]:
    """Points until the slowest spike was over, and points since one that is not over at the end (0 if none)."""
    longest, back = 0, -1
    for i, middle in zip(at.tolist(), centre.tolist(), strict=True):
        if i < back:  # within the last excursion
            continue
        height = float(np.log(v[i]) if log else v[i])
        limit = middle + 0.25 * (height - middle)
        back = _first_below(v, i + 1, math.exp(limit) if log else limit)
        if back < 0:
            return longest, len(v) - i
        longest = max(longest, back - i)
    return longest, 0


def _first_below(v: FloatArray, start: int, limit: float) -> int:
    """Index of the first point from `start` on that is not above the limit, -1 when none is."""
    length = 64
    while start < len(v):
        low = np.flatnonzero(v[start : start + length] <= limit)
        if len(low):
            return start + int(low[0])
        start, length = start + length, min(length * 4, CHUNK)
    return -1
