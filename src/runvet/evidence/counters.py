"""Restarts at which the weights were loaded but the count of steps began at 0 again."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from runvet.evidence import provides
from runvet.evidence.events import Plan
from runvet.evidence.launches import KEPT, Launch, Launches, begins_again, same_schedule, told_of_resume, way_back
from runvet.run import Stage

COMPLETE = 0.9  # of the plan: what comes after it is rather a second training
GOING_ON = re.compile(r"\bresum(?:ed|ing)\b|\bcontinu|restor(?:ed|ing)", re.IGNORECASE)
RESUME = re.compile(r"^(?:auto_?)?resume")


@dataclass(frozen=True, slots=True)
class CounterRestarts:
    """The launches before and after each such restart, often none; `told` is the place of a line or setting that
    speaks of a resume, or ''.
    """

    pairs: tuple[tuple[Launch, Launch], ...]
    told: str

    @property
    def uncounted(self) -> float:
        """Steps (or epochs) that were trained before the last of these restarts and are not counted any more."""
        return sum(old.end - min(old.begin, 0.0) for old, _ in self.pairs)


@provides
def counter_restarts(stage: Stage, launches: Launches, plan: Plan | None) -> CounterRestarts:
    told = told_of_resume(stage, GOING_ON, RESUME)
    return CounterRestarts(tuple(p for p in launches.pairs if _restarted(*p, plan, told)), told)


def _restarted(old: Launch, new: Launch, plan: Plan | None, told: str) -> bool:
    """Whether a launch has the weights of the one before, which had not come to its end, and counts from the start."""
    gone = way_back(old, new)
    if not begins_again(old, new) or gone is None or gone > KEPT or old.finished or new.scratch is not None:
        return False
    planned = None if plan is None else plan.steps if old.part.axis == "step" else plan.epochs
    if planned is not None and old.end >= COMPLETE * planned:
        return False
    same = same_schedule(old, new)
    if same is False:
        return False  # a phase with a schedule of its own
    if planned is None:
        said = new.resumed is not None and GOING_ON.search(new.resumed.text) is not None
        return said or (bool(same) and (bool(told) or _falling(old)))
    return bool(same) or bool(told)


def _falling(old: Launch) -> bool:
    """Whether the learning rate was far from the end of its way down."""
    if old.rate is None:
        return False
    rate = old.rate.value
    late = rate[-max(3, len(rate) // 10) :]
    return bool(0.1 * rate.max() < late[-1] < 0.97 * rate.max() and np.ptp(late) > 0.02 * rate.max())
