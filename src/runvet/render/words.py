"""What every renderer for people says in the same words: the verdict's sentence, what was not checked, places."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from runvet.report import VERDICTS, Finding, Report, StageSummary, Unchecked, Verdict

_PLACE = re.compile(r"(?s)(.+):(\d+)")
# Files whose "line" is the number of a record: an editor can't jump there.
_BINARY = frozenset({".db", ".wandb", ".sqlite", ".sqlite3", ".swanlab", ".gz", ".zst"})


class Place(NamedTuple):
    """A file as seen from where runvet was started, and the 1-based line in it (None: unknown, or not a text)."""

    file: str
    line: int | None


def sentence(report: Report) -> str:
    """Which stages can't be trusted, in words."""
    if report.verdict == "not judged":
        return report.why_not_judged + "."
    by_verdict: dict[str, list[str]] = defaultdict(list)
    for stage in report.stages:
        by_verdict[stage.verdict].append(stage.name)
    parts = []
    if bad := by_verdict["critical"]:
        parts.append(f"{listed(bad)} cannot be trusted")
    elif report.verdict == "critical":
        parts.append("the run cannot be trusted")
    if doubtful := by_verdict["suspect"]:
        parts.append(f"{listed(doubtful)}: look before you trust it")
    elif report.verdict == "suspect":
        parts.append("look before you trust it")
    if sound := by_verdict["sound"]:
        parts.append(f"nothing found against {listed(sound)}")
    if silent := by_verdict["not judged"]:
        parts.append(f"{listed(silent)} could not be judged")
    return "; ".join(parts) + "."


def listed(names: list[str]) -> str:
    """`a`, `a and b`, `a, b, c and 4 more`."""
    shown = names if len(names) <= 4 else [*names[:3], f"{len(names) - 3} more"]
    return shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + " and " + shown[-1]


def ordered(report: Report) -> list[StageSummary]:
    """The stages, worst first."""
    return sorted(report.stages, key=lambda s: VERDICTS.index(s.verdict))


def rank(report: Report) -> tuple[int, int, int]:
    """Worst first: by verdict, then by the number of critical findings, then of all."""
    critical = sum(f.severity == "critical" for f in report.findings)
    return VERDICTS.index(report.verdict), -critical, -len(report.findings)


def counts(reports: Sequence[Report]) -> list[tuple[Verdict, int]]:
    """How many runs have each verdict that occurs, worst first."""
    told = [(v, sum(r.verdict == v for r in reports)) for v in VERDICTS]
    return [(v, n) for v, n in told if n]


def gaps(report: Report, *, every: bool = False) -> list[tuple[str, str, list[Unchecked]]]:
    """What was not checked, folded by reason and remedy, largest first: (why, unlock, entries).

    A rule that ran on another stage is left out unless `every`.
    """
    folded: dict[tuple[str, str], list[Unchecked]] = defaultdict(list)
    ran = set(report.checks.passed) | {f.rule for f in report.findings}
    for entry in report.checks.not_checked:
        if entry.rule not in ran or every:
            folded[entry.why, entry.unlock].append(entry)
    rows = sorted(folded.items(), key=lambda item: -len({e.rule for e in item[1]}))
    return [(why, unlock, entries) for (why, unlock), entries in rows]


def place(report: Report, finding: Finding) -> Place:
    """Where a person looks first: the first evidence with a line of a text, else the stage's first file, else the path."""
    sources = [source for stage in report.stages if finding.stage in (None, stage.name) for source in stage.sources]
    lines = [(m[1], int(m[2])) for m in (_PLACE.fullmatch(e.where or "") for e in finding.evidence) if m is not None]
    places = [_seen(report, source, line) for source, line in lines]
    if places:
        return next((p for p in places if p.line), places[0])
    named = next((m.where for m in finding.evidence if m.where in sources), None)
    first = named or (sources[0] if sources else None)
    return _seen(report, first, None) if first is not None else Place(_posix(report.path), None)


def _seen(report: Report, source: str, line: int | None) -> Place:
    """A source of the report, which is relative to the report's path, from where runvet was started."""
    path = _posix(report.path)
    binary = ".tfevents." in source or PurePosixPath(source).suffix.lower() in _BINARY
    # The path of a run may be its only file; a source within a folder never has the folder's own name alone.
    alone = PurePosixPath(path).name == source and all(s == source for stage in report.stages for s in stage.sources)
    file = path if alone or path == "-" else source if path in ("", ".") else f"{path.rstrip('/')}/{source}"
    return Place(file, line if line and not binary else None)


def _posix(path: str) -> str:
    return re.sub(r"^(?:\./)+", "", path.replace("\\", "/")) or "."
