"""How one run differs from another: configuration, curves beyond their noise, speed, findings. Pure, on runs.

`compare_settings.py`, `compare_curves.py` and `compare_overlay.py` hold the parts; `compare_seeds.py` tells what
repeated runs of one configuration say together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from runvet.compare_curves import CurveDifference, curve, differences, weight
from runvet.compare_overlay import Overlay, overlays
from runvet.compare_seeds import SeedEffect, seed_effects
from runvet.compare_settings import SettingDifference, settings_of
from runvet.joining import key
from runvet.report import Finding, Report, StageSummary, plain
from runvet.run import Run, Stage

__all__ = [
    "Comparison",
    "CurveDifference",
    "Overlay",
    "SeedEffect",
    "SettingDifference",
    "compare",
    "curve",
    "overlays",
    "repeats",
    "settings_of",
    "to_dict",
]

SCHEMA_VERSION = 1


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
    overlays: tuple[Overlay, ...] = ()  # what is drawn, where it was asked for


def compare(base: Run, other: Run, base_report: Report, other_report: Report, *, draw: int | None = None) -> Comparison:
    """Everything that differs between two runs that were read and judged.

    `draw` keeps the curves of both, so that they can be drawn: in how many points in all.
    """
    pairs, unpaired = _pairs(base, other)
    settings, same = settings_of(base, other)
    curves = sorted((c for a, b in pairs for c in differences(a, b)), key=lambda c: weight(c.role))
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
        tuple(curves),
        tuple(_speeds(pairs, base_report, other_report)),
        tuple(_told(f) for k, f in mine.items() if k not in theirs),
        tuple(_told(f) for k, f in theirs.items() if k not in mine),
        unpaired,
        overlays(pairs, curves, draw) if draw else (),
    )


def repeats(base: Run, others: Sequence[Run]) -> tuple[SeedEffect, ...]:
    """What runs that differ in their seeds only say of each other configuration, the base's first."""
    return seed_effects(base, others, lambda a, b: _pairs(a, b)[0])


def to_dict(comparisons: Sequence[Comparison], seeds: Sequence[SeedEffect] = ()) -> dict[str, Any]:
    """The comparisons as plain values, null where unknown. Drawn curves are there only where they were kept."""
    told = [plain(asdict(c)) for c in comparisons]
    for one in told:
        if not one["overlays"]:
            del one["overlays"]
    return {"schema_version": SCHEMA_VERSION, "comparisons": told, "repeats": [plain(asdict(s)) for s in seeds]}


# -- stages ----------------------------------------------------------------------------------------------------------


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
