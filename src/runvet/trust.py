"""The checkpoint to go back to: which one, why this one, and what going back to it loses."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from runvet.checkpoints.model import Checkpoint
from runvet.checkpoints.phrases import listed
from runvet.evidence.artifact_groups import owner
from runvet.evidence.checkpoints import Checkpoints, of
from runvet.report import VERDICTS, Finding, PlannedAction, StageSummary, TrustedCheckpoint, Verdict
from runvet.run import Run

# Findings about single checkpoints that their own problems do not tell: weights lost against siblings, ranks apart.
RELATIVE = ("CKPT107", "CKPT116")
KEEPING = ("Stop", "Keep", "Go back")  # how actions begin that keep a checkpoint
_BACK = re.compile(r"Go back to (?:the last|a) checkpoint ")
DEGRADED = "its loss was already degraded"
SPOILT = "for it, too, unless the cause came later"


def trusted(run: Run, found: Sequence[Finding], stages: Sequence[StageSummary]) -> TrustedCheckpoint | None:
    """The checkpoint to go back to, of the worst stage that has checkpoints; None where none of them is usable.

    It is the newest complete and finite one from before the first critical finding about the loss, where there is
    one that was trained at all; else the newest that is usable, and `why` says that its loss was bad already.
    """
    if not run.checkpoints:
        return None
    names = {stage.name: stage for stage in stages}
    kept: dict[str, list[Checkpoint]] = {}
    for checkpoint in run.checkpoints:
        stage = owner(checkpoint.path, run.stages)
        if stage is not None:
            kept.setdefault(stage.name, []).append(checkpoint)
    if not kept:
        return None
    order = [s.name for s in run.stages]
    # The worst; of several, the last one trained, which depends on those before it.
    name = min(kept, key=lambda n: (VERDICTS.index(names[n].verdict), -order.index(n)))
    checkpoints = of(kept[name], Path(run.path), time.time())
    return _of_stage(checkpoints, [f for f in found if f.stage in (name, None)], names[name]) if checkpoints else None


def _of_stage(checkpoints: Checkpoints, found: Sequence[Finding], stage: StageSummary) -> TrustedCheckpoint | None:
    doubtful = {m.where for f in found if f.rule in RELATIVE for m in f.evidence}
    usable = [c for c in checkpoints.usable if c.finite is not False and c.path not in doubtful]
    if not usable:
        return None
    first = _first_bad(found)
    before = [
        c
        for c in usable
        if first is not None and first.since_step is not None and c.step is not None and 0 < c.step < first.since_step
    ]
    chosen = before[-1] if before else usable[-1]
    others = [c for c in usable if c is not chosen]
    return TrustedCheckpoint(
        chosen.path, chosen.step, "; ".join(_why(chosen, checkpoints, others, found, first, stage, early=bool(before)))
    )


def _first_bad(found: Sequence[Finding]) -> Finding | None:
    """The first critical finding about the loss, by its step."""
    loss = [f for f in found if f.severity == "critical" and (f.rule.startswith("LOSS") or f.rule == "LOG101")]
    return min(loss, key=lambda f: f.since_step if f.since_step is not None else float("inf"), default=None)


def _why(
    chosen: Checkpoint,
    checkpoints: Checkpoints,
    others: Sequence[Checkpoint],
    found: Sequence[Finding],
    first: Finding | None,
    stage: StageSummary,
    *,
    early: bool,
) -> list[str]:
    sound = "complete and finite" if chosen.finite else "complete, its values were not read"
    newest = chosen is checkpoints.saves[-1]
    place = (
        "the newest" if newest else "the newest usable one" if not early else f"the newest from before {_name(first)}"
    )
    parts = [f"{sound}, {place}"]
    if first is not None and not early:
        since = f" since step {first.since_step:,.0f}" if first.since_step is not None else ""
        parts.append(f"{DEGRADED} ({_name(first)}{since})")
    rest = sorted(
        {f.rule for f in found if f.severity == "critical" and not f.rule.startswith(("LOSS", "LOG", "CKPT"))}
    )
    if rest:
        parts.append(f"{' and '.join(rest[:3])} hold{'s' if len(rest) == 1 else ''} {SPOILT}")
    lost = (
        stage.steps.last - chosen.step
        if stage.steps.axis == "step" and stage.steps.last is not None and chosen.step is not None
        else 0
    )
    if lost >= 1:
        parts.append(f"{lost:,.0f} steps are lost by going back to it")
    if not others:
        parts.append("no other one is usable")
    elif len(others) == 1:
        parts.append(f"{listed(others, checkpoints.saves)} is the only other usable one")
    else:
        parts.append(f"{len(others)} others are usable: {listed(others, checkpoints.saves)}")
    if checkpoints.writing:
        parts.append(f"{listed(checkpoints.writing)} may still be being written")
    return parts


def _name(finding: Finding | None) -> str:
    return f"{finding.rule} {finding.name}" if finding is not None else ""


def advise(
    actions: Sequence[PlannedAction], kept: TrustedCheckpoint | None, verdict: Verdict, *, saved: bool = False
) -> tuple[PlannedAction, ...]:
    """The actions with one that keeps the trusted checkpoint, where the run is critical and none names it yet.

    `saved` says that the run holds checkpoints: none is gone back to where no usable one is from before the fault.
    """
    if saved and (kept is None or DEGRADED in kept.why):
        left = [a for a in actions if not _BACK.match(a.do)]
        actions = [replace(a, order=i + 1) for i, a in enumerate(left)]
    if (
        kept is None
        or verdict != "critical"
        or not actions
        or any(a.do.startswith(KEEPING) and _names(a.do, kept) for a in actions)
    ):
        return tuple(actions)
    place = kept.path if kept.step is None else f"step {kept.step:,.0f} ({kept.path})"
    first = actions[0]
    spoilt = SPOILT in kept.why or DEGRADED in kept.why
    what = "nothing better is left, and what was found holds for it, too" if spoilt else "it is the one to go back to"
    keep = PlannedAction(2, f"Keep the checkpoint of {place}: {what}", first.why, "now, free", first.stage)
    return (first, keep, *(replace(a, order=a.order + 1) for a in actions[1:]))


def _names(text: str, kept: TrustedCheckpoint) -> bool:
    """Whether a text names the checkpoint, by its path or its step."""
    if kept.path in text or kept.step is None:
        return kept.path in text
    return re.search(rf"(?<![\d.]){kept.step:.0f}(?![\d.]*\d)", text.replace(",", "")) is not None
