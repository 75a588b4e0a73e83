"""The report as GitHub Markdown: for a comment on a pull request, a job summary, an issue."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from runvet.render.numbers import duration, exact, plural, short
from runvet.render.words import counts, gaps, ordered, rank, sentence
from runvet.report import Finding, Report, StageSummary

FEW = 3  # up to so many runs need no table
MOST = 30  # rows of the table of findings
MOST_STAGES = 20
MOST_TEXT = 600  # characters of one text from the run
SIGNS = {"critical": "🔴", "suspect": "🟠", "warning": "🟠", "sound": "🟢", "not judged": "⚪"}
# Names and lines of a run may hold anything: characters with a meaning in Markdown or HTML stand for themselves.
_SPECIAL = re.compile(r"[\\`*_{}\[\]#|~$]|^[+-]")
_APART = "\u200b"  # keeps `@name`, `#12` and addresses from becoming mentions and links


def render(reports: Sequence[Report]) -> str:
    """One section a run, worst findings first; evidence and what was not checked are folded.

    Of more than three runs a table stands first, worst first, and sound ones have no section of their own.
    """
    several = len(reports) > FEW
    parts = ["\n".join(_overview(sorted(reports, key=rank)))] if several else []
    parts += ["\n".join(_report(r)) for r in reports if not several or r.verdict != "sound"]
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _overview(reports: Sequence[Report]) -> Iterator[str]:
    yield f"## runvet: {plural(len(reports), 'run')}, {', '.join(f'{n} {v}' for v, n in counts(reports))}"
    yield ""
    yield "| | Run | Worst finding | Findings |"
    yield "|---|---|---|---|"
    for r in reports:
        told = f"`{_code(r.findings[0].rule)}` {escape(r.findings[0].name)}" if r.findings else escape(r.why_not_judged)
        yield f"| {SIGNS[r.verdict]} {r.verdict} | {escape(r.path)} | {told} | {len(r.findings) or ''} |"
    yield ""


def escape(text: str) -> str:
    """Text that Markdown shows as it is: no markup, no HTML, no mention, no link, in one line."""
    text = text[:MOST_TEXT] + ("…" if len(text) > MOST_TEXT else "")
    text = "".join(c if c.isprintable() else " " if c in "\n\r\t" else "\ufffd" for c in text)
    text = re.sub(r"@(?=\w)|#(?=\d)|:(?=//)|\bwww(?=\.)|\b[A-Z]{2,}-(?=\d)", lambda m: m[0] + _APART, text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(lambda m: "\\" + m[0], text)


def _report(report: Report) -> Iterator[str]:
    yield f"## {SIGNS[report.verdict]} runvet: {report.verdict} — {escape(report.path)}"
    yield ""
    coverage = f"{report.checks.ran} of {report.checks.of} checks ran"
    crashed = len({c.rule for c in report.checks.crashed})
    yield f"**{escape(sentence(report))}** {coverage}{f', {crashed} crashed' if crashed else ''}."
    yield ""
    yield from _stages(report)
    yield from _findings(report)
    yield from _actions(report)
    yield from _evidence(report)
    yield from _unchecked(report)


def _stages(report: Report) -> Iterator[str]:
    if not report.stages:
        return
    yield "| Stage | Verdict | Progress | Curve | Speed |"
    yield "|---|---|---|---|---|"
    for stage in ordered(report)[:MOST_STAGES]:
        cells = (
            escape(stage.name),
            f"{SIGNS[stage.verdict]} {stage.verdict}",
            _progress(stage),
            _curve(stage),
            _speed(stage),
        )
        yield "| " + " | ".join(cells) + " |"
    if len(report.stages) > MOST_STAGES:
        yield ""
        yield f"… {len(report.stages) - MOST_STAGES} more stages."
    yield ""


def _progress(stage: StageSummary) -> str:
    steps = stage.steps
    if steps.last is None:
        return ""
    return f"{steps.axis} {short(steps.last)}" + (f" of {short(steps.planned)}" if steps.planned else "")


def _curve(stage: StageSummary) -> str:
    lead = next((s for s in stage.series if s.name == stage.lead), None)
    return "" if lead is None else f"{escape(lead.name)} {exact(lead.first)} → {exact(lead.last)}"


def _speed(stage: StageSummary) -> str:
    if not stage.speed.get("overall"):
        return ""
    left = stage.eta_s.get("recent") or stage.eta_s.get("overall")
    return f"{short(stage.speed['overall'])} {escape(str(stage.speed.get('unit', '')))}" + (
        f", {duration(left)} to go" if left else ""
    )


def _findings(report: Report) -> Iterator[str]:
    if not report.findings:
        return
    several = len(report.stages) > 1
    yield "| | Finding |" + (" Stage |" if several else "") + " What was found | Since |"
    yield "|---|---|" + ("---|" if several else "") + "---|---|"
    for f in report.findings[:MOST]:
        since = f"step {short(f.since_step)}" if f.since_step is not None else ""
        caused = f" (explained by {escape(f.caused_by)})" if f.caused_by else ""
        stage = f" {escape(f.stage or 'the whole run')} |" if several else ""
        yield f"| {SIGNS[f.severity]} {f.severity} | `{_code(f.rule)}` {escape(f.name)} |{stage} {escape(f.message)}{caused} | {since} |"
    if len(report.findings) > MOST:
        yield ""
        yield f"… {len(report.findings) - MOST} more findings."
    yield ""


def _code(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "", text)


def _actions(report: Report) -> Iterator[str]:
    if report.actions:
        yield "**Do this, in this order**"
        yield ""
        for action in report.actions[:10]:
            cost = f" *({escape(action.cost)})*" if action.cost else ""
            yield f"{action.order}. {escape(action.do)}{cost} — {', '.join(f'`{_code(w)}`' for w in action.why)}"
        yield ""
    if report.trusted_checkpoint is not None:
        yield f"**Trusted checkpoint:** {escape(report.trusted_checkpoint.path)} ({escape(report.trusted_checkpoint.why)})"
        yield ""


def _evidence(report: Report) -> Iterator[str]:
    told = [f for f in report.findings[:MOST] if f.evidence or f.innocent]
    if not told:
        return
    yield f"<details><summary>Evidence of {plural(len(told), 'finding')}</summary>"
    yield ""
    for f in told:
        yield from _numbers(f)
    yield "</details>"
    yield ""


def _numbers(finding: Finding) -> Iterator[str]:
    yield f"**`{_code(finding.rule)}` {escape(finding.name)}**{f' in {escape(finding.stage)}' if finding.stage else ''}"
    yield ""
    for m in finding.evidence:
        unit = f" {escape(m.unit)}" if m.unit else ""
        where = f" ({escape(m.where)})" if m.where else ""
        yield f"- {escape(m.what)}: {escape(exact(m.value))}{unit}{where}"
    if finding.innocent:
        yield f"- Innocent if: {escape(finding.innocent)}"
    yield ""


def _unchecked(report: Report) -> Iterator[str]:
    rows = gaps(report)
    if not rows and not report.problems and not report.checks.crashed and not report.checks.ignored:
        return
    count = len({e.rule for _, _, entries in rows for e in entries})
    yield f"<details><summary>Not checked ({plural(count, 'check')}), and why</summary>"
    yield ""
    for why, unlock, entries in rows:
        names = ", ".join(f"`{_code(code)}`" for code in sorted({e.rule for e in entries}))
        yield f"- {escape(why)}{f': {escape(unlock)}' if unlock else ''} ({names})"
    for crash in report.checks.crashed:
        yield f"- crashed: `{_code(crash.rule)}` {escape(crash.name)}: {escape(crash.why)} (a fault of runvet: please report it)"
    for left in report.checks.ignored:
        yield f"- left out: `{_code(left.rule)}`: {escape(left.why)}"
    for problem in report.problems[:20]:
        yield f"- could not be read: {escape(problem.where)}: {escape(problem.why)}"
    yield ""
    yield "</details>"
    yield ""
