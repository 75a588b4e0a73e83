"""What repeated runs say together: whether one configuration is better than another, beyond what the seed changes.

Two single runs can't tell: the noise within a curve is not the difference between seeds. Runs that differ from each
other in seeds only are repeats of one configuration. The level of each run (mean of the medians of eight equal parts of
the last quarter that all runs have) is one observation; two groups of them are compared by Welch's t-test, or, where one
group is a single run, by the scatter of the other group, taken to hold for both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from runvet import statistics
from runvet.compare_curves import BINS, FEWEST, LATE, PER_BIN, points, series_pairs, weight
from runvet.compare_settings import relation
from runvet.run import FloatArray, Run, Series, Stage

SeedOutcome: TypeAlias = Literal["better", "worse", "no difference"]
Pairs: TypeAlias = Callable[[Run, Run], Sequence[tuple[Stage, Stage]]]

SURE = 0.01  # two-sided p below which two configurations differ


@dataclass(frozen=True, slots=True)
class SeedEffect:
    """One metric of two configurations with repeats. `base` and `other` hold the level of each run; `difference` is the
    mean of the other minus that of the base, `error` its standard error, `p` two-sided, by Student's t with `free`
    degrees of freedom. `base_runs` and `other_runs` are the paths.
    """

    name: str
    stage: str
    role: str | None
    direction: str
    outcome: SeedOutcome
    base_runs: tuple[str, ...]
    other_runs: tuple[str, ...]
    base: tuple[float, ...]
    other: tuple[float, ...]
    axis: str
    start: float
    end: float
    difference: float
    error: float
    p: float
    free: float


def seed_effects(base: Run, others: Sequence[Run], pairs: Pairs) -> tuple[SeedEffect, ...]:
    """The metrics of every configuration among `others` against the base's, where at least one of both is repeated."""
    first, *rest = groups([base, *others])
    out = []
    for group in rest:
        if len(first) + len(group) > 2:
            out += sorted(_effects(first, group, pairs), key=lambda e: weight(e.role))
    return tuple(out)


def groups(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs by configuration, in the order in which they come; copies with the same seed count once."""
    out: list[list[Run]] = []
    for run in runs:
        for group in out:
            kinds = {relation(member, run) for member in group}
            if "different" not in kinds:
                if "copy" not in kinds:
                    group.append(run)
                break
        else:
            out.append([run])
    return out


def _effects(first: Sequence[Run], group: Sequence[Run], pairs: Pairs) -> list[SeedEffect]:
    """Every metric that all runs of two configurations have."""
    base = first[0]
    found: dict[tuple[str, str], list[Series]] = {}
    for run in (*first, *group):
        for a, b in pairs(base, run) if run is not base else [(s, s) for s in base.stages]:
            for mine, theirs in series_pairs(a, b):
                found.setdefault((a.name, mine.name), []).append(theirs)
    every = len(first) + len(group)
    made = [_effect(stage, s, first, group) for (stage, _), s in found.items() if len(s) == every]
    return [effect for effect in made if effect is not None]


def _effect(stage: str, series: Sequence[Series], first: Sequence[Run], group: Sequence[Run]) -> SeedEffect | None:
    lead = series[0]
    by_index = lead.axis == "point" or any(s.axis != lead.axis for s in series)
    curves = [points(s, by_index=by_index) for s in series]
    if min(len(x) for x, _ in curves) < FEWEST:
        return None
    low, end = max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves)
    start = low + LATE * (end - low)
    levels = [level(x, value, start, end) for x, value in curves]
    if end <= low or any(math.isnan(v) for v in levels):
        return None
    a, b = np.array(levels[: len(first)]), np.array(levels[len(first) :])
    difference, error, free = welch(a, b)
    p = statistics.student_p(difference / error if error else math.copysign(math.inf, difference), free)
    if not difference:
        p = 1.0
    good = difference < 0 if lead.direction == "down" else difference > 0
    return SeedEffect(
        lead.name, stage, lead.role, lead.direction or "down",
        ("better" if good else "worse") if p < SURE else "no difference",
        tuple(r.path for r in first), tuple(r.path for r in group), tuple(a.tolist()), tuple(b.tolist()),
        "point" if by_index else lead.axis, float(start), float(end), difference, error, p, free,
    )  # fmt: skip


def level(x: FloatArray, value: FloatArray, start: float, end: float) -> float:
    """The mean of the medians of eight equal parts of start..end, of few points their mean; NaN where there is none."""
    late = value[(x >= start) & (x <= end)]
    if len(late) >= BINS * PER_BIN:
        return float(np.mean([np.median(part) for part in np.array_split(late, BINS)]))
    return float(late.mean()) if len(late) else math.nan


def welch(a: FloatArray, b: FloatArray) -> tuple[float, float, float]:
    """Difference of the means of b and a, its standard error and the degrees of freedom.

    Welch's t-test with the degrees of freedom of Satterthwaite; of two groups, one may be a single value, which is then
    taken to scatter as the other does. Raises ValueError when both are single values.
    """
    difference = float(b.mean() - a.mean())
    if len(a) + len(b) < 3:
        raise ValueError("one group at least must hold two values")
    if min(len(a), len(b)) == 1:
        several = a if len(a) > 1 else b
        return difference, float(several.std(ddof=1)) * math.sqrt(1.0 + 1.0 / len(several)), float(len(several) - 1)
    parts = [float(g.var(ddof=1)) / len(g) for g in (a, b)]
    total = sum(parts)
    if not total:
        return difference, 0.0, float(len(a) + len(b) - 2)
    return difference, math.sqrt(total), total**2 / sum(v**2 / (len(g) - 1) for v, g in zip(parts, (a, b), strict=True))
