"""The report for a terminal: verdict and coverage, stages with findings worst first, actions, what is unknown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from runvet.render.numbers import duration, exact, plural, short
from runvet.render.terminal import Terminal
from runvet.render.words import gaps, ordered, sentence
from runvet.report import Finding, Report, SampleRank, StageSummary
from runvet.run import Run

MOST = 10  # findings drawn in full; the rest are counted
MOST_EVIDENCE = 6  # numbers drawn of one finding
INDENT = 12


def render(report: Report, terminal: Terminal | None = None, *, verbose: bool = False, run: Run | None = None) -> str:
    """The report as text. `run` gives the lists of files that `verbose` asks for."""
    t = terminal or Terminal()
    report = _nearer(report)
    lines = [*_head(report, t), ""]
    drawn = 0
    for stage in ordered(report):
        causes = [f for f in report.findings if f.stage == stage.name and f.caused_by is None][: max(MOST - drawn, 1)]
        told = _findings(causes, report.findings, t, stage)
        lines += [*_stage(stage, t, alone=len(report.stages) == 1), *told, ""]
        drawn += len(causes)
    whole = [f for f in report.findings if f.stage is None and f.caused_by is None][:MOST]
    if whole:
        lines += [t.paint("the whole run", "bold"), *_findings(whole, report.findings, t), ""]
    more = sum(f.caused_by is None for f in report.findings) - drawn - len(whole)
    if more > 0:
        lines += [f"  … {more} more findings: --format json or --format concise lists them all", ""]
    lines += _actions(report, t)
    if report.trusted_checkpoint:
        trusted = report.trusted_checkpoint
        lines += [*t.wrap(f"Trusted checkpoint: {trusted.path} ({trusted.why})", indent=2, first=""), ""]
    lines += _unchecked(report, t, verbose=verbose)
    lines += _problems(report, t)
    if verbose:
        lines += _files(report, run, t)
    return t.fit("\n".join(lines).rstrip() + "\n")


def _nearer(report: Report) -> Report:
    """Where one file is all there is, its lines need no file name."""
    sources = {source for stage in report.stages for source in stage.sources}
    if len(sources) != 1 or report.reading.get("files") != 1:
        return report
    name = next(iter(sources)) + ":"

    def near(finding: Finding) -> Finding:
        evidence = tuple(
            replace(m, where=m.where.replace(name, "line ") if m.where else m.where) for m in finding.evidence
        )
        return replace(finding, message=finding.message.replace(name, "line "), evidence=evidence)

    actions = tuple(replace(a, do=a.do.replace(name, "line ")) for a in report.actions)
    unchecked = tuple(replace(u, why=u.why.replace(name, "line ")) for u in report.checks.not_checked)
    checks = replace(report.checks, not_checked=unchecked)
    return replace(report, findings=tuple(map(near, report.findings)), actions=actions, checks=checks)


def _head(report: Report, t: Terminal) -> Iterator[str]:
    points, seconds = report.reading.get("points", 0), report.reading.get("seconds")
    facts = [
        f"runvet {report.runvet}",
        report.path,
        plural(len(report.stages), "stage"),
        plural(points, "point"),
        plural(report.reading.get("files", 0), "file"),
    ]
    if seconds is not None:
        facts.append(f"read in {seconds:.1f} s")
    yield from t.wrap("   ".join(facts), indent=2, first="")
    yield ""
    word = t.paint(t.plain(report.verdict.upper()), report.verdict)
    room = " " * max(1, INDENT - len(report.verdict))
    coverage = f"{report.checks.ran} of {report.checks.of} checks ran"
    if report.checks.crashed:
        coverage += f", {len({c.rule for c in report.checks.crashed})} crashed"
    first, *rest = t.wrap(f"{sentence(report)} {coverage}.", indent=INDENT)
    yield word + room + first[INDENT:]
    yield from rest


def _stage(stage: StageSummary, t: Terminal, *, alone: bool) -> Iterator[str]:
    steps = stage.steps
    where = (
        f"{steps.axis} {short(steps.last)}" + (f" of {short(steps.planned)}" if steps.planned else "")
        if steps.last is not None
        else ""
    )
    lead = next((s for s in stage.series if s.name == stage.lead), None)
    curve = ""
    if lead is not None:
        curve = f"{lead.name} {exact(lead.first)} {'→' if t.unicode else '->'} {exact(lead.last)} (min {exact(lead.min)}, median {exact(lead.median)})"
    label = "" if alone else t.paint(t.plain(stage.name), "bold") + "  "
    yield label + t.plain("    ".join(p for p in (where, curve) if p))[: t.width]
    yield from (f"    {t.plain(text)}"[: t.width] for text in _held_out(stage, t))
    spark = t.spark(stage.sparkline, 32)
    if spark:
        told = _means(stage, t.width - 4 - len(spark) - 3)
        yield "    " + spark + (f"   {told}" if told else "")
    if stage.speed:
        yield "    " + _speed(stage)[: t.width - 4]
    if stage.samples:
        yield from t.wrap(samples(stage), indent=4)


def samples(stage: StageSummary, most: int = 4) -> str:
    """`samples by distance to the data: step 500 (0.12, 90 % interval 0.08 to 0.20, 8 samples), …`, the nearest first."""
    told = ", ".join(f"{short(r.step)} ({_distance(r)})" for r in stage.samples[:most])
    more = f" and {len(stage.samples) - most} more" if len(stage.samples) > most else ""
    return f"samples by distance to the data, medians: {stage.samples[0].axis} {told}{more}"


def _distance(rank: SampleRank) -> str:
    sure = "" if rank.low is None or rank.high is None else f", 90 % interval {rank.low:.2f} to {rank.high:.2f}"
    return f"{rank.distance:.2f}{sure}, {plural(rank.samples, 'sample')}"


def _held_out(stage: StageSummary, t: Terminal) -> Iterator[str]:
    """The first metric of held-out data and the first accuracy, which the lead curve may not resemble."""
    told = [s for s in stage.series if s.name != stage.lead and s.role and s.first is not None]
    held = next((s for s in told if s.role and s.role.startswith(("val_", "test_"))), None)
    accuracy = next((s for s in told if s.role and s.role.endswith("_accuracy")), None)
    for one in (held, accuracy if accuracy is not held else None):
        if one is not None:
            arrow = f"{exact(one.first)} {'→' if t.unicode else '->'} " if one.points > 1 else ""
            yield f"{one.name} {arrow}{exact(one.last)}" + (f" ({one.points:,} values)" if one.points > 1 else "")


def _means(stage: StageSummary, room: int) -> str:
    """The means of the windows, as many of the last ones as there is room for."""
    if not stage.windows:
        return ""
    label = f"mean per {short(stage.windows[0].end - stage.windows[0].start)} {stage.steps.axis}s"
    for first in range(len(stage.windows)):
        text = ("… " if first else "") + "  ".join(short(w.mean) for w in stage.windows[first:]) + "  " + label
        if len(text) <= room:
            return text
    return ""


def _speed(stage: StageSummary) -> str:
    speed, eta = stage.speed, stage.eta_s
    text = f"{short(speed['overall'])} {speed['unit']} overall, {short(speed['recent'])} recently"
    if eta and eta.get("overall"):
        text += f": {duration(eta.get('overall'))} or {duration(eta.get('recent'))} to go"
    return text


def _findings(
    causes: Sequence[Finding], found: Sequence[Finding], t: Terminal, stage: StageSummary | None = None
) -> Iterator[str]:
    """Causes in full, each with a line for every one of all findings that it explains."""
    for finding in causes:
        yield ""
        mark = t.paint(finding.severity.ljust(8), finding.severity)
        head = t.wrap(finding.message, indent=INDENT + 2)
        yield f"  {mark}  {t.paint(f'{finding.rule} {finding.name}', 'bold')}"
        yield from (line[2:] for line in head)
        yield from _guilty(finding, stage, t)
        for line in _details(finding):
            yield from t.wrap(line, indent=INDENT + 2, first=" " * INDENT)
        for told in _explained(finding, found):
            text = f"explains {told.rule} {told.name}: {told.message}"
            yield from t.wrap(text, indent=INDENT + 2, first=" " * INDENT)


def _explained(cause: Finding, found: Sequence[Finding]) -> list[Finding]:
    """The findings that one explains, those that these explain included, each once."""
    mine = [f for f in found if f is not cause and cause.stage in (None, f.stage)]
    out = [f for f in mine if f.caused_by == cause.rule]
    for told in out:
        out += [f for f in mine if f.caused_by == told.rule and f not in out]
    return out


def _guilty(finding: Finding, stage: StageSummary | None, t: Terminal) -> Iterator[str]:
    """The lead curve with the guilty part marked, where the finding names a part of it."""
    window = finding.window
    if stage is None or window is None or window.series != stage.lead or len(stage.sparkline) < 8:
        return
    first, last = stage.steps.first or 0.0, stage.steps.last or 0.0
    if last <= first:
        return
    width = min(48, t.width - INDENT - 2)
    spark = t.spark(stage.sparkline, width)
    marks = t.marks((window.start - first) / (last - first), (window.end - first) / (last - first), len(spark))
    yield " " * INDENT + spark
    label = f" {window.axis} {short(window.start)} to {short(window.end)}"
    yield " " * INDENT + marks + (label if INDENT + len(marks) + len(label) <= t.width else "")


def _near(where: str) -> str:
    """The end of a long path: the file and its folder tell enough here, JSON has the whole."""
    parts = where.split("/")
    return where if len(where) <= 48 or len(parts) < 3 else "…/" + "/".join(parts[-2:])


def _details(finding: Finding) -> Iterator[str]:
    for m in finding.evidence[:MOST_EVIDENCE]:
        unit = f" {m.unit}" if m.unit else ""
        yield f"{m.what}: {exact(m.value)}{unit}" + (f"  ({_near(m.where)})" if m.where else "")
    if len(finding.evidence) > MOST_EVIDENCE:
        yield f"… {len(finding.evidence) - MOST_EVIDENCE} more numbers in --format json"
    since = [f"visible since step {short(finding.since_step)}"] if finding.since_step is not None else []
    if finding.innocent:
        since.append(f"innocent if: {finding.innocent}")
    if since:
        yield "; ".join(since)


def _actions(report: Report, t: Terminal) -> Iterator[str]:
    if not report.actions:
        return
    yield t.paint("Do this, in this order", "bold")
    for action in report.actions[:8]:
        cost = f"  [{action.cost}]" if action.cost else ""
        yield from t.wrap(f"{action.do}{cost}  ({', '.join(action.why)})", indent=6, first=f"  {action.order:<3}")
    if len(report.actions) > 8:
        yield f"      … {len(report.actions) - 8} more in --format json"
    yield ""


def _unchecked(report: Report, t: Terminal, *, verbose: bool) -> Iterator[str]:
    """What could not be checked, folded by what would unlock it."""
    rows = gaps(report, every=verbose)
    if rows:
        yield t.paint("Not checked", "bold")
    for why, unlock, entries in rows if verbose else rows[:6]:
        count = len({e.rule for e in entries})
        names = f" ({', '.join(sorted({f'{e.rule} {e.name}' for e in entries}))})" if verbose else ""
        hint = f": {unlock} to unlock {plural(count, 'check')}" if unlock else f" ({plural(count, 'check')})"
        yield from t.wrap(f"{why}{hint}{names}", indent=4, first="  ")
    if len(rows) > 6 and not verbose:
        yield f"  … {len(rows) - 6} more reasons: --verbose"
    for crash in report.checks.crashed:
        yield from t.wrap(
            f"crashed: {crash.rule} {crash.name}: {crash.why} (a fault of runvet: please report it)",
            indent=4,
            first="  ",
        )
    for left in report.checks.ignored:
        yield from t.wrap(f"left out: {left.rule}: {left.why}", indent=4, first="  ")
    if rows or report.checks.crashed or report.checks.ignored:
        yield ""


def _problems(report: Report, t: Terminal) -> Iterator[str]:
    if not report.problems:
        return
    yield t.paint("Could not be read", "bold")
    for problem in report.problems[:8]:
        remedy = f"; {problem.remedy}" if problem.remedy else ""
        yield from t.wrap(f"{problem.where}: {problem.why}{remedy}", indent=4, first="  ")
    if len(report.problems) > 8:
        yield f"  … {len(report.problems) - 8} more in --format json"
    yield ""


def _files(report: Report, run: Run | None, t: Terminal) -> Iterator[str]:
    if report.checks.passed:
        yield from t.wrap("Passed: " + ", ".join(report.checks.passed), indent=4, first="")
        yield ""
    if run is None:
        return
    yield t.paint("Files", "bold")
    for name, reader in sorted(run.readers.items()):
        yield t.plain(f"  {reader:16}{name}")
    for ignored in run.ignored:
        yield t.plain(f"  {'ignored':16}{ignored.source} ({ignored.why})")
