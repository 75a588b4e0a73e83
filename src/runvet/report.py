"""The report: what runvet found, as one object that every renderer draws and `to_json` saves.

No input or output here, and no rule. The JSON contract is described in `docs/contract.md`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

from runvet import decode

SCHEMA_VERSION = 1

Level: TypeAlias = Literal["critical", "warning"]
Verdict: TypeAlias = Literal["critical", "suspect", "sound", "not judged"]
Kind: TypeAlias = Literal["stop", "keep", "separate", "repair", "change", "measure"]
Number: TypeAlias = int | float

VERDICTS: tuple[Verdict, ...] = ("critical", "suspect", "not judged", "sound")  # worst first
PACES = ("overall", "recent")  # numbers of a stage's `speed` (beside its unit) and `eta_s`
READING = ("files", "ignored", "points", "checkpoints", "seconds")  # numbers of `reading`
# The order in which one acts. `separate` is a cheap test that tells which of several remedies is the right one.
BACK = "what was trained since"  # the cost of going back to a checkpoint: a consequence does not ask for it again
KINDS: tuple[Kind, ...] = ("stop", "keep", "separate", "repair", "change", "measure")


@dataclass(frozen=True, slots=True)
class Measure:
    """One number (or word) of evidence: what it is, its value and unit, and the place it can be checked at."""

    what: str
    value: Number | str | None
    unit: str | None = None
    where: str | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do. `kind` orders actions across findings; `cost` says what it takes (`a restart`, `config`)."""

    do: str
    cost: str = ""
    kind: Kind = "change"


@dataclass(frozen=True, slots=True)
class Window:
    """The guilty part of one curve: series name and the interval on its axis."""

    series: str
    start: float
    end: float
    axis: str = "step"


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that fired on a stage (`stage` is None for the run as a whole)."""

    rule: str
    name: str
    severity: Level
    stage: str | None
    message: str
    evidence: tuple[Measure, ...] = ()
    since_step: float | None = None
    innocent: str = ""  # one harmless explanation that a person can rule out
    actions: tuple[Action, ...] = ()
    window: Window | None = None
    caused_by: str | None = None  # code of the finding that explains this one


@dataclass(frozen=True, slots=True)
class SeriesSummary:
    """Facts of one series; numbers are null where the series holds none that is finite."""

    name: str
    role: str | None
    points: int
    first: float | None
    last: float | None
    min: float | None
    max: float | None
    median: float | None
    direction: str | None = None
    non_finite: int = 0
    thinned: int = 1  # one of so many points was kept


@dataclass(frozen=True, slots=True)
class WindowSummary:
    """Mean and median of the lead curve between two steps; `start` is exclusive of `end`. None beyond all floats."""

    start: float
    end: float
    mean: float | None
    median: float | None


@dataclass(frozen=True, slots=True)
class Steps:
    """How far a stage came and how far it was to go, on its axis (step, epoch or point)."""

    first: Number | None = None
    last: Number | None = None
    planned: Number | None = None
    axis: str = "step"


@dataclass(frozen=True, slots=True)
class SampleRank:
    """The samples of one step: median distance to the data, its 90 % interval (None for fewer than four), how many."""

    step: float
    distance: float
    low: float | None
    high: float | None
    samples: int
    axis: str = "step"


@dataclass(frozen=True, slots=True)
class StageSummary:
    """Facts of one stage. `sparkline` holds up to 64 medians of the lead curve, for drawing.

    `samples` ranks the steps that have samples, those nearest to the data first.
    """

    name: str
    verdict: Verdict
    run: str = ""
    steps: Steps = Steps()
    lead: str | None = None
    windows: tuple[WindowSummary, ...] = ()
    series: tuple[SeriesSummary, ...] = ()
    speed: dict[str, Any] = field(default_factory=dict)
    eta_s: dict[str, Any] = field(default_factory=dict)
    sparkline: tuple[float, ...] = ()
    segments: int = 1
    sources: tuple[str, ...] = ()
    samples: tuple[SampleRank, ...] = ()


@dataclass(frozen=True, slots=True)
class Unchecked:
    """A rule that did not run on a stage: why, and what would let it run."""

    rule: str
    name: str
    stage: str | None
    why: str
    unlock: str = ""


@dataclass(frozen=True, slots=True)
class Checks:
    """The account of all rules: how many ran of those that could, and what became of the others."""

    ran: int = 0
    of: int = 0
    not_checked: tuple[Unchecked, ...] = ()
    not_applicable: tuple[Unchecked, ...] = ()
    crashed: tuple[Unchecked, ...] = ()
    passed: tuple[str, ...] = ()
    ignored: tuple[Unchecked, ...] = ()  # switched off by the configuration, with the reason given there


@dataclass(frozen=True, slots=True)
class PlannedAction:
    """One thing to do, with its place in the order and the codes of the findings that ask for it."""

    order: int
    do: str
    why: tuple[str, ...]
    cost: str = ""
    stage: str | None = None


@dataclass(frozen=True, slots=True)
class TrustedCheckpoint:
    """The checkpoint to go back to, and why this one."""

    path: str
    step: Number | None
    why: str


@dataclass(frozen=True, slots=True)
class ReadProblem:
    """Something that could not be read."""

    where: str
    why: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Trend:
    """Medians of a noisy curve over parts of `points` points each; `starts` as in `Curve`."""

    x: tuple[Number, ...]
    y: tuple[Number, ...]
    starts: tuple[int, ...] = (0,)
    points: int = 1


@dataclass(frozen=True, slots=True)
class Curve:
    """One metric as it is drawn: fewer points than were logged, with every extreme kept (see `curves.py`).

    `x` and `y` have equal length; a y of None is a gap (a value that was not finite). `starts` holds the index of the
    first point of each uninterrupted segment; x ascends within a segment and may step back from one to the next.
    `total` counts the logged points, of which one in `thinned` was kept while reading.
    """

    stage: str
    name: str
    role: str | None
    axis: str
    x: tuple[Number, ...]
    y: tuple[Number | None, ...]
    starts: tuple[int, ...] = (0,)
    total: int = 0
    thinned: int = 1
    trend: Trend | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """Something to look at, as numbers and thumbnails that a page draws; made by `runvet.figures`.

    `kind` says how it is drawn, `data` is plain JSON of that kind. `rules` are the codes of the findings of `stage`
    that it stands under, `note` says what was chosen or left out.
    """

    kind: str
    stage: str | None = None
    rules: tuple[str, ...] = ()
    title: str = ""
    note: str = ""
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """One verdict over one path. `curves` and `figures` are empty unless they were asked for."""

    runvet: str
    path: str
    verdict: Verdict
    stages: tuple[StageSummary, ...] = ()
    findings: tuple[Finding, ...] = ()
    actions: tuple[PlannedAction, ...] = ()
    trusted_checkpoint: TrustedCheckpoint | None = None
    checks: Checks = Checks()
    problems: tuple[ReadProblem, ...] = ()
    reading: dict[str, Any] = field(default_factory=dict)  # files, points, seconds
    why_not_judged: str = ""
    curves: tuple[Curve, ...] = ()
    figures: tuple[Figure, ...] = ()

    def _repr_html_(self) -> str:
        """The report in a notebook: verdict, findings and actions, without script."""
        from runvet.render import notebook

        return notebook.report(self)


def number(value: Any) -> Any:
    """A scalar as JSON can hold it: integral floats become integers, non-finite ones null, integers beyond 64 bit floats;
    names that are no Unicode (files are named in bytes) get question marks.
    """
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return float(value) if abs(value) <= sys.float_info.max else None
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        if value.is_integer() and abs(value) < 2**53:
            return int(value)
    return value


def to_dict(report: Report) -> dict[str, Any]:
    """The report as the JSON contract has it (schema version 1): plain values, null where unknown."""
    checks = report.checks
    told: dict[str, Any] = plain(
        {
            "schema_version": SCHEMA_VERSION,
            "runvet": report.runvet,
            "path": report.path,
            "verdict": report.verdict,
            "coverage": {"ran": checks.ran, "of": checks.of},
            "stages": [_stage(s) for s in report.stages],
            "findings": [_finding(f) for f in report.findings],
            "actions": [asdict(a) for a in report.actions],
            "trusted_checkpoint": asdict(report.trusted_checkpoint) if report.trusted_checkpoint else None,
            "checks": {
                name: [asdict(u) for u in getattr(checks, name)]
                for name in ("not_checked", "not_applicable", "crashed", "ignored")
            }
            | {"passed": list(checks.passed)},
            "problems": [asdict(p) for p in report.problems],
            "reading": report.reading,
            "why_not_judged": report.why_not_judged,
        }
    )
    if report.curves:
        told["curves"] = [plain(asdict(c)) for c in report.curves]
    if report.figures:
        told["figures"] = [plain(asdict(f)) for f in report.figures]
    return told


def from_dict(saved: Mapping[str, Any]) -> Report:
    """The report that `to_dict` saved. Unknown fields are left out; those with a default may be missing.

    Raises ValueError, which names the field, for another schema version, a missing field or a wrong type.
    """
    if not isinstance(saved, Mapping):
        raise ValueError(f"a saved result is an object, not {type(saved).__name__}")
    version = saved.get("schema_version")
    if version != SCHEMA_VERSION:
        told = "has no schema_version" if version is None else f"has schema_version {version!r}"
        raise ValueError(f"the saved result {told}; this runvet reads version {SCHEMA_VERSION}")
    coverage, checks = saved.get("coverage", {}), saved.get("checks", {})
    if not isinstance(coverage, Mapping) or not isinstance(checks, Mapping):
        raise ValueError("coverage and checks must be objects")
    return decode.record(
        Report,
        {
            **saved,
            "stages": [_saved_stage(s) for s in decode.items(saved, "stages")],
            "findings": [_saved_finding(f) for f in decode.items(saved, "findings")],
            "checks": {**checks, **coverage},
            "reading": decode.numbers(saved, "reading", READING),
        },
    )


def _saved_stage(stage: Mapping[str, Any]) -> dict[str, Any]:
    """A stage with its windows' `from` and `to` under the names that they have here."""
    windows = [{**w, "start": w.get("from"), "end": w.get("to")} for w in decode.items(stage, "windows")]
    speed, eta = decode.numbers(stage, "speed", PACES), decode.numbers(stage, "eta_s", PACES)
    if speed and not isinstance(speed.get("unit"), str):
        raise ValueError("speed.unit must be str")
    return {**stage, "windows": windows, "speed": {**dict.fromkeys(PACES), **speed} if speed else {}, "eta_s": eta}


def _saved_finding(finding: Mapping[str, Any]) -> dict[str, Any]:
    """A finding with actions, costs and kinds joined again."""
    does = finding.get("actions", [])
    costs, kinds = finding.get("action_costs", []), finding.get("action_kinds", [])
    if not all(isinstance(part, list) for part in (does, costs, kinds)):
        raise ValueError("actions, action_costs and action_kinds of a finding must be lists")
    actions: list[dict[str, Any]] = [{"do": do} for do in does]
    for name, values in (("cost", costs), ("kind", kinds)):
        for action, value in zip(actions, values, strict=False):
            action[name] = value
    return {**finding, "actions": actions}


def _stage(stage: StageSummary) -> dict[str, Any]:
    windows = [{"from": w.start, "to": w.end, "mean": w.mean, "median": w.median} for w in stage.windows]
    return {**asdict(stage), "windows": windows, "sparkline": [v for v in stage.sparkline if math.isfinite(v)]}


def _finding(finding: Finding) -> dict[str, Any]:
    plain = asdict(finding)
    for measure in plain["evidence"]:  # a value that is not a number is what the evidence says, not unknown
        measure["value"] = _told(measure["value"])
    return {
        **plain,
        "actions": [a.do for a in finding.actions],
        "action_costs": [a.cost for a in finding.actions],
        "action_kinds": [a.kind for a in finding.actions],
    }


def _told(value: Number | str | None) -> Number | str | None:
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def plain(value: Any) -> Any:
    """Nested lists, tuples and dictionaries as JSON can hold them (see `number`), their keys included."""
    if isinstance(value, dict):
        return {number(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return number(value)
