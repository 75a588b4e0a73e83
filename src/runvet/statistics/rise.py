"""Whether a curve rises from its minimum for good: drift and divergence, seen in bin medians."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from runvet.run import Direction, FloatArray, IntArray
from runvet.statistics.basics import finite_points, log_domain, lower_is_better
from runvet.statistics.binning import FEWEST, SMALLEST, Bins, bins
from runvet.statistics.rank import Z95, Kendall, Slope, kendall, theil_sen

WARMUP_POINTS = (
    20  # the start that is skipped has at least as many points, but never more than an eighth, and 40 points remain
)
BINS_AFTER = 4  # bins after the minimum
TAU, P = 0.5, 0.01
SE_WARNING, SE_CRITICAL = 5.0, 8.0
SE_TREND = 2.5  # between the ends, for the slope between them to count
SHARE = 0.05  # of all that was ever gained: less is the wandering of a plateau
RELATIVE_WARNING, RELATIVE_CRITICAL = 0.02, 0.10  # of the minimum, for positive curves alone
GIVEN_BACK = 0.25  # of what was gained after the warm-up and before the minimum
FACTOR_CRITICAL = 2.0  # for curves judged in their logarithm, in place of GIVEN_BACK


@dataclass(frozen=True, slots=True)
class Rise:
    """A curve that gets worse from its best bin to its end. All values as given, in the curve's own unit.

    `start` is the index of the first point of the best bin, `x` the median x of that bin and `x_end` that of the
    last bin; where the best bin is the first one after the warm-up and the curve was lower still within it, the
    best of eight bins of the warm-up stands in. `best` and `last` are the medians of these bins and `size` their difference, positive when worse.
    `size_in_se` counts the rise in standard errors, from bin to bin, from pair to pair of bins, or by
    the slope between them, whichever is clearest (of the logarithm where `log`). `relative` is
    size / best, NaN unless the curve is positive. `given_back` is the rise over what was gained before (from the
    very start on unless the curve is positive), inf where nothing was. `tau` and the one-sided `p` are Kendall's over the `tail` bins from the best one on, of `bins`.
    """

    level: Literal["critical", "warning"]
    start: int
    x: float
    x_end: float
    best: float
    last: float
    size: float
    size_in_se: float
    relative: float
    given_back: float
    tau: float
    p: float
    tail: int
    bins: int
    slope: Slope
    log: bool


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve prepared for a test: lower is better, in the logarithm where that fits; indices as given.

    `x`, `value` and `index` have the shape (n,); `first` is the robust level at the very start, `positive` says
    whether all given values were above 0, `log` whether `value` is a logarithm.
    """

    x: FloatArray
    value: FloatArray
    index: IntArray
    skip: int
    first: float
    positive: bool
    log: bool

    def bins(self) -> Bins | None:
        """The bins after the warm-up; their start and stop count the points of this curve."""
        made = bins(self.x[self.skip :], self.value[self.skip :])
        if made is None:
            return None
        return Bins(made.start + self.skip, made.stop + self.skip, made.x, made.value, made.se, made.n)

    def lowest_of_warmup(self) -> tuple[float, int, float] | None:
        """The lowest of eight bins of the warm-up: value, first point and median x; None for fewer than 40 points."""
        made = bins(self.x[: self.skip], self.value[: self.skip], count=FEWEST)
        if made is None:
            return None
        low = int(np.argmin(made.value))
        return float(made.value[low]), int(made.start[low]), float(made.x[low])

    def outside(self, value: float, direction: Direction) -> float:
        """A level as it was given: logarithm and sign undone."""
        value = math.exp(value) if self.log else value
        return -value if direction == "up" else value

    def relative(self, worse: float, best: float) -> float:
        """(worse - best) / |best|, NaN unless the curve is positive; both in the form of `value`."""
        if not self.positive:
            return math.nan
        if self.log:
            return math.expm1(min(worse - best, 700.0))
        return (worse - best) / abs(best)


def prepare(x: npt.ArrayLike, values: npt.ArrayLike, warmup: float, direction: Direction) -> Curve | None:
    """The finite points made ready; None for fewer than 40 points."""
    a, v, index = finite_points(x, values)
    n = len(v)
    skip = max(math.ceil(warmup * n), min(WARMUP_POINTS, n // 8)) if warmup > 0 else 0
    if n < SMALLEST:
        return None
    skip = min(skip, n - SMALLEST)
    log = direction == "down" and log_domain(v)
    positive = float(v.min()) > 0.0
    v = np.log(v) if log else lower_is_better(v, direction)
    first = float(np.median(v[: max(1, min(64, n // 200))]))
    return Curve(a, v, index, skip, first, positive, log)


def rising(
    x: npt.ArrayLike, values: npt.ArrayLike, *, warmup: float = 0.05, direction: Direction = "down"
) -> Rise | None:
    """A lasting rise from the minimum of the bin medians, or None; `direction` "up" looks for a fall instead.

    A warning needs 4 bins after the minimum, a size of more than 5 standard errors and 5 % of all that was
    gained, and Kendall's tau >= 0.5 with p < 0.01 over those bins; critical in addition 8 standard errors and
    a quarter of the earlier gain given back (or twice the minimum where logarithms are judged). Positive curves
    must also rise by 2 % and 10 % of their minimum.

    The verdict does not change when all values are multiplied by a positive number. Nor when a number is added,
    as long as curves remain what they are, positive or not, spread over more than a factor of 20 or not: both
    relative tests and the logarithm depend on where zero is.
    """
    curve = prepare(x, values, warmup, direction)
    made = curve.bins() if curve is not None else None
    if curve is None or made is None:
        return None
    b = made.value
    best = int(np.argmin(b))
    tail = len(b) - best
    size = float(b[-1] - b[best])
    if tail <= BINS_AFTER or size <= 0.0:
        return None
    errors = _in_errors(made, best)
    if errors <= SE_WARNING:
        return None
    gained = float(b[: best + 1].max() - b[best])
    all_gained = max(gained, curve.first - float(b[best]))
    relative = curve.relative(float(b[-1]), float(b[best]))
    if size <= SHARE * all_gained or relative <= RELATIVE_WARNING:
        return None
    trend = kendall(b[best:])
    if not (trend.tau >= TAU and trend.p / 2.0 < P):
        return None
    earned = gained if gained > 0.0 and curve.positive else max(all_gained, 0.0)
    back = size / earned if earned > 0.0 else math.inf
    enough = back > GIVEN_BACK or (curve.log and relative > FACTOR_CRITICAL - 1.0)
    critical = errors > SE_CRITICAL and not relative <= RELATIVE_CRITICAL and enough
    return _describe(curve, made, best, direction, critical, errors, back, trend)


def _describe(
    curve: Curve,
    made: Bins,
    best: int,
    direction: Direction,
    critical: bool,
    errors: float,
    back: float,
    trend: Kendall,
) -> Rise:
    """The rise from the bin `best` on, in the curve's own unit."""
    b = made.value
    floor, start, at = float(b[best]), int(made.start[best]), float(made.x[best])
    early = curve.lowest_of_warmup() if best == 0 else None
    if early is not None and early[0] < floor:
        floor, start, at = early
    low, high = curve.outside(floor, direction), curve.outside(float(b[-1]), direction)
    shown = np.array([curve.outside(float(v), direction) for v in b[best:]])
    return Rise(
        level="critical" if critical else "warning",
        start=int(curve.index[start]),
        x=at,
        x_end=float(made.x[-1]),
        best=low,
        last=high,
        size=abs(high - low),
        size_in_se=errors,
        relative=curve.relative(float(b[-1]), floor),
        given_back=back,
        tau=trend.tau,
        p=trend.p / 2.0,
        tail=len(b) - best,
        bins=len(b),
        slope=theil_sen(made.x[best:], shown),
        log=curve.log,
    )


def _in_errors(made: Bins, best: int) -> float:
    """The rise from the best bin to the last one in standard errors, or that between the pairs of bins there.

    The pair at the best bin has the one after it, which was not chosen for being low. Where the ends differ
    somewhat, the slope through all bins between them counts too: a long slow rise is clear without being high.
    """
    b, se = made.value, made.se
    single, single_se = float(b[-1] - b[best]), math.hypot(float(se[best]), float(se[-1]))
    pair = float(b[-2:].mean() - b[best : best + 2].mean())
    pair_se = math.sqrt(float((se[-2:] ** 2).sum() + (se[best : best + 2] ** 2).sum())) / 2.0
    if single_se <= 0.0 or pair_se <= 0.0:
        return math.inf
    errors = max(single / single_se, pair / pair_se)
    if errors > SE_TREND:
        slope = theil_sen(np.arange(len(b) - best), b[best:])
        width = slope.high - slope.low
        errors = max(errors, slope.slope * 2.0 * Z95 / width) if width > 0.0 else errors
    return errors
