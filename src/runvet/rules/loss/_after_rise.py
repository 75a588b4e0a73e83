"""What to do after the loss rose: where to go back to, what to change, and how to see early that it helped."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from runvet.checkpoints.model import Checkpoint
from runvet.checkpoints.phrases import told
from runvet.evidence.checkpoints import Checkpoints
from runvet.report import BACK, Action, Measure
from runvet.rules.loss._common import num, place
from runvet.run import Series


@dataclass(frozen=True, slots=True)
class Rate:
    """What the learning rate did while the loss rose: whether it grew, and the words and number for it."""

    grew: bool
    told: str
    measure: Measure


def remedy(rate: Rate | None) -> str:
    """The change that is asked for, with the run's own learning rate."""
    if rate is not None and rate.grew:
        return f"Stop the learning rate from growing: {rate.told}"
    known = f" ({rate.measure.what}: {rate.measure.value})" if rate else ""
    return f"Lower the learning rate{known} or clip the gradient norm"


def after_rise(
    series: Series, start: float, end: float, change: str, checkpoints: Checkpoints | None
) -> tuple[Action, ...]:
    """Actions after a rise of `series` from x = `start` to `end`: a checkpoint from before it, the change, a comparison.

    Only a checkpoint that can be used is named; where none is from before the rise, the newest one is to prove itself.
    """
    at = place(series, start)
    actions = [Action(change, "config", "change")]
    before, newest = _before(series, start, checkpoints)
    if checkpoints is None or (before is None and newest is not None and _x(newest, series) is None):
        actions.insert(0, Action(f"Go back to the last checkpoint near {at}", BACK, "keep"))
    elif before is not None:
        text = f"Go back to the checkpoint of {told(before)}, the newest usable one from before the rise at {at}"
        actions.insert(0, Action(text, BACK, "keep"))
    elif newest is not None:
        text = f"No usable checkpoint is from before {at}: go on from {told(newest)} only if {series.name} falls there after the change, else start anew"
        actions.append(Action(text, "a restart", "change"))
    else:
        actions.append(Action("Start anew: no checkpoint is usable", "a restart", "change"))
    early = _early(series, start, end)
    if early is not None:
        x, value = early
        text = f"After the change, compare {series.name} at {place(series, x)} with the {num(value)} of this run before training on"
        actions.append(Action(text, "minutes to hours", "measure"))
    return tuple(actions)


def _before(
    series: Series, start: float, checkpoints: Checkpoints | None
) -> tuple[Checkpoint | None, Checkpoint | None]:
    """The newest usable checkpoint that was trained and is from before the rise, and the newest usable one."""
    usable = [c for c in checkpoints.usable if c.finite is not False] if checkpoints is not None else []
    before = [c for c in usable if (x := _x(c, series)) is not None and 0 < x < start]
    return before[-1] if before else None, usable[-1] if usable else None


def _x(checkpoint: Checkpoint, series: Series) -> float | None:
    """Where a checkpoint stands on the axis of a series; None where its name and content do not tell."""
    x = checkpoint.step if series.axis == "step" else checkpoint.epoch if series.axis == "epoch" else None
    return float(x) if x is not None else None


def _early(series: Series, start: float, end: float) -> tuple[float, float] | None:
    """A round place early in the rise, at which it could be seen, and the median of the series around it."""
    soon = start + 0.1 * (end - start)
    if not soon > 0:
        return None
    power = 10.0 ** math.floor(math.log10(soon))
    x = next(m * power for m in (1, 2, 5, 10) if m * power >= soon)
    near = series.value[np.abs(series.x() - x) <= max(0.02 * (end - start), 0.5)]
    return (x, float(np.median(near))) if x < end and len(near) else None
