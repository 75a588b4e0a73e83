"""Time: seconds per step, speed, and columns that only count seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from runvet.run import FloatArray, IntArray
from runvet.statistics.basics import MAD_TO_SIGMA, finite_points, finite_values
from runvet.statistics.rank import correlation

SHORTEST_S = 1e-9  # no clock tells less
PAUSE = 20.0  # times the median seconds per step ...
PAUSE_S = 60.0  # ... and longer than this many seconds
STOP = 100.0  # times the median ...
STOP_S = 3600.0  # ... and longer than this: the run was not running
CLOCK_R2 = 0.999
CLOCK_EVEN = 0.25  # scaled MAD of the increments over their median


@dataclass(frozen=True, slots=True)
class StepTimes:
    """Seconds per step of each interval between two points; all arrays have the shape (m,).

    `index` is the point at which the interval ends (in the arrays as given), `step` its step, `seconds` the seconds
    per step, `steps` how many steps it spans. `pause` marks intervals more than 20 times slower than the median
    and longer than a minute: an evaluation, a checkpoint, a stop.
    """

    index: IntArray
    step: FloatArray
    seconds: FloatArray
    steps: FloatArray
    pause: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Speed:
    """Steps per second over the whole run and over its end; NaN where no two points have times."""

    overall: float
    recent: float


def _intervals(time: npt.ArrayLike, step: npt.ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray, IntArray]:
    """Seconds, steps, step at the end and index of every interval in which both advance.

    A clock that ticks slower than points come gives equal times: such points are joined with the next tick.
    """
    t, s, index = finite_points(time, step)
    if len(t) > 1:
        keep = np.concatenate([[True], (t[1:] != t[:-1]) | (s[1:] < s[:-1])])
        t, s, index = t[keep], s[keep], index[keep]
    seconds, steps = np.diff(t), np.diff(s)
    good = (seconds > SHORTEST_S) & (steps > 0.0)
    return seconds[good], steps[good], s[1:][good], index[1:][good]


def step_times(time: npt.ArrayLike, step: npt.ArrayLike) -> StepTimes:
    """Seconds per step of each interval, from the times (s) and steps of the points, both (n,).

    Intervals in which time or step goes back or stands still are dropped (equal times are joined with the next).
    Raises ValueError when the arrays differ in length.
    """
    seconds, steps, at, index = _intervals(time, step)
    each = seconds / steps
    usual = float(np.median(each)) if len(each) else math.nan
    return StepTimes(index, at, each, steps, (each > PAUSE * usual) & (seconds > PAUSE_S))


def speed(time: npt.ArrayLike, step: npt.ArrayLike, *, recent_share: float = 0.1, recent_most: float = 5000) -> Speed:
    """Steps per second, overall and over the last `recent_share` of the steps (at most `recent_most` of them).

    Steps are counted between the run's own times: the sum of step intervals over the sum of their seconds.
    Restarts (time or step going back) and standstills of over an hour and 100 times the usual do not count.
    Raises ValueError when the arrays differ in length.
    """
    seconds, steps, at, _ = _intervals(time, step)
    if not len(seconds):
        return Speed(math.nan, math.nan)
    each = seconds / steps
    run = ~((each > STOP * float(np.median(each))) & (seconds > STOP_S))
    seconds, steps, at = seconds[run], steps[run], at[run]
    if not len(seconds):
        return Speed(math.nan, math.nan)
    back = np.cumsum(steps[::-1])[::-1]  # steps from the start of each interval to the end, restarts unwound
    reach = min(recent_share * float(back[0]), recent_most)
    late = back <= reach
    late[-1] = True
    return Speed(float(back[0] / seconds.sum()), float(steps[late].sum() / seconds[late].sum()))


def is_cumulative_clock(values: npt.ArrayLike) -> bool:
    """Whether a column only counts time since the start: R² against the index above 0.999 and even increments."""
    v = finite_values(values)
    if len(v) < 5:
        return False
    steps = np.diff(v)
    middle = float(np.median(steps))
    if middle <= 0.0 or correlation(np.arange(len(v)), v) ** 2 <= CLOCK_R2:
        return False
    return MAD_TO_SIGMA * float(np.median(np.abs(steps - middle))) <= CLOCK_EVEN * middle
