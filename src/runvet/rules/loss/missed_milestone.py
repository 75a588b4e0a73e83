"""LOSS119 missed-milestone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from runvet import examples
from runvet.config import Expected
from runvet.evidence.milestones import Milestones
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules._phrases import since
from runvet.rules.loss._common import guilty, num
from runvet.run import FloatArray, Series, Stage
from runvet.statistics import finite_values


@dataclass(frozen=True, slots=True)
class Missed:
    """A milestone that was missed: what was expected of which series, and the median that it had."""

    series: Series
    expected: Expected
    low: float
    high: float
    value: float
    factor: float


@rule("LOSS119", "missed-milestone", level="warning", since="0.1")
def missed_milestone(stage: Stage, milestones: Milestones) -> Sick | None:
    """A metric is worse than you expected of it at this point of the training.

    ## What it checks
    Each `[[expected]]` of runvet.toml whose span of steps or epochs the run has reached: the median of the metric within
    the span must not be worse than the range. Better than expected is fine. Names match a metric's whole
    name, its last part or the end of its role.
    ## Why it matters
    You know your training better than any rule does.
    ## What to do
    Compare with the run that the numbers came from: configuration first, then the curves.
    ## When to ignore it
    When the plan no longer fits; change runvet.toml then.
    ## Known limits
    Spans that the run has not reached to their end are not checked. The plan stands in runvet.toml, or as a list
    `runvet.expected` in the run's own configuration.
    ## References
    - runvet's documentation, "Expected milestones".
    """
    missed = [m for entry in milestones.expected for name, (low, high) in entry.ranges.items()
              for m in _missed(stage, entry, name, low, high)]  # fmt: skip
    if not missed:
        return None
    names = sorted({(m.expected.start, m.series.name) for m in missed})
    worst = max(missed, key=lambda m: m.factor)
    first = min(missed, key=lambda m: m.expected.start)
    axis = worst.expected.axis
    span = f"{axis} {worst.expected.start:,.0f} to {worst.expected.end:,.0f}"
    more = f"; {len(names) - 1} more milestone{'s' if len(names) > 2 else ''} missed" if len(names) > 1 else ""
    return Sick(
        f"{worst.series.name} is {num(worst.value)} over {span}, expected {num(worst.low)} to {num(worst.high)}{more}",
        tuple(
            Measure(
                f"{m.series.name}, {axis} {m.expected.start:,.0f} to {m.expected.end:,.0f}",
                m.value,
                f"expected {num(m.low)} to {num(m.high)}",
            )
            for m in missed[:8]
        ),
        since(first.series, first.expected.end) if axis == "steps" else None,
        "a plan that no longer fits this configuration",
        (
            Action(f"Compare configuration and curves with the run that {span} was taken from", "minutes", "measure"),
            Action("Change the milestones in runvet.toml if the plan has changed", "config", "change"),
        ),
        guilty(worst.series, worst.expected.start, worst.expected.end),
    )


def _matching(stage: Stage, name: str) -> tuple[Series, ...]:
    """Series by whole name, last part, role, or the end of a role, in this order; the first kind that fits counts."""
    low = name.lower()
    kinds = (
        [s for s in stage.series if s.name.lower() == low],
        [s for s in stage.series if s.name.lower().replace(".", "/").rsplit("/", 1)[-1] == low],
        [s for s in stage.series if s.role == low],
        [s for s in stage.series if (s.role or "").endswith("_" + low)],
    )
    return tuple(next((k for k in kinds if k), ()))


def _missed(stage: Stage, entry: Expected, name: str, low: float, high: float) -> Iterator[Missed]:
    for series in _matching(stage, name):
        axis = _axis(series, entry.axis)
        if axis is None or not len(axis) or float(axis[-1]) < entry.end - 1.0:
            continue
        values = finite_values(series.value[(axis >= entry.start) & (axis <= entry.end)])
        if not len(values):
            continue
        value = float(np.median(values))
        up = (series.direction or "down") == "up"
        if value < low if up else value > high:
            width = max(high - low, 1e-12)
            yield Missed(series, entry, low, high, value, (low - value if up else value - high) / width)


def _axis(series: Series, axis: str) -> FloatArray | None:
    wanted = series.step if axis == "steps" else series.epoch
    return wanted if len(wanted) and bool(np.isfinite(wanted).all()) else None


PLAN = [{"steps": [0, 100], "loss": [0.5, 4.5]}, {"steps": [100, 199], "loss": [0.2, 0.8], "accuracy": [0.6, 0.9]}]


def sick() -> Iterator[Stage]:
    """A loss above and an accuracy below what was expected."""
    plan = {"runvet.expected": PLAN}
    yield examples.stage(loss=examples.level(200, 3.0), settings=plan)
    yield examples.stage(
        loss=examples.decay(200, end=0.3, power=1), val_accuracy=examples.level(50, 0.4), settings=plan
    )


def healthy() -> Iterator[Stage]:
    """Within, ahead, and not yet there."""
    plan = {"runvet.expected": PLAN}
    yield examples.stage(
        loss=examples.decay(200, end=0.5, power=1), val_accuracy=np.linspace(0.5, 0.99, 50), settings=plan
    )
    yield examples.stage(loss=examples.decay(200, start=0.4, end=0.001), settings=plan)
    yield examples.stage(loss=examples.level(150, 3.0), settings=plan)
