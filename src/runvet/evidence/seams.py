"""The seams of a stage: where one process ended and another went on, and what changed there."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from runvet.evidence import Missing, provides
from runvet.run import Event, Series, Stage, number

RESUMED = 0.2  # a process that starts beyond this share of what was trained goes on; below, it starts again
ROLES = ("train_loss", "generator_loss", "loss_term", "train_perplexity", "reward", "lr", "val_loss")


@dataclass(frozen=True, slots=True)
class Told:
    """The last events of one kind that hold before and after a seam; None where the log says nothing."""

    before: Event | None
    after: Event | None

    @property
    def numbers(self) -> tuple[float, float] | None:
        """Both values, where both are numbers above 0."""
        values = []
        for event in (self.before, self.after):
            value = number(event.value) if event is not None else None
            if value is None or not 0 < value < math.inf:
                return None
            values.append(value)
        return values[0], values[1]


@dataclass(frozen=True, slots=True)
class Joint:
    """One seam, seen on the lead curve.

    `before` and `after` are the finite points of the lead on either side, `numbers` their segment numbers. `start`
    is the first x after the seam, `end` the last x before it, both on `axis`; `base` is the x from which the new
    process goes on, in the numbers of the old one: `start`, unless an epoch now has another length. `resumed` is False where the new
    process begins again from (nearly) the start: another run or fold in the same log.
    """

    lead: Series
    before: Series
    after: Series
    numbers: tuple[int, int]
    start: float
    end: float
    base: float
    axis: str
    resumed: bool
    told: Mapping[str, Told]

    @property
    def where(self) -> str:
        """The place of the first point after the seam."""
        return self.after.where(0)

    @property
    def overlap(self) -> float:
        """How much of the axis was logged twice; 0 for none."""
        return max(0.0, self.end - self.base)

    def sides(self, series: Series) -> tuple[Series, Series]:
        """Another series of the stage before and after this seam (finite points; either may be empty)."""
        one, two = (series.pick(series.segment == number).finite() for number in self.numbers)
        return one, two

    def up_to_start(self, series: Series) -> Series:
        """The points of a series before the seam that the new process builds on: those up to `base`."""
        x = series.x()
        return series.pick(x <= self.base) if self.overlap > 0 else series


@dataclass(frozen=True, slots=True)
class Seams:
    """All seams in the order of the log; never empty."""

    joints: tuple[Joint, ...]

    @property
    def resumed(self) -> tuple[Joint, ...]:
        """The seams at which training went on."""
        return tuple(j for j in self.joints if j.resumed)


def lead_of(stage: Stage) -> Series | None:
    """The series on which seams are seen: the longest of the first role that the stage has."""
    for role in ROLES:
        found = sorted(stage.role(role), key=lambda s: -s.total)
        if found and len(found[0]) > 1:
            return found[0]
    return None


@provides
def seams(stage: Stage) -> Seams | Missing:
    lead = lead_of(stage)
    if lead is None:
        return Missing("no training curve to see seams on", "log loss and step")
    order = {log.source: i for i, log in enumerate(stage.logs)}
    numbers = [int(n) for n in np.unique(lead.segment)]
    if len(numbers) < 2:
        return Missing("the run was not interrupted", applicable=False)
    parts = [lead.pick(lead.segment == n).finite() for n in numbers]
    joints: list[Joint] = []
    origin = math.nan
    for i in range(1, len(parts)):
        before, after = parts[i - 1], parts[i]
        if not len(before) or not len(after) or before.axis == "point" or before.axis != after.axis:
            continue
        end, start = float(before.x()[-1]), float(after.x()[0])
        first = float(before.x()[0])
        origin = first if math.isnan(origin) else min(origin, first)
        resumed = start > origin and start - origin >= RESUMED * (end - origin)
        told = _told(stage.events, order, before, after)
        joints.append(
            Joint(
                lead,
                before,
                after,
                (numbers[i - 1], numbers[i]),
                start,
                end,
                _base(before, after, told),
                before.axis,
                resumed,
                told,
            )
        )
        if not resumed:
            origin = start
    return Seams(tuple(joints)) if joints else Missing("no seam with points on both sides", applicable=False)


def _base(before: Series, after: Series, told: Mapping[str, Told]) -> float:
    """Where in the old process's numbers the new one goes on: by epochs where an epoch's length has changed."""
    start = float(after.x()[0])
    lengths = told["epoch-length"].numbers if "epoch-length" in told else None
    if before.axis != "step" or lengths is None or lengths[0] == lengths[1]:
        return start
    if not (np.isfinite(before.epoch).all() and np.isfinite(after.epoch[0])):
        return start
    whole = np.array_equal(before.epoch, np.round(before.epoch))
    known = before.epoch < after.epoch[0] if whole else before.epoch <= after.epoch[0]
    return float(before.x()[known].max()) if known.any() else start


def _told(events: Sequence[Event], order: Mapping[str, int], before: Series, after: Series) -> dict[str, Told]:
    """For each kind of event, the last one up to the last point before and up to the first point after the seam."""
    ends = [
        (order.get(one.files[int(one.file[i])], 0), int(one.line[i]))
        for one, i in ((before, len(before) - 1), (after, 0))
    ]
    out: dict[str, list[Event | None]] = {}
    for event in events:
        at = (order.get(event.source, 0), event.line)
        for side in (0, 1):
            if at <= ends[side]:
                out.setdefault(event.kind, [None, None])[side] = event
    return {kind: Told(pair[0], pair[1]) for kind, pair in out.items()}
