"""How one run differs from another: configuration, curves beyond their noise, speed, findings. Pure, on runs.

Curves are compared at equal steps, over the last quarter of the steps that both have: medians of equal bins (the
points themselves, where there are few), the mean of their differences and its standard error. That error holds the
noise within each run; what another seed would change is not in it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from runvet import statistics
from runvet.joining import key
from runvet.report import Finding, Report, StageSummary, plain
from runvet.run import FloatArray, Plain, Run, Series, Stage

Outcome: TypeAlias = Literal["better", "worse", "no difference", "too few points"]

SCHEMA_VERSION = 1
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

_NOISE_KEY = re.compile(
    r"(?i)(?:^|[._-])(?:path|paths|dir|dirs|directory|folder|file|filename|root|home|cwd|date|time|timestamp|datetime|created|host|hostname"
    r"|node|user|username|pid|port|uuid|id|run_id|run_name|exp_name|experiment|experiment_name|project|entity|group|tags?|notes?|url|uri"
    r"|master_addr|master_port|logdir|log_dir|output|outdir|save|device|argv|command)$|(?:path|_dir|_file|_name|_at)$"
)
_NOISE_VALUE = re.compile(
    r"^(?:[\w.~$-]*[/\\][\w./\\ ~$-]+|\d{4}-\d\d-\d\d.*|\d{8}[-_]\d{4,6}|[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{32,64})$",
    re.I,
)


@dataclass(frozen=True, slots=True)
class SettingDifference:
    """A key whose value differs; None with `missing` where one run does not have it. `noise`: a path, date or name."""

    key: str
    base: Plain
    other: Plain
    missing: Literal["", "base", "other"] = ""
    noise: bool = False


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


@dataclass(frozen=True, slots=True)
class SpeedDifference:
    """Speed of a stage in both runs, overall."""

    stage: str
    base: float
    other: float
    unit: str
    ratio: float


@dataclass(frozen=True, slots=True)
class FindingDifference:
    """A finding that only one of the runs has (or at another severity)."""

    rule: str
    name: str
    severity: str
    stage: str | None
    message: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """One run against the base."""

    base: str
    other: str
    base_verdict: str
    other_verdict: str
    settings: tuple[SettingDifference, ...]
    same_settings: int
    curves: tuple[CurveDifference, ...]
    speed: tuple[SpeedDifference, ...]
    only_base: tuple[FindingDifference, ...]
    only_other: tuple[FindingDifference, ...]
    unpaired: tuple[str, ...] = ()  # stages that only one of the runs has


def compare(base: Run, other: Run, base_report: Report, other_report: Report) -> Comparison:
    """Everything that differs between two runs that were read and judged."""
    pairs, unpaired = _pairs(base, other)
    settings, same = settings_of(base, other)
    curves = [c for a, b in pairs for c in _curves(a, b)]
    names = {b.name: a.name for a, b in pairs}  # stages of the other run under the base's names
    mine = {(f.rule, f.stage, f.severity): f for f in base_report.findings}
    theirs = {(f.rule, names.get(f.stage or "", f.stage), f.severity): f for f in other_report.findings}
    return Comparison(
        base.path,
        other.path,
        base_report.verdict,
        other_report.verdict,
        settings,
        same,
        tuple(sorted(curves, key=lambda c: _weight(c.role))),
        tuple(_speeds(pairs, base_report, other_report)),
        tuple(_told(f) for k, f in mine.items() if k not in theirs),
        tuple(_told(f) for k, f in theirs.items() if k not in mine),
        unpaired,
    )


def to_dict(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """The comparisons as plain values, null where unknown."""
    return {"schema_version": SCHEMA_VERSION, "comparisons": [plain(asdict(c)) for c in comparisons]}


# -- stages and settings ---------------------------------------------------------------------------------------------


def _pairs(base: Run, other: Run) -> tuple[list[tuple[Stage, Stage]], tuple[str, ...]]:
    """Stages that belong together: of one name, else the only ones, else those with most metrics in common."""
    left, pairs = list(other.stages), []
    lonely = []
    for stage in base.stages:
        twin = next((s for s in left if s.name == stage.name), None)
        if twin is None:
            lonely.append(stage)
        else:
            left.remove(twin)
            pairs.append((stage, twin))
    unpaired = []
    for stage in lonely:
        names = {key(s.name) for s in stage.series}
        twin = max(left, key=lambda s: len(names & {key(x.name) for x in s.series}), default=None)
        if twin is None or not (
            names & {key(x.name) for x in twin.series} or (len(base.stages) == len(other.stages) == 1)
        ):
            unpaired.append(stage.name)
            continue
        left.remove(twin)
        pairs.append((stage, twin))
    return pairs, (*unpaired, *(s.name for s in left))


def settings_of(base: Run, other: Run) -> tuple[tuple[SettingDifference, ...], int]:
    """The settings that differ, those that matter first, and how many are the same."""
    mine, theirs = _settings(base), _settings(other)
    out, same = [], 0
    for name in dict.fromkeys((*mine, *theirs)):
        a, b = mine.get(name), theirs.get(name)
        if name in mine and name in theirs and a == b:
            same += 1
            continue
        missing: Literal["", "base", "other"] = (
            "" if name in mine and name in theirs else "base" if name in theirs else "other"
        )
        told = [v for v in (a, b) if v is not None]
        odd = bool(told) and all(isinstance(v, str) and _NOISE_VALUE.match(v) for v in told)
        out.append(SettingDifference(name, a, b, missing, bool(_NOISE_KEY.search(name)) or odd))
    return tuple(sorted(out, key=lambda d: (d.noise, bool(d.missing)))), same


def _settings(run: Run) -> Mapping[str, Plain]:
    """Every setting by its key; of several stages with different values, under the stage's name."""
    found: dict[str, Plain] = {}
    for stage in run.stages:
        for setting in stage.settings:
            name = setting.key
            if name in found and found[name] != setting.value:
                name = f"{stage.name}: {name}" if len(run.stages) > 1 else name
            found.setdefault(name, setting.value)
    for setting in run.settings:
        found.setdefault(setting.key, setting.value)
    return found


# -- curves ----------------------------------------------------------------------------------------------------------


def _weight(role: str | None) -> int:
    """Validation before training, losses before the rest."""
    order = ("val_loss", "val_", "test_", "train_loss", "train_")
    return next((i for i, start in enumerate(order) if (role or "").startswith(start)), len(order))


def _curves(base: Stage, other: Stage) -> list[CurveDifference]:
    by_name = {key(s.name): s for s in other.series}
    out = []
    for a in base.series:
        b = by_name.get(key(a.name))
        if b is None and a.role is not None and len(base.role(a.role)) == len(other.role(a.role)) == 1:
            b = other.role(a.role)[0]
        if b is not None and a.direction is not None and a.role not in TIMES and len(a) > 1 and len(b) > 1:
            out.append(curve(a, b, base.name))
    return out


def curve(base: Series, other: Series, stage: str = "") -> CurveDifference:
    """Whether a metric is better in the other run, beyond the noise of both. `base.direction` must be known."""
    direction = base.direction or "down"
    told = CurveDifference(base.name, stage, base.role, direction, "too few points")
    if base.axis != other.axis or base.axis == "point":
        axis, a, b = "point", _points(base, by_index=True), _points(other, by_index=True)
    else:
        axis, a, b = base.axis, _points(base), _points(other)
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


def _points(series: Series, *, by_index: bool = False) -> tuple[FloatArray, FloatArray]:
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


# -- speed and findings ----------------------------------------------------------------------------------------------


def _speeds(pairs: Sequence[tuple[Stage, Stage]], base: Report, other: Report) -> list[SpeedDifference]:
    out = []
    for a, b in pairs:
        mine, theirs = _summary(base, a), _summary(other, b)
        if mine is None or theirs is None or mine.speed.get("unit") != theirs.speed.get("unit"):
            continue
        x, y = mine.speed.get("overall"), theirs.speed.get("overall")
        if x and y:
            out.append(SpeedDifference(a.name, float(x), float(y), str(mine.speed["unit"]), float(y) / float(x)))
    return out


def _summary(report: Report, stage: Stage) -> StageSummary | None:
    return next((s for s in report.stages if s.name == stage.name), None)


def _told(finding: Finding) -> FindingDifference:
    return FindingDifference(finding.rule, finding.name, finding.severity, finding.stage, finding.message)
