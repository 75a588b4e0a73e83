"""The scale of a gradient scaler, from a series or from the lines of a log."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from runvet.evidence import Missing, provides
from runvet.evidence.curves import LossScale, measured
from runvet.run import FloatArray, Stage, number
from runvet.statistics.basics import LARGEST


@dataclass(frozen=True, slots=True)
class Scaling:
    """`values` (n,): the scale at each point or change. `overflows` counts lowerings, `steps` the steps they fell in
    (0 where unknown). `where` and `since` are the place and step of the first lowering after the last rise; `name`
    and `x` (first and last) are those of the series, if it is one.
    """

    values: FloatArray
    overflows: int
    steps: float
    where: str
    since: float | None
    name: str = ""
    x: tuple[float, float] | None = None


@provides
def scaling(stage: Stage, scale: LossScale | None) -> Scaling | Missing:
    if scale is not None:
        one = measured(list(scale.lead.segments())[-1])
        if len(one) and float(one.minimum) > 0:
            at = _last_fall(one.value)
            x = one.x()
            return Scaling(
                one.value,
                int(np.sum(np.diff(one.value) < 0)),
                float(x[-1] - x[0]) if one.axis == "step" else float(len(one)),
                one.where(at),
                float(x[at]) if one.axis == "step" else None,
                one.name,
                (float(x[0]), float(x[-1])),
            )
    told = [e for e in stage.events if e.kind == "loss-scale" and 0 < (number(e.value) or 0.0) < LARGEST]
    if not told:
        return Missing("no loss scale", "log scaler.get_scale()", applicable=False)
    values = np.array([number(e.value) or 0.0 for e in told])
    first = told[_last_fall(values)]
    lowered = np.concatenate([[True], np.diff(values) <= 0])  # a scale at its floor overflows without falling
    overflows = sum(e.count for e, low in zip(told, lowered, strict=True) if low)
    return Scaling(values, overflows, _steps(stage), first.where, first.step)


def _last_fall(values: FloatArray) -> int:
    """Index of the first lowering after the last rise, 0 where nothing fell."""
    change = np.diff(values)
    rose = np.flatnonzero(change > 0)
    start = int(rose[-1]) + 1 if len(rose) else 0
    fell = np.flatnonzero(change[start:] < 0)
    return start + int(fell[0]) + 1 if len(fell) else 0


def _steps(stage: Stage) -> float:
    """The steps that the stage covers, from its longest series that has steps."""
    spans = [float(s.step[-1] - s.step[0]) for s in stage.series if s.role and len(s) > 1 and np.isfinite(s.step).all()]
    return max(spans, default=0.0)
