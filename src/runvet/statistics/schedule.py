"""Where a schedule that is written down as a curve starts over before it has ended."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from runvet.run import FloatArray
from runvet.statistics.basics import usable

FEWEST = 10  # points of the schedule before it starts over, and after
CURVED = 16  # points on the way down, from which on its curvature tells where it ends
DROP, RISE = 0.5, 1.25  # times the rate of the point before: below, or above, a schedule may have started over
SAME = 0.02  # of the peak: how close two runs of one schedule are
PHASES = 61  # offsets tried, because points are some steps apart
ENDED = 0.05  # of the peak: below, a schedule has reached its end
LEVEL = 0.97  # of the peak: above, it has not begun to fall
NEXT = 2.5  # points: what happens within so many may happen before the next one is logged
REST = 0.06  # of the schedule so far: where it would stand still within so much, it has ended


@dataclass(frozen=True, slots=True)
class StartedOver:
    """A schedule that starts over at point `index`.

    `before` and `first` are the rates on either side, `top` is the index of the highest point of the new warm-up
    (`index` itself where there is none). `plateau`: the rate stood at its peak before, it was not falling.
    `points` is how many points of the new run of the schedule equal its first run.
    """

    index: int
    before: float
    first: float
    top: int
    plateau: bool
    points: int

    @property
    def warms_up(self) -> bool:
        """Whether the rate climbs again from a low one; otherwise it is at its peak at once."""
        return self.top > self.index


def started_over(x: FloatArray, rate: FloatArray) -> tuple[StartedOver, ...]:
    """The places at which a smooth schedule starts over although it had not come to its end; often none.

    `x` (n,) rises, `rate` (n,) is finite and at least 0; for anything else nothing is found. A place counts where the
    new warm-up, or the fall from the peak where there is none, repeats the beginning of the curve point by point
    (within 2 % of the peak, at the same distances on `x`), and the rate before was neither near its end nor about to
    stand still, as at the end of a planned cycle. A curve with one such end has planned cycles: nothing is found.
    """
    if len(rate) < 2 * FEWEST or not (usable(rate) & usable(x)).all() or rate.min() < 0 or rate.max() <= 0:
        return ()
    if not (np.diff(x) > 0).all():
        return ()
    drop = rate[1:] < DROP * rate[:-1]
    # points of a warm-up double, too: one that starts over comes after a gentle fall
    gentle = np.concatenate([[False], (np.diff(rate) <= 0) & ~drop])[:-1]
    cuts = [int(i) + 1 for i in np.flatnonzero(drop | (gentle & (rate[1:] > RISE * rate[:-1])))]
    found: list[StartedOver] = []
    first, start = cuts[0] if cuts else 0, 0
    for number, cut in enumerate(cuts):
        end = cuts[number + 1] if number + 1 < len(cuts) else len(rate)
        if cut - start >= FEWEST and end - cut >= FEWEST and first >= FEWEST:
            place = _place(x, rate, (start, first), cut, end)
            if place is not None and not place[1]:
                return ()  # one that starts over after its end: cycles are planned
            found += [place[0]] if place else []
        start = cut
    return tuple(found)


def _place(
    x: FloatArray, rate: FloatArray, past: tuple[int, int], cut: int, end: int
) -> tuple[StartedOver, bool] | None:
    """The schedule that begins anew at `cut`, and whether the one before was still under way; None where none does."""
    start, first = past
    peak = float(rate[:first].max())
    before = float(rate[cut - 1])
    plateau = before > LEVEL * peak and bool(np.ptp(rate[max(start, cut - FEWEST) : cut]) < (1 - LEVEL) * peak)
    top = _top(rate[cut:end], peak) + cut
    warms = rate[cut] < DROP * before
    if warms and (top - cut < 3 or abs(float(rate[top]) - peak) > SAME * peak):
        return None
    if not warms and (abs(float(rate[cut]) - peak) > 2 * SAME * peak or float(rate[0]) < (1 - 2 * SAME) * peak):
        return None
    points = _same(x[:first], rate[:first], x[cut:end], rate[cut:end], peak)
    needed = top - cut + 1 if warms else FEWEST
    if points < needed or (not warms and np.ptp(rate[cut : cut + points]) < 0.1 * peak):
        return None
    under_way = plateau or _falls(x[start:cut], rate[start:cut], peak)
    return StartedOver(cut, before, float(rate[cut]), top if warms else cut, plateau, points), under_way


def _top(rate: FloatArray, peak: float) -> int:
    """How many points a curve climbs without a fall."""
    fall = np.flatnonzero(np.diff(rate) < -1e-9 * peak)
    climb = rate[: int(fall[0]) + 1] if len(fall) else rate
    return int(np.argmax(climb))


def _falls(x: FloatArray, rate: FloatArray, peak: float) -> bool:
    """Whether a schedule is on its way down, and would go on for a good while."""
    high = len(rate) - 1 - int(np.argmax(rate[::-1]))
    down, at = rate[high:], x[high:]
    if len(down) < CURVED or not ENDED * peak < down[-1] < LEVEL * peak or np.any(np.diff(down) > 1e-9 * peak):
        return False
    last = max(5, len(down) // 10)
    t = (at[-last:] - at[-1]) / (at[-1] - at[0])
    curve, slope, _ = np.polyfit(t, down[-last:], 2)
    if down[-last] - down[-1] < 0.03 * last / len(down) * (down[0] - down[-1]):
        return False  # it stands still, or goes by steps
    usual = float(np.median(-np.diff(down[-last:])))
    if down[-1] < NEXT * usual or down[-2] - down[-1] > 3 * usual:
        return False  # it ends within a few points, or the last one is of the next warm-up already
    rest = -slope / (2 * curve) if curve > 0 else np.inf  # where a parabola through its end would stand still
    return bool(rest > max(REST, NEXT / len(down)))


def _same(x: FloatArray, rate: FloatArray, again: FloatArray, new: FloatArray, peak: float) -> int:
    """How many points of `new`, from its first on, repeat the curve `rate`, at the best offset within a few points."""
    gap = float(np.median(np.diff(x)))
    most = 0
    for offset in np.linspace(-gap, 2 * gap, PHASES):
        at = again - again[0] + x[0] + offset
        before = int(at[0] < x[0])  # a point of the new run that the first one did not log
        known = at[before:] <= x[-1]
        near = np.abs(np.interp(at[before:][known], x, rate) - new[before:][known]) <= SAME * peak
        # a point beside the kink at the peak may be off: one in twenty
        misses = np.cumsum(~near)
        good = np.flatnonzero(near & (misses <= 1 + np.arange(len(near)) // 20))
        most = max(most, before + int(good[-1]) + 1 if len(good) and near[0] else 0)
    return most
