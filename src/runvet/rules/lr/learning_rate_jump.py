"""LR104 learning-rate-jump."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from runvet import examples
from runvet.evidence.curves import LearningRate
from runvet.evidence.seams import Joint, Seams
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules._phrases import num, place, since, span
from runvet.run import FloatArray, Series, Stage

FEWEST = 5  # points on either side
SAME = 1.05  # rates within this factor of each other are the same
SMOOTH = 1.1  # a schedule that changes by less than this factor from point to point is smooth


@dataclass(frozen=True, slots=True)
class Change:
    """A jump between two neighbouring points: the part after it, both rates, and the place."""

    part: Series
    index: int
    before: float
    after: float
    seam: bool


@rule("LR104", "learning-rate-jump", level="warning", since="0.1")
def learning_rate_jump(rates: LearningRate, seams: Seams | None, *, up: float = 1.5, down: float = 3.0) -> Sick | None:
    """The learning rate jumps where its schedule should go on.

    ## What it checks
    At every seam at which training goes on: the rate that held at the step the run goes on from, against the first
    one after it. More than `up` times higher is a finding; more than `down` times lower is one where the schedule is
    smooth and the rate does not climb again (see `repeated-warmup`). Within an uninterrupted part: a rise by twice
    `up` and more in one point of a smooth schedule that had reached its peak before. Steps down, warm-up, and
    restarts to a rate that held before are left alone.
    ## Why it matters
    The schedule was not restored, or counts otherwise than before: what follows is another experiment.
    ## What to do
    Restore the scheduler's state, or compute it from the global step; resume again from before the jump.
    ## When to ignore it
    A new phase with its own rate was started on purpose.
    ## Known limits
    Needs a rate logged on both sides of the jump.
    ## References
    - Failure reports: lightly-ai/lightly-train#301, YehLi/xmodaler#15, D-X-Y/NAS-Bench-201#19.
    """
    found: list[Change] = []
    for series in rates.series:
        for joint in seams.resumed if seams is not None else ():
            change = _at_seam(series, joint, up, down)
            found += [change] if change else []
        for part in series.segments():
            change = _within(part.finite(), 2 * up)
            found += [change] if change else []
    return _report(found) if found else None


def _at_seam(series: Series, joint: Joint, up: float, down: float) -> Change | None:
    old, new = joint.sides(series)
    if not len(old) or old.axis != joint.axis:
        return None
    old = joint.up_to_start(old)
    if len(old) < FEWEST or len(new) < FEWEST or old.value[-1] <= 0:
        return None
    before, after = float(old.value[-1]), float(new.value[0])
    if old.value.max() == before and old.value[0] < before / SAME and not _flat(old.value[-FEWEST:]):
        return None  # still warming up
    higher = after > up * before and after > SAME * _next(old)
    climbs = bool(new.value.max() > 1.5 * after)
    lower = after < before / down and _smooth(old) and _smooth(new) and not climbs and not _flat(old.value)
    return Change(new, 0, before, after, True) if higher or lower else None


def _next(old: Series) -> float:
    """The largest rate that the last points before the seam would lead to."""
    return float(old.value[-1] + 2 * max(0.0, old.value[-1] - old.value[-2]))


def _flat(rates: FloatArray) -> bool:
    return bool(rates.max() <= SAME * rates.min())


def _smooth(part: Series) -> bool:
    """Whether neighbouring rates are close, and change at most points (a schedule of steps does not)."""
    rate = part.value[part.value > 0]
    if len(rate) < FEWEST:
        return False
    ratio = np.exp(np.abs(np.diff(np.log(rate))))
    return bool(np.quantile(ratio, 0.95) < SMOOTH and np.mean(ratio > 1 + 1e-9) > 0.5)


def _within(part: Series, factor: float) -> Change | None:
    """A rise in one point to a rate never held before, in a smooth schedule that was already past a peak."""
    rate = part.value
    if len(rate) < 40 or rate.min() < 0:
        return None
    held = np.maximum.accumulate(rate)
    for i in np.flatnonzero((rate[1:] > factor * rate[:-1]) & (rate[:-1] > 0)):
        old, new = rate[: i + 1], rate[i + 1 :]
        past = old[-1] < held[i] / SAME  # it had come down from a peak
        if len(old) < 20 or len(new) < 10 or not past or new[0] <= SAME * held[i]:
            continue
        stays = float(np.median(new[:10])) > factor * old[-1]
        if stays and _smooth(part.pick(np.arange(i + 1))):
            return Change(part, int(i) + 1, float(old[-1]), float(new[0]), False)
    return None


def _report(found: list[Change]) -> Sick:
    worst = max(found, key=lambda c: abs(np.log(max(c.after, 1e-30) / c.before)))
    part, x = worst.part, float(worst.part.x()[worst.index])
    at = place(part.axis, x) + (", where the run was resumed" if worst.seam else "")
    factor = worst.after / worst.before
    times = f"{num(factor)} times higher" if factor > 1 else f"{num(1 / max(factor, 1e-30))} times lower"
    names = len({c.part.name for c in found})
    others = f" (so do {names - 1} other groups)" if names > 1 else ""
    return Sick(
        f"{part.name} jumps from {num(worst.before)} to {num(worst.after)} at {at}, {times}{others}",
        evidence=(
            Measure(f"{part.name} before", worst.before),
            Measure(f"{part.name} after", worst.after, None, part.where(worst.index)),
        ),
        since_step=since(part, x),
        innocent="a new phase with its own learning rate was started on purpose",
        actions=(
            Action(
                f"Restore the scheduler's state (or compute it from the global step) and resume from before {place(part.axis, x)}",
                "a restart",
                "repair",
            ),
        ),
        window=span(part, x, float(part.x()[-1])),
    )


def _seam(before: object, after: object, first: int) -> Stage:
    old, new = np.asarray(before, np.float64), np.asarray(after, np.float64)
    steps = [*range(len(old)), *range(first, first + len(new))]
    loss = np.concatenate([examples.decay(2000)[: len(old)], examples.decay(2000)[first : first + len(new)]])
    return examples.stage(steps=steps, loss=loss, lr=np.concatenate([old, new]))


def sick() -> Iterator[Stage]:
    """A schedule that starts again at its peak, one for another length, and a jump in mid-run."""
    full = examples.cosine(2000)
    yield _seam(full[:1000], examples.cosine(1050, warmup=0.0), 950)
    yield _seam(full[:1200], full[400:1000] * 0.1, 1190)
    jump = examples.cosine(2000)
    jump[1000:] *= 8.0
    yield examples.stage(loss=examples.decay(2000), lr=jump)


def healthy() -> Iterator[Stage]:
    """A schedule that goes on, steps down, warm restarts, a warm-up, and a resume within the warm-up."""
    full = examples.cosine(2000)
    yield _seam(full[:1000], full[950:2000], 950)
    steps = np.where(np.arange(2000) < 1000, 1e-3, 1e-4)
    yield _seam(steps[:1000], steps[1000:], 1000)
    yield examples.stage(loss=examples.decay(2000), lr=np.tile(examples.cosine(500, warmup=0.0), 4))
    yield examples.stage(loss=examples.decay(2000), lr=examples.cosine(2000, warmup=0.3))
    slow = examples.cosine(2000, warmup=0.5)
    yield _seam(slow[:600], slow[500:2000], 500)
