"""Whether a metric differs between two runs beyond the noise within them.

Curves are compared at equal steps, over the last quarter of the steps that both have: medians of equal bins (the
points themselves, where there are few), the mean of their differences and its standard error. That error holds the
noise within each run; what another seed would change is not in it (see `compare_seeds.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from runvet import statistics
from runvet.joining import key
from runvet.run import FloatArray, Series, Stage

Outcome: TypeAlias = Literal["better", "worse", "no difference", "too few points"]

LATE = 0.75  # of the common steps lie before the part that is compared
BINS, MOST_BINS = 8, 16
TIMES = frozenset({"step_time", "data_time", "throughput", "clock", "memory", "gpu_utilisation"})  # speed is told apart
PER_BIN = 5  # points of each run in a bin, from which medians make sense
FEWEST = 4  # differences
MEDIAN_SE = 1.2533  # sqrt(pi / 2), as in statistics
# Two-sided 0.2 % points of Student's t by degrees of freedom: among many curves, hardly one differs by chance.
T_0002 = {
    2: 22.33,
    3: 10.21,
    4: 7.17,
    5: 5.89,
    6: 5.21,
    7: 4.79,
    8: 4.50,
    9: 4.30,
    10: 4.14,
    12: 3.93,
    15: 3.73,
    20: 3.55,
    30: 3.39,
}


@dataclass(frozen=True, slots=True)
class CurveDifference:
    """One metric of both runs. `difference` is other minus base over `start` to `end` of the axis, `error` its standard
    error, `n` how many bins or points it rests on. `base_best` and `other_best` are levels; `reaches_*` is the step at
    which a run first comes to the best level of the other, None if never.
    """

    name: str
    stage: str
    role: str | None
    direction: str
    outcome: Outcome
    axis: str = "step"
    start: float | None = None
    end: float | None = None
    base: float | None = None
    other: float | None = None
    difference: float | None = None
    error: float | None = None
    relative: float | None = None
    n: int = 0
    base_best: float | None = None
    other_best: float | None = None
    reaches_base_best: float | None = None
    reaches_other_best: float | None = None


def weight(role: str | None) -> int:
    """Validation before training, losses before the rest."""
    order = ("val_loss", "val_", "test_", "train_loss", "train_")
    return next((i for i, start in enumerate(order) if (role or "").startswith(start)), len(order))


def differences(base: Stage, other: Stage) -> list[CurveDifference]:
    """Every metric that both stages have and of which it is known which way is better."""
    return [curve(a, b, base.name) for a, b in series_pairs(base, other)]


def series_pairs(base: Stage, other: Stage) -> list[tuple[Series, Series]]:
    """The metrics of both stages that can be better or worse; times and speeds are told apart."""
    by_name = {key(s.name): s for s in other.series}
    out = []
    for a in base.series:
        b = by_name.get(key(a.name))
        if b is None and a.role is not None and len(base.role(a.role)) == len(other.role(a.role)) == 1:
            b = other.role(a.role)[0]
        if b is not None and a.direction is not None and a.role not in TIMES and len(a) > 1 and len(b) > 1:
            out.append((a, b))
    return out


def curve(base: Series, other: Series, stage: str = "") -> CurveDifference:
    """Whether a metric is better in the other run, beyond the noise of both. `base.direction` must be known."""
    direction = base.direction or "down"
    told = CurveDifference(base.name, stage, base.role, direction, "too few points")
    if base.axis != other.axis or base.axis == "point":
        axis, a, b = "point", points(base, by_index=True), points(other, by_index=True)
    else:
        axis, a, b = base.axis, points(base), points(other)
    if min(len(a[0]), len(b[0])) < FEWEST:
        return told
    low, high = max(a[0][0], b[0][0]), min(a[0][-1], b[0][-1])
    if high <= low:
        return told
    start = low + LATE * (high - low)
    made = _differences(a, b, start, high)
    if made is None or len(made[1]) < BINS:  # few evaluations: the second half tells more than a quarter of them
        start = low + 0.5 * (high - low)
        made = _differences(a, b, start, high)
    if made is None:
        return told
    level, difference, error = made
    delta = float(difference.mean())
    sigmas = T_0002[max(d for d in T_0002 if d <= len(difference) - 2)]
    clear = abs(delta) > sigmas * error and delta != 0.0
    good = delta < 0 if direction == "down" else delta > 0
    best_a, best_b = _best(a, direction), _best(b, direction)
    return CurveDifference(
        base.name, stage, base.role, direction, ("better" if good else "worse") if clear else "no difference",
        axis, float(start), float(high), level, level + delta, delta, error,
        delta / abs(level) if level else None, len(difference),
        best_a[1], best_b[1], _reaches(b, best_a[1], direction), _reaches(a, best_b[1], direction),
    )  # fmt: skip


def points(series: Series, *, by_index: bool = False) -> tuple[FloatArray, FloatArray]:
    """x and finite values in the order of x; of points told twice at one x (a resumed run) the last counts."""
    x = np.arange(len(series), dtype=np.float64) if by_index else series.x()
    x, value, _ = statistics.finite_points(x, series.value)
    order = np.argsort(x, kind="stable")
    x, value = x[order], value[order]
    last = np.append(x[1:] != x[:-1], True) if len(x) else np.ones(0, np.bool_)
    return x[last], value[last]


def _differences(
    a: tuple[FloatArray, FloatArray], b: tuple[FloatArray, FloatArray], start: float, end: float
) -> tuple[float, FloatArray, float] | None:
    """Level of a, differences b - a (k,) in equal parts of start..end, and the standard error of their mean."""
    late = [(x[(x >= start) & (x <= end)], v[(x >= start) & (x <= end)]) for x, v in (a, b)]
    few = min(len(x) for x, _ in late)
    if few >= BINS * PER_BIN:
        edges = np.linspace(start, end, min(MOST_BINS, max(BINS, few // (2 * PER_BIN))) + 1)
        noises = [_noise(part, whole) for (_, part), (_, whole) in zip(late, (a, b), strict=True)]
        medians, errors = zip(
            *(_bins(x, v, edges, sigma) for (x, v), sigma in zip(late, noises, strict=True)), strict=True
        )
        both = np.isfinite(medians[0]) & np.isfinite(medians[1])
        difference = (medians[1] - medians[0])[both]
        within = math.sqrt(float(np.sum(errors[0][both] ** 2 + errors[1][both] ** 2))) / max(len(difference), 1)
        level = float(medians[0][both].mean()) if both.any() else math.nan
    else:
        (x, v), (z, w) = late if len(late[0][0]) <= len(late[1][0]) else late[::-1]
        inside = (x >= z[0]) & (x <= z[-1]) if len(z) else np.zeros(len(x), np.bool_)
        met = np.interp(x[inside], z, w) if inside.any() else np.empty(0)
        mine = v[inside]
        difference, within = (met - mine, 0.0) if len(late[0][0]) <= len(late[1][0]) else (mine - met, 0.0)
        level = float((mine if len(late[0][0]) <= len(late[1][0]) else met).mean()) if len(mine) else math.nan
    if len(difference) < FEWEST:
        return None
    return level, difference, max(within, _between(difference))


def _between(difference: FloatArray) -> float:
    """Standard error of the mean of differences (k,) by their scatter around a line: runs that drift apart differ."""
    k = len(difference)
    place = np.arange(k) - (k - 1) / 2.0
    rest = difference - difference.mean() - place * float(place @ difference) / float(place @ place)
    return math.sqrt(float(rest @ rest) / (k - 2) / k)


def _noise(late: FloatArray, whole: FloatArray) -> float:
    """The noise of a part of a curve, as large as the curve wanders: the whole shows slower swings than a part."""
    local, overall = statistics.noise(late), statistics.noise(whole)
    excess = statistics.noise(whole, block=True) / overall if overall > 0 else 1.0
    return max(local * excess, statistics.noise(late, block=True))


def _bins(x: FloatArray, value: FloatArray, edges: FloatArray, sigma: float) -> tuple[FloatArray, FloatArray]:
    """Median and its standard error in each part (k,), NaN where there is no point."""
    where = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, len(edges) - 2)
    medians, errors = np.full(len(edges) - 1, np.nan), np.full(len(edges) - 1, np.nan)
    for i in range(len(edges) - 1):
        inside = value[where == i]
        if len(inside):
            medians[i], errors[i] = np.median(inside), MEDIAN_SE * sigma / math.sqrt(len(inside))
    return medians, errors


def _levels(points: tuple[FloatArray, FloatArray]) -> tuple[FloatArray, FloatArray]:
    """The curve as bin medians, or as it is where it has few points."""
    made = statistics.bins(*points)
    return points if made is None else (made.x, made.value)


def _best(points: tuple[FloatArray, FloatArray], direction: str) -> tuple[float, float]:
    """x and value of the best level."""
    x, value = _levels(points)
    i = int(np.argmin(value) if direction == "down" else np.argmax(value))
    return float(x[i]), float(value[i])


def _reaches(points: tuple[FloatArray, FloatArray], level: float, direction: str) -> float | None:
    """Where the curve first comes to a level; None if it never does."""
    x, value = _levels(points)
    hit = np.flatnonzero(value <= level if direction == "down" else value >= level)
    return float(x[hit[0]]) if len(hit) else None
