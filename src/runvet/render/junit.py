"""JUnit XML: every rule on every stage is a test case, so that CI systems list what failed and what did not run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from runvet.render.numbers import exact
from runvet.render.words import place
from runvet.report import Finding, Report, Unchecked

# XML 1.0 can hold no other characters, not even escaped.
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WHOLE = "the whole run"


def render(reports: Sequence[Report], names: Mapping[str, str] | None = None) -> str:
    """One suite a run, valid against the schema of Jenkins: findings fail, what did not run is skipped with its reason.

    `names` gives the names of rules by code, which a report does not hold of those that passed.
    """
    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    suites = [(report, list(_cases(report, names or {}))) for report in reports]
    counts: Counter[str] = Counter()
    for _, cases in suites:
        counts.update(kind for kind, _ in cases)
    total = sum(counts.values())
    lines.append(
        f'<testsuites name="runvet" tests="{total}" failures="{counts["failure"]}" errors="{counts["error"]}">'
    )
    for report, cases in suites:
        mine = Counter(kind for kind, _ in cases)
        lines.append(
            f"  <testsuite name={quoted(report.path)} tests={quoted(str(len(cases)))} failures={quoted(str(mine['failure']))}"
            f" errors={quoted(str(mine['error']))} skipped={quoted(str(mine['skipped']))} time={quoted(_seconds(report))}>"
        )
        lines += ["    <properties>", *_properties(report), "    </properties>"]
        lines += [text for _, text in cases]
        lines.append("  </testsuite>")
    return "\n".join([*lines, "</testsuites>"]) + "\n"


def text(value: str) -> str:
    """The content of an element: escaped, characters that XML cannot hold replaced."""
    value = _ILLEGAL.sub("\ufffd", value)
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


def quoted(value: str) -> str:
    """An attribute's value with its quotes."""
    return '"' + text(value).replace('"', "&quot;").replace("\n", "&#10;").replace("\t", "&#9;") + '"'


def _seconds(report: Report) -> str:
    return f"{float(report.reading.get('seconds') or 0.0):.3f}"


def _properties(report: Report) -> Iterator[str]:
    told = {
        "verdict": report.verdict,
        "runvet": report.runvet,
        "checks ran": f"{report.checks.ran} of {report.checks.of}",
    }
    for name, value in told.items():
        yield f"      <property name={quoted(name)} value={quoted(value)}/>"


def _cases(report: Report, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(kind, XML) of every case: findings first, then crashes, what was not checked, and what passed."""
    by_rule: dict[tuple[str, str, str | None], list[Finding]] = {}
    for finding in report.findings:
        by_rule.setdefault((finding.rule, finding.name, finding.stage), []).append(finding)
    for (rule, name, stage), found in by_rule.items():
        inner = "".join(_failure(report, f) for f in found)
        yield "failure", _case(report, rule, name, stage, inner)
    for entry in report.checks.crashed:
        inner = f"<error type={quoted('crashed')} message={quoted(entry.why)}/>"
        yield "error", _case(report, entry.rule, entry.name, entry.stage, inner)
    for why, entries in (("not checked", report.checks.not_checked), ("left out", report.checks.ignored)):
        for entry in entries:
            yield "skipped", _skipped(report, entry, why)
    if report.verdict == "not judged":
        inner = f"<skipped>{text(report.why_not_judged or 'not judged')}</skipped>"
        yield "skipped", _case(report, "verdict", "", None, inner)
    for rule in report.checks.passed:
        yield "passed", _case(report, rule, names.get(rule, ""), None, "")


def _case(report: Report, rule: str, name: str, stage: str | None, inner: str) -> str:
    where = f"{report.path}.{stage}" if stage else report.path
    title = f"{rule} {name}".rstrip() + (f" [{stage or _WHOLE}]" if inner and rule != "verdict" else "")
    head = f"    <testcase name={quoted(title)} classname={quoted(where)}"
    return f"{head}>{inner}</testcase>" if inner else f"{head}/>"


def _failure(report: Report, finding: Finding) -> str:
    where = place(report, finding)
    lines = [finding.message, f"at {where.file}" + (f":{where.line}" if where.line else "")]
    if finding.since_step is not None:
        lines.append(f"visible since step {finding.since_step:g}")
    lines += [
        f"{m.what}: {exact(m.value)}" + (f" {m.unit}" if m.unit else "") + (f" ({m.where})" if m.where else "")
        for m in finding.evidence
    ]
    lines += [f"innocent if: {finding.innocent}"] if finding.innocent else []
    lines += [f"do: {a.do}" for a in finding.actions]
    return f"<failure type={quoted(finding.severity)} message={quoted(finding.message)}>{text(chr(10).join(lines))}</failure>"


def _skipped(report: Report, entry: Unchecked, why: str) -> str:
    reason = f"{why}: {entry.why}" + (f"; to unlock: {entry.unlock}" if entry.unlock else "")
    return _case(report, entry.rule, entry.name, entry.stage, f"<skipped>{text(reason)}</skipped>")
