"""Where a log's points stand between its other lines: what ran before and after an event."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from runvet.evidence import provides
from runvet.evidence.events import Plan, plan_of
from runvet.run import Event, IntArray, Series, Stage

# Series that only training writes, in the order of preference; numbers of a set-up phase have none of these roles.
TRAINING = (
    ("train_loss", "loss_term", "generator_loss", "discriminator_loss", "train_perplexity", "perplexity"),
    ("reward", "train_accuracy", "train_metric", "train_error", "accuracy", "metric", "error"),
)


FLUSHED = 2  # training lines that a dying process may still write
NEAR = 100  # lines within which tracebacks chained to each other, or printed by several ranks, stand
LAST = 1 << 62


@dataclass(frozen=True, slots=True)
class Timeline:
    """The lines at which training logged points, by file, and how far the plan was reached.

    `lines` maps a file to the sorted distinct lines (int64) of its training points; `seams` maps a file to the
    lines at which a new process begins. `done` is the share of the plan that was trained, NaN where the plan or
    the axis is unknown; `plan` is that plan.
    """

    lines: Mapping[str, IntArray]
    seams: Mapping[str, IntArray]
    done: float
    plan: Plan | None

    def knows(self, event: Event) -> bool:
        """Whether the event stands in a file that also holds training points, at a known line."""
        return event.line > 0 and event.source in self.lines

    def before(self, event: Event) -> int:
        """Training lines of the event's process up to the event."""
        start = 0
        if event.source in self.seams:
            seams = self.seams[event.source]
            earlier = seams[seams <= event.line]
            start = int(earlier[-1]) if len(earlier) else 0
        return self.between(event.source, start, event.line)

    def after(self, event: Event) -> int:
        """Training lines after the event; the last values that a dying process flushes do not count."""
        end = self._end(event)
        own = self.between(event.source, event.line + 1, end)
        return (own if own > FLUSHED else 0) + self.between(event.source, end, LAST)

    def survived(self, event: Event) -> bool:
        """Whether the same process went on to log training points after the event."""
        return self.between(event.source, event.line + 1, self._end(event)) > FLUSHED

    def launch(self, event: Event) -> int:
        """The number of the process within its file, from 0."""
        return int(np.searchsorted(self.seams.get(event.source, np.empty(0, np.int64)), event.line, side="right"))

    def deaths(self, events: Sequence[Event]) -> list[Event]:
        """The last of each group of events that tell of one death: close together, in one process of one file."""
        groups: list[Event] = []
        for event in events:
            if groups and self._one_death(groups[-1], event):
                groups.pop()
            groups.append(event)
        return groups

    def _one_death(self, a: Event, b: Event) -> bool:
        near = 0 <= b.line - a.line <= NEAR and not self.between(a.source, a.line + 1, b.line)
        return a.source == b.source and near and self.launch(a) == self.launch(b)

    def _end(self, event: Event) -> int:
        """The line at which the next process of the file begins."""
        seams = self.seams.get(event.source, np.empty(0, np.int64))
        later = seams[seams > event.line]
        return int(later[0]) if len(later) else LAST

    def between(self, source: str, low: int, high: int) -> int:
        """Training lines from `low` (inclusive) to `high` (exclusive)."""
        lines = self.lines.get(source)
        if lines is None:
            return 0
        first, last = np.searchsorted(lines, [low, high])
        return int(last - first)


@provides
def timeline(stage: Stage) -> Timeline:
    chosen: list[Series] = []
    for roles in TRAINING:
        chosen = [s for s in stage.series if s.role in roles and len(s)]
        if chosen:
            break
    chosen = chosen or [s for s in stage.series if s.role and len(s)]
    lines: dict[str, list[IntArray]] = {}
    seams: dict[str, list[int]] = {}
    for series in chosen:
        for number, name in enumerate(series.files):
            mine = series.line[series.file == number]
            mine = mine[mine > 0]
            if len(mine):
                lines.setdefault(name, []).append(mine)
        for i in np.flatnonzero(np.diff(series.segment)) + 1:
            seams.setdefault(series.files[int(series.file[i])], []).append(int(series.line[i]))
    for seam in stage.seams:
        seams.setdefault(seam.source, []).append(seam.line)
    for event in stage.events:
        if event.kind == "start" and event.line > 0:
            seams.setdefault(event.source, []).append(event.line)
    plan = plan_of(stage)
    return Timeline(
        {name: np.unique(np.concatenate(parts)) for name, parts in lines.items()},
        {name: np.unique(np.asarray(at, np.int64)) for name, at in seams.items()},
        _done(chosen, plan),
        plan,
    )


def _done(series: list[Series], plan: Plan | None) -> float:
    """The larger of the shares of planned steps and planned epochs; counting from 0 or 1 makes no difference."""
    if plan is None:
        return math.nan
    shares = []
    for one in series:
        for axis, planned in ((one.step, plan.steps), (one.epoch, plan.epochs)):
            known = axis[np.isfinite(axis)]
            if planned and len(known):
                gaps = np.diff(np.unique(known))
                shares.append((float(known.max()) + (float(np.median(gaps)) if len(gaps) else 1.0)) / planned)
    return max(shares, default=math.nan)
