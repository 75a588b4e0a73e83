"""LR103 schedule-ended-early."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.curves import LearningRate
from runvet.evidence.events import Plan
from runvet.evidence.settings import name_of
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import num, percent, place, since, span
from runvet.run import FloatArray, Series, Stage, number

SMOOTH = 12  # distinct values on the way down; fewer is a schedule of steps, whose last level is meant
FLOOR = 1e-4  # of the fall: how close to its lowest value the learning rate counts as at its floor
EARLY = 0.03  # how much longer than a whole share of the plan a schedule may seem (points are some steps apart)
SMALL = 6  # multiples up to which being a whole number is telling; beyond, powers of two or the world size
# Settings that give the length of the decay itself: then a short decay is what was asked for.
LENGTHS = frozenset({
    "lr_decay_iters", "lr_decay_steps", "decay_steps", "decay_iters", "t_max", "lr_max_steps", "cosine_steps",
    "scheduler_steps", "lr_decay_epochs", "decay_epochs", "num_cycles", "t_0", "cooldown_epochs", "lr_scheduler_steps",
})  # fmt: skip


@rule("LR103", "schedule-ended-early", level="critical", since="0.1", explains=("LR101",))
def schedule_ended_early(
    stage: Stage, rates: LearningRate, plan: Plan, *, closeness: float = 0.08, largest: float = 64
) -> Sick | Unsure | None:
    """The learning rate reached its floor a whole number of times too early.

    ## What it checks
    The step at which a smooth decay (cosine, linear, polynomial) reaches its lowest value and stays there, against
    the planned steps or epochs: a finding where the plan is 2, 3, 4, … times as long, within `closeness`. Schedules
    of steps, warm restarts, and decays whose own length stands in the configuration are left alone. Critical where
    the floor is below a hundredth of the peak, otherwise a warning.
    ## Why it matters
    A scheduler that is stepped once by every process runs as many times too fast as there are processes: the model
    hardly trains for most of the run, and nothing but the learning rate shows it.
    ## What to do
    Step the scheduler once per optimiser step, or give it planned steps × processes (Accelerate: `split_batches`, or
    do not `prepare` the scheduler). Resume from a checkpoint before the floor with the right schedule.
    ## When to ignore it
    A short decay followed by a constant rate was intended.
    ## Known limits
    Needs the plan, and a learning rate logged at a dozen points of its decay or more.
    ## References
    - Failure reports: huggingface/accelerate#2142, #2926, huggingface/diffusers#3954, LTX-Video-Trainer#67.
    """
    for series in rates.series:
        for part in series.segments():
            fall = _fall(part)
            planned = plan.steps if part.axis == "step" else plan.epochs if part.axis == "epoch" else None
            if fall is None:
                continue
            if planned is None:
                return Unsure("the plan and the learning rate count differently", "planned_steps = … in runvet.toml")
            times = _times(planned / fall[0] if fall[0] > 0 else math.inf, closeness)
            stayed = float(part.x()[-1]) >= fall[0] + 0.25 * (planned - fall[0])  # long enough to be sure
            telling = times <= SMALL or times & (times - 1) == 0 or times in _worlds(stage)
            if 2 <= times <= largest and telling and stayed and not _meant(stage):
                return _report(stage, part, plan, planned, times, fall)
    return None


def _times(ratio: float, closeness: float) -> int:
    """The whole number that a ratio stands for, 0 for none. A cosine looks flat shortly before its end."""
    for times in (math.floor(ratio), math.ceil(ratio)) if math.isfinite(ratio) else ():
        if times and -EARLY <= ratio / times - 1 <= closeness:
            return times
    return 0


def _worlds(stage: Stage) -> set[float]:
    """The numbers of processes that the log names."""
    return {n for e in stage.events if e.kind == "world-size" and (n := number(e.value)) is not None}


def _fall(series: Series) -> tuple[float, float, float] | None:
    """Where a smooth decay reaches its floor for good, its peak and its floor; None for any other curve."""
    rate, x = series.value, series.x()
    good = np.isfinite(rate)
    rate, x = rate[good], x[good]
    if len(rate) < 2 * SMOOTH:
        return None
    peak, floor = float(rate.max()), float(rate.min())
    top = len(rate) - 1 - int(np.argmax(rate[::-1]))
    if peak <= 0 or floor > 0.5 * peak or rate[-1] > floor + FLOOR * (peak - floor):
        return None
    down = rate[top:]
    low = floor + FLOOR * (peak - floor)
    first = top + int(np.argmax(down <= low))
    if np.any(rate[first:] > low) or np.any(np.diff(rate[top : first + 1]) > 1e-9 * peak):
        return None
    if len(np.unique(rate[top : first + 1])) < SMOOTH or _steepest(rate[top : first + 1]) > 0.4:
        return None
    return float(x[first]), peak, floor


def _steepest(rate: FloatArray) -> float:
    """The largest fall from one point to the next, as a share of the whole fall."""
    return float(-np.diff(rate).min() / (rate[0] - rate[-1]))


def _meant(stage: Stage) -> bool:
    return any(name_of(s) in LENGTHS for s in stage.settings)


def _report(
    stage: Stage, part: Series, plan: Plan, planned: float, times: int, fall: tuple[float, float, float]
) -> Sick:
    at, peak, floor = fall
    x = part.x()
    same = ", the world size" if times in _worlds(stage) else ""
    where = int(np.searchsorted(x, at))
    return Sick(
        f"{part.name} is at its floor {num(floor)} from {place(part.axis, at)} on, 1/{times} of the planned"
        f" {num(planned)}: the schedule ran {times} times too fast{same}",
        evidence=(
            Measure(f"{part.name} reaches {num(floor)} (peak {num(peak)})", at, f"{part.axis}s", part.where(where)),
            Measure("planned", planned, f"{part.axis}s", plan.source),
            Measure("share of the plan at the floor", percent(1 - at / planned)),
        ),
        since_step=since(part, at),
        innocent="a short decay followed by a constant rate was intended",
        actions=(
            Action(
                f"Step the scheduler once per optimiser step (or plan {num(planned * times)} scheduler steps),"
                f" and resume from before {place(part.axis, at)}",
                percent(1 - at / planned) + " of the run again",
                "change",
            ),
        ),
        window=span(part, at, float(x[-1])),
        level=None if floor <= 0.01 * peak else "warning",
    )


def _fast(n: int, times: int, peak: float = 1e-3, floor: float = 0.0) -> FloatArray:
    short = examples.cosine(n // times, peak, warmup=0.02, floor=floor)
    return np.concatenate([short, np.full(n - len(short), short.min())])


def sick() -> Iterator[Stage]:
    """Four processes, a linear decay halved, and eight processes with a floor above zero."""
    yield examples.stage(loss=examples.decay(2000), lr=_fast(2000, 4), settings={"max_steps": 2000})
    linear = np.clip(np.linspace(1, -1, 1000), 0, None) * 1e-3
    yield examples.stage(loss=examples.decay(1000), lr=linear, settings={"max_steps": 1000})
    eight = _fast(4000, 8, floor=1e-4)
    yield examples.stage(loss=examples.decay(4000), lr=eight, settings={"max_steps": 4000})


def healthy() -> Iterator[Stage]:
    """A full cosine, a decay by steps, a length that was asked for, a constant rate, and a run not yet that far."""
    plan = {"max_steps": 2000}
    yield examples.stage(loss=examples.decay(2000), lr=examples.cosine(2000), settings=plan)
    steps = np.select([np.arange(2000) < 600, np.arange(2000) < 1000], [1e-3, 1e-4], 1e-5)
    yield examples.stage(loss=examples.decay(2000), lr=steps, settings=plan)
    yield examples.stage(loss=examples.decay(2000), lr=_fast(2000, 4), settings={**plan, "lr_decay_iters": 500})
    yield examples.stage(loss=examples.decay(2000), lr=1e-3, settings=plan)
    yield examples.stage(loss=examples.decay(900), lr=examples.cosine(2000)[:900], settings=plan)
