"""SARIF 2.1.0: findings for code-scanning services and editors."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import orjson

from runvet.render.numbers import exact
from runvet.render.words import place
from runvet.report import Finding, Report, plain

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS = {"critical": "error", "warning": "warning"}


def render(reports: Sequence[Report], pages: Mapping[str, str] | None = None) -> str:
    """One SARIF run for each report. `pages` are the rules' pages in Markdown by code, shown as their help."""
    runs = [_run(report, pages or {}) for report in reports]
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": runs}
    return orjson.dumps(plain(log), option=orjson.OPT_INDENT_2).decode() + "\n"


def _run(report: Report, pages: Mapping[str, str]) -> dict[str, Any]:
    # A rule's own level is not in a report: the worst that it gave here stands for it.
    found: dict[str, Finding] = {}
    for finding in report.findings:
        known = found.get(finding.rule)
        if known is None or (known.severity == "warning" and finding.severity == "critical"):
            found[finding.rule] = finding
    order = {code: i for i, code in enumerate(sorted(found))}
    notes = [_note(f"{p.where}: {p.why}", "warning") for p in report.problems]
    notes += [_note(f"{c.rule} {c.name} crashed: {c.why}", "error") for c in report.checks.crashed]
    if report.verdict == "not judged":
        notes.append(_note(f"not judged: {report.why_not_judged}", "warning"))
    return {
        "tool": {
            "driver": {
                "name": "runvet",
                "version": report.runvet,
                "rules": [_rule(found[code], pages) for code in order],
            }
        },
        "automationDetails": {"id": f"runvet/{_uri(report.path)}/"},
        "invocations": [{"executionSuccessful": not report.checks.crashed, "toolExecutionNotifications": notes}],
        "results": [_result(report, f, order[f.rule]) for f in report.findings],
        "columnKind": "unicodeCodePoints",
        "properties": {"verdict": report.verdict, "coverage": {"ran": report.checks.ran, "of": report.checks.of}},
    }


def _note(message: str, level: str) -> dict[str, Any]:
    return {"message": {"text": message}, "level": level}


def _rule(finding: Finding, pages: Mapping[str, str]) -> dict[str, Any]:
    page = pages.get(finding.rule, "")
    summary = next(
        (line.strip("* ") for line in page.splitlines() if line.startswith("**")), finding.name.replace("-", " ")
    )
    told = f"`runvet explain {finding.rule}` shows this rule's page."
    return {
        "id": finding.rule,
        "name": "".join(word.capitalize() for word in finding.name.split("-")),
        "shortDescription": {"text": summary},
        "help": {"text": page or told, "markdown": page or told},
        "defaultConfiguration": {"level": LEVELS[finding.severity]},
        "properties": {"tags": ["training-run", finding.rule.rstrip("0123456789")]},
    }


def _result(report: Report, finding: Finding, index: int) -> dict[str, Any]:
    where = place(report, finding)
    region = {"region": {"startLine": where.line}} if where.line else {}
    logical = [{"name": finding.stage, "kind": "module"}] if finding.stage else []
    lines = [finding.message]
    if finding.since_step is not None:
        lines.append(f"Visible since step {finding.since_step:g}.")
    lines += [f"{m.what}: {exact(m.value)}" + (f" {m.unit}" if m.unit else "") for m in finding.evidence[:6]]
    lines += [f"Do: {a.do}" for a in finding.actions[:3]]
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "kind": "fail",
        "level": LEVELS[finding.severity],
        "message": {"text": "\n".join(lines)},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": _uri(where.file)}, **region}}],
        "partialFingerprints": {"runvet/v1": fingerprint(report, finding)},
        "properties": {"stage": finding.stage, "since_step": finding.since_step, "caused_by": finding.caused_by},
    }
    if logical:
        result["locations"][0]["logicalLocations"] = logical
    return result


def fingerprint(report: Report, finding: Finding) -> str:
    """What makes a finding the same one when the run is judged again: rule, stage and curve, but no number of it."""
    stage = next((s for s in report.stages if s.name == finding.stage), None)
    curve = finding.window.series if finding.window else stage.lead if stage else None
    told = "\0".join((finding.rule, finding.stage or "", curve or ""))
    return hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()[:32]


def _uri(path: str) -> str:
    """A path as a relative (or, when absolute, file) URI reference."""
    told = quote(path.encode("utf-8", "replace"), safe="/")
    return f"file://{told}" if told.startswith("/") else told
