"""Workflow commands of GitHub Actions: annotations on the files of a run, worst first, at most ten."""

from __future__ import annotations

from collections.abc import Sequence

from runvet.render.words import place
from runvet.report import Report

MOST = 10  # GitHub shows ten annotations of each kind from one step
_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A", ":": "%3A", ",": "%2C"})


def render(reports: Sequence[Report]) -> str:
    """`::error file=…,line=…,title=…::message` for each finding, then a notice with the verdict of each run."""
    found = [(f, r) for r in reports for f in r.findings]
    found.sort(key=lambda pair: (pair[0].severity != "critical", pair[0].caused_by is not None))
    lines = []
    for finding, report in found[:MOST]:
        where = place(report, finding)
        since = f" (since step {finding.since_step:g})" if finding.since_step is not None else ""
        stage = f"{finding.stage}: " if finding.stage else ""
        line = {"line": str(where.line)} if where.line else {}
        lines.append(
            command(
                "error" if finding.severity == "critical" else "warning",
                f"{stage}{finding.message}{since}",
                {"file": where.file, **line, "title": f"runvet {finding.rule} {finding.name}"},
            )
        )
    rest = f", {len(found) - MOST} of {len(found)} findings are not annotated" if len(found) > MOST else ""
    for report in reports:
        text = f"{report.path}: {report.verdict}, {report.checks.ran} of {report.checks.of} checks ran{rest}"
        lines.append(command("notice", text, {"title": f"runvet: {report.verdict}"}))
    return "\n".join(lines) + "\n"


def command(kind: str, message: str, properties: dict[str, str]) -> str:
    """One workflow command in one line; nothing in it can end the command or begin another."""
    told = ",".join(f"{key}={_clean(value).translate(_PROPERTY)}" for key, value in properties.items())
    return f"::{kind} {told}::{_clean(message).translate(_DATA)}"


def _clean(text: str) -> str:
    """Without control characters; other separators of lines, which a log viewer may honour, become spaces."""
    return "".join(
        c if c.isprintable() or c in "\r\n" else " " if c in "\u2028\u2029\x85\t\v\f" else "\ufffd" for c in text
    )
