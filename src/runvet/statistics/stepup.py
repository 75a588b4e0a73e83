"""Whether a curve stepped up and never came back to its old floor."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from runvet.run import Direction, FloatArray
from runvet.statistics.basics import finite_values
from runvet.statistics.binning import Bins
from runvet.statistics.rise import SHARE, Curve, prepare

BEFORE, AFTER = 2, 3  # bins on either side of a step
SE_JUMP, SE_FLOOR = 8.0, 5.0
RELATIVE_JUMP, RELATIVE_FLOOR = 0.15, 0.05  # of the old floor; of all that was gained for curves that are not positive
GAINED = 0.10  # of the gain before the step
SIDE = 32  # raw points on either side when a step is localised
PLACES = 2048  # places tried at once
MEDIAN_OF_THREE = 0.67  # standard error of a median of three in that of one
ABRUPT = 0.5  # share of the jump that must happen at the localised point itself


@dataclass(frozen=True, slots=True)
class StepUp:
    """A step up whose old floor was never seen again. Values as given, in the curve's own unit.

    `index` is the first point after the step (in the arrays as given) and `x` its place; `before` is the old floor
    (best bin before), `after` the median of the three bins after, `since` the best bin since, `last` the last bin.
    `size_in_se` is the jump in standard errors, `relative` (after - before) / |before| or NaN unless the curve is
    positive, `given_back` the jump over the gain before it (inf where nothing was gained). `abrupt`: at least half
    of the jump happens between the quarters of a bin (at least 32 points) on either side of `index`; otherwise it
    is rather a drift.
    """

    index: int
    x: float
    before: float
    after: float
    since: float
    last: float
    size_in_se: float
    relative: float
    given_back: float
    abrupt: bool
    bins: int


def never_regained(
    x: npt.ArrayLike, values: npt.ArrayLike, *, warmup: float = 0.05, direction: Direction = "down"
) -> StepUp | None:
    """The first step up after which the curve never regains its floor, or None.

    Two bins before and three after: their median lies more than 8 standard errors and 15 % above the best bin
    before, and no later bin comes within 5 standard errors and 5 % of it; the jump exceeds 10 % of the gain
    before it and 5 % of all that was gained. Percentages are of the old floor where all values are positive, and
    of all that was gained otherwise. Invariances as for `rising`. A drift is found too: see `abrupt`.
    """
    curve = prepare(x, values, warmup, direction)
    made = curve.bins() if curve is not None else None
    if curve is None or made is None:
        return None
    for i in range(BEFORE, len(made) - AFTER + 1):
        if _stepped(curve, made, i):
            return _describe(curve, made, i, direction)
    return None


def _stepped(curve: Curve, made: Bins, i: int) -> bool:
    """Whether the curve stepped up for good between the bins i - 1 and i."""
    b = made.value
    low = int(np.argmin(b[:i]))
    pre, after, since = float(b[low]), float(np.median(b[i : i + AFTER])), float(b[i:].min())
    error = _error(made, low, i)
    gained = float(b[: low + 1].max()) - pre
    all_gained = max(gained, curve.first - pre, 0.0)
    floor_error = math.hypot(float(made.se[low]), float(made.se[i + int(np.argmin(b[i:]))]))
    jump, floor = after - pre, since - pre
    if jump <= max(SE_JUMP * error, GAINED * gained, SHARE * all_gained) or floor <= SE_FLOOR * floor_error:
        return False
    if curve.positive:
        return curve.relative(after, pre) > RELATIVE_JUMP and curve.relative(since, pre) > RELATIVE_FLOOR
    return jump > RELATIVE_JUMP * all_gained and floor > RELATIVE_FLOOR * all_gained


def _error(made: Bins, low: int, i: int) -> float:
    """Standard error of the jump from the bin `low` to the median of the three bins from `i` on."""
    return math.hypot(float(made.se[low]), MEDIAN_OF_THREE * float(np.median(made.se[i : i + AFTER])))


def _describe(curve: Curve, made: Bins, i: int, direction: Direction) -> StepUp:
    b = made.value
    low = int(np.argmin(b[:i]))
    pre, after = float(b[low]), float(np.median(b[i : i + AFTER]))
    begin = max(int(made.start[max(i - 2, 0)]), 0)
    end = int(made.stop[min(i + 1, len(made) - 1)])
    place = begin + localise(curve.value[begin:end])[0]
    side = max(SIDE, int(made.n[i]) // 4)  # wide enough that the noise of the best of many places averages out
    gained = float(b[: low + 1].max()) - pre
    earned = gained if gained > 0.0 else max(curve.first - pre, 0.0)
    error = _error(made, low, i)
    return StepUp(
        index=int(curve.index[place]),
        x=float(curve.x[place]),
        before=curve.outside(pre, direction),
        after=curve.outside(after, direction),
        since=curve.outside(float(b[i:].min()), direction),
        last=curve.outside(float(b[-1]), direction),
        size_in_se=(after - pre) / error if error > 0.0 else math.inf,
        relative=curve.relative(after, pre),
        given_back=(after - pre) / earned if earned > 0.0 else math.inf,
        abrupt=_step_at(curve.value, place, side) >= ABRUPT * (after - pre),
        bins=len(b),
    )


def _step_at(v: FloatArray, place: int, side: int) -> float:
    before, after = v[max(0, place - side) : place], v[place : place + side]
    return float(np.median(after) - np.median(before)) if len(before) and len(after) else 0.0


def localise(values: npt.ArrayLike, side: int = SIDE) -> tuple[int, float]:
    """Where the values (n,) step up most: the index of the first point after, and the size of the step.

    The step at i is median(values[i : i + side]) - median(values[i - side : i]). Long arrays are searched
    coarsely, then around the best place. (0, 0.0) for fewer than 2 points.
    """
    v = finite_values(values)
    side = max(1, min(side, len(v) // 4))
    if len(v) < 2:
        return 0, 0.0
    low, high = side, len(v) - side
    while True:
        stride = max(1, -(-(high - low + 1) // PLACES))
        places = np.arange(low, high + 1, stride, dtype=np.int64)
        steps = _steps(v, places, side)
        best = int(np.argmax(steps))
        if stride == 1:
            return int(places[best]), float(steps[best])
        low, high = max(side, int(places[best]) - stride), min(len(v) - side, int(places[best]) + stride)


def _steps(v: FloatArray, places: npt.NDArray[np.int64], side: int) -> FloatArray:
    """The step at every place, shape of `places`; each side is thinned to at most 32 of its points."""
    stride = int(places[1] - places[0]) if len(places) > 1 else 1
    reach = np.arange(side, dtype=np.int64) * max(1, stride // side)
    before = np.median(v[np.maximum(places[:, None] - 1 - reach, 0)], axis=1)
    after = np.median(v[np.minimum(places[:, None] + reach, len(v) - 1)], axis=1)
    return np.asarray(after - before, np.float64)
