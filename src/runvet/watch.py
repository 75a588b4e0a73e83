"""What changed in a run between two looks: findings, verdict, progress, standstill, end. No output here."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from runvet import api
from runvet.config import Config
from runvet.follow import Follower
from runvet.report import VERDICTS, Finding, Report, StageSummary, Verdict
from runvet.run import Run, Stage

STALL = 900.0  # seconds without anything new
INTERVALS = 10  # ... and so many times the run's own interval between two rows of its log
CLEAR_S = 1e-3  # a shorter interval is several rows written at once


@dataclass(frozen=True, slots=True)
class Change:
    """One look: the report as it is now, and what is new in it."""

    report: Report
    grown: bool
    new: tuple[Finding, ...] = ()
    gone: tuple[Finding, ...] = ()
    before: Verdict | None = None  # the verdict before, where it changed
    stage: StageSummary | None = None  # the stage that is being trained now
    stalled: float | None = None  # seconds of standstill, said once for each
    ended: str = ""  # why the run is over; '' while it is not


@dataclass(slots=True)
class Watcher:
    """Looks at one path again and again. `now` tells the time in unix seconds."""

    root: Path
    config: Config
    stall: float = STALL
    now: Callable[[], float] = time.time
    follower: Follower = field(init=False)
    report: Report | None = None
    _grew: float = 0.0
    _said: bool = False
    _run: Run | None = None

    def __post_init__(self) -> None:
        self.follower = Follower(self.root, self.config)

    def look(self) -> Change:
        """Read what is new, judge again if there is any. Raises FileNotFoundError, ConfigError."""
        run = self.follower.look()
        read = self.follower.cost
        first, before = self.report is None, self.report
        grown = first or bool(read.whole or read.resumed)
        if grown:
            self.report = api.judge(run, self.config)
            self._run = run
        assert self.report is not None
        assert self._run is not None
        if grown:
            changed = max((log.modified for s in run.stages for log in s.logs), default=0.0)
            # What stood here before the first look may be long over.
            self._grew, self._said = (min(changed, self.now()) if first and changed else self.now()), False
        active = newest(self._run)
        stage = None if active is None else next((s for s in self.report.stages if s.name == active.name), None)
        quiet = not grown or (first and self.now() - self._grew > INTERVALS * (interval(active) or 1.0))
        ended = over(active, stage) if quiet else ""
        return Change(
            self.report,
            grown,
            new=_minus(self.report, before),
            gone=_minus(before, self.report) if before is not None else (),
            before=before.verdict if before is not None and before.verdict != self.report.verdict else None,
            stage=stage,
            stalled=None if ended else self._standstill(active),
            ended=ended,
        )

    def _standstill(self, stage: Stage | None) -> float | None:
        """How long nothing has been written, once it is longer than the run's own pace explains."""
        still = self.now() - self._grew
        if self._said or still <= max(self.stall, INTERVALS * (interval(stage) or 0.0)):
            return None
        self._said = True
        return still


def newest(run: Run) -> Stage | None:
    """The stage whose files were written last."""
    return max(run.stages, key=lambda s: max((log.modified for log in s.logs), default=0.0), default=None)


def interval(stage: Stage | None) -> float | None:
    """Seconds between two rows of a stage's log, as the densest of its series with times tells; None if none does."""
    if stage is None:
        return None
    timed = [s for s in stage.series if len(s) > 2 and np.isfinite(s.time).all()]
    if not timed:
        return None
    gaps = np.diff(max(timed, key=len).time)
    gaps = gaps[gaps > CLEAR_S]
    return float(np.median(gaps)) if len(gaps) else None


def over(stage: Stage | None, summary: StageSummary | None) -> str:
    """Why a stage that grows no more is over: its log says so, or all planned steps are done. '' if neither."""
    if stage is None:
        return ""
    for event in reversed(stage.events):
        if event.kind == "finished":
            again = [e for e in stage.events if e.source == event.source and e.line > event.line]
            if not any(e.kind in ("start", "resume") for e in again):
                return f"the log says that it has finished ({event.where})"
            break
    steps = summary.steps if summary is not None else None
    if steps is not None and steps.planned and steps.last is not None:
        done = steps.last + (1 if steps.first == 0 and steps.axis == "step" else 0)
        if done >= steps.planned:
            return f"all {steps.planned:g} planned {steps.axis}s are done"
    return ""


def worse(before: Verdict, after: Verdict) -> bool:
    """Whether a verdict is worse than the one before."""
    return VERDICTS.index(after) < VERDICTS.index(before)


def _minus(report: Report, other: Report | None) -> tuple[Finding, ...]:
    """The findings of a report that the other does not have, at that severity."""
    known = {(f.rule, f.stage, f.severity) for f in other.findings} if other is not None else set()
    return tuple(f for f in report.findings if (f.rule, f.stage, f.severity) not in known)
