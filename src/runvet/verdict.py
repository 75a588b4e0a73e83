"""From outcomes to one verdict: stages, causes and consequences, ordered actions, coverage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from runvet.engine import Outcome
from runvet.report import BACK, KINDS, Checks, Finding, PlannedAction, Unchecked, Verdict
from runvet.rules import Rule
from runvet.run import LINKED, Run, Stage

# A stage on which fewer checks of its curves ran than this is not judged, however silent they were.
ENOUGH = 3
CURVES = ("LOSS", "LR", "GEN", "REG")
LEVELS = ("critical", "warning")


def verdict(findings: Iterable[Finding], *, enough: bool) -> Verdict:
    """The word for a stage or a run."""
    levels = {f.severity for f in findings}
    if "critical" in levels:
        return "critical"
    if "warning" in levels:
        return "suspect"
    return "sound" if enough else "not judged"


def enough(outcomes: Sequence[Outcome], stage: str | None) -> bool:
    """Whether enough checks ran on a stage (or, for None, on any stage) to call silence a good sign."""
    ran: dict[str | None, int] = {}
    for o in outcomes:
        if o.state in ("pass", *LEVELS) and o.rule.family in CURVES:
            ran[o.stage] = ran.get(o.stage, 0) + 1
    if stage is None:
        return any(n >= ENOUGH for n in ran.values())
    return ran.get(stage, 0) >= ENOUGH


def findings(outcomes: Sequence[Outcome]) -> tuple[Finding, ...]:
    """All findings, worst first: causes before their consequences, results before speed, early ones before late ones."""
    rules = {o.rule.code: o.rule for o in outcomes}
    found = [f for o in outcomes for f in o.findings]
    linked = [replace(f, caused_by=_cause(f, found, rules)) for f in found]
    return tuple(sorted(linked, key=_place))


def _place(finding: Finding) -> tuple[bool, int, bool, float, str]:
    speed = finding.rule.startswith("SYS")
    return finding.caused_by is not None, LEVELS.index(finding.severity), speed, _when(finding), finding.rule


def _when(finding: Finding) -> float:
    return finding.since_step if finding.since_step is not None else 0.0


def _cause(finding: Finding, found: Sequence[Finding], rules: dict[str, Rule]) -> str | None:
    """The code of the first finding on the same stage (or on the run) whose rule explains this one's."""
    for other in found:
        if other is finding or finding.rule not in rules[other.rule].explains:
            continue
        if other.stage in (None, finding.stage) and LEVELS.index(other.severity) <= LEVELS.index(finding.severity):
            return other.rule
    return None


def actions(found: Sequence[Finding]) -> tuple[PlannedAction, ...]:
    """What to do, in order: critical causes first, and within them stop, keep, repair, change, measure.

    A run is stopped once: what else asks for that on the same stage is added to the first one's reasons. So is a
    consequence that asks to go back, where its cause does: that one knows since when.
    """
    ranked = []
    for place, finding in enumerate(found):
        for action in finding.actions:
            rank = (LEVELS.index(finding.severity), finding.caused_by is not None, KINDS.index(action.kind), place)
            ranked.append((rank, action, finding))
    out: dict[str, PlannedAction] = {}
    stops: dict[str | None, str] = {}
    back: dict[tuple[str | None, str], str] = {}
    for _, action, finding in sorted(ranked, key=lambda entry: entry[0]):
        do = action.do
        if action.kind == "stop":
            do = stops.setdefault(finding.stage, do)
        elif action.cost == BACK:
            cause = finding.caused_by or ""
            do = back.get((finding.stage, cause), back.get((None, cause), do))
        if action.cost == BACK:
            back.setdefault((finding.stage, finding.rule), do)
        known = out.get(do)
        if known is None:
            out[action.do] = PlannedAction(len(out) + 1, action.do, (finding.rule,), action.cost, finding.stage)
        elif finding.rule not in known.why:
            out[do] = replace(known, why=(*known.why, finding.rule))
    return tuple(out.values())


def checks(outcomes: Sequence[Outcome], ignored: Sequence[Unchecked] = ()) -> Checks:
    """The account of every rule. A rule that ran on some stage counts as run."""
    by_rule: dict[str, list[Outcome]] = {}
    for o in outcomes:
        by_rule.setdefault(o.rule.code, []).append(o)
    ran = [c for c, many in by_rule.items() if any(o.state in ("pass", *LEVELS) for o in many)]
    could = [c for c, many in by_rule.items() if c in ran or any(o.state in ("not checked", "crashed") for o in many)]
    return Checks(
        ran=len(ran),
        of=len(could),
        not_checked=_listed(outcomes, "not checked"),
        not_applicable=_listed(outcomes, "not applicable"),
        crashed=_listed(outcomes, "crashed"),
        passed=tuple(
            c
            for c, many in by_rule.items()
            if {o.state for o in many} <= {"pass", "not applicable", "not checked"} and c in ran
        ),
        ignored=tuple(ignored),
    )


def _listed(outcomes: Sequence[Outcome], state: str) -> tuple[Unchecked, ...]:
    return tuple(Unchecked(o.rule.code, o.rule.name, o.stage, o.why, o.unlock) for o in outcomes if o.state == state)


def why_not_judged(run: Run) -> str:
    """One sentence for a run that could not be judged."""
    if not run.readers:
        linked = next((i.source for i in run.ignored if i.why == LINKED), "")
        more = f"; {linked} is {LINKED}" if linked else ""
        return f"no log was found: no file here is of a format that runvet reads{more}"
    if not any(stage.series for stage in run.stages):
        return "the files were read, and none holds a metric"
    return "too few points or metrics for the checks of curves"


def stage_verdict(outcomes: Sequence[Outcome], stage: Stage) -> Verdict:
    """The verdict of one stage from the findings that name it."""
    mine = [f for o in outcomes for f in o.findings if f.stage == stage.name]
    return verdict(mine, enough=enough(outcomes, stage.name))
