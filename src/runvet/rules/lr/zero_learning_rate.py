"""LR101 zero-learning-rate."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from runvet import examples
from runvet.evidence.curves import LearningRate, TrainLoss
from runvet.evidence.events import Plan
from runvet.evidence.nature import Nature
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import percent, place, since, span
from runvet.run import FloatArray, Series, Stage
from runvet.statistics import noise

FEWEST = 10  # points of a learning rate
START = 5  # zeros at the very start that a warm-up may have
ROUNDED = 8.0  # a fall to 0 from fewer units of the last printed digit than this may be rounding


@dataclass(frozen=True, slots=True)
class Zeros:
    """The longest run of zeros: points `low` to `high` (exclusive) of a part; `tail` where it lasts to the end."""

    part: Series
    low: int
    high: int
    tail: bool


@rule("LR101", "zero-learning-rate", level="critical", since="0.1", explains=("LOSS104", "LOSS105", "LOSS131"))
def zero_learning_rate(
    rates: LearningRate,
    nature: Nature,
    loss: TrainLoss | None,
    plan: Plan | None,
    *,
    share: float = 0.05,
    tail: float = 0.2,
) -> Sick | Unsure | None:
    """The learning rate was zero for a good part of the run.

    ## What it checks
    Every learning rate: a run of exact zeros in all parameter groups at once that is longer than `share` of the
    points. Zeros at the end count only from `tail` of the points on and well before the planned end; the first steps
    of a warm-up, single zeros at restarts, and groups that are frozen while others train are left alone. Where the
    log prints a few decimals only and the rate came near the last of them, nothing can be said. Critical where it is
    zero for half of the run; otherwise a warning.
    ## Why it matters
    At a learning rate of zero nothing is learned, whatever the loss does.
    ## What to do
    Look at the scheduler: its total length, the warm-up, how often it is stepped, what a resume restored.
    ## When to ignore it
    An optimiser that ignores the logged rate (one that finds its own step size).
    ## Known limits
    Needs a logged learning rate. Rates printed as `0.00` are taken for zero only where they are so all along and the
    loss does not move.
    ## References
    - Failure reports: huggingface/transformers#24088, GuHuangAI/ADM-Public#14.
    """
    found = [_zeros(part) for series in rates.series for part in series.segments() if len(part) >= FEWEST]
    if not found:
        return Unsure("too few points of the learning rate", "log lr at every step")
    if any(zeros is None for zeros in found):
        return None  # a group that trained throughout
    longest = max((z for z in found if z is not None), key=lambda z: z.high - z.low)
    low, high = _common([z for z in found if z is not None], longest)
    part, n = longest.part, len(longest.part)
    if high - low <= max(share * n, START):
        return None
    if longest.tail and low > 0 and not _early(part, low, n, plan, tail):
        return None
    still = None if loss is None else _fall(loss.lead, part, low, high, 12 if low else 40)
    unknown = low > 0 or still is None or abs(still) > 3 or nature.reinforcement  # a policy's loss tells nothing
    if _rounding(part, low) and unknown:
        return Unsure(
            f"{part.name} prints too few digits to tell zero from small", "print the learning rate as 1.2e-05"
        )
    if still is not None and still > 5:
        return Unsure(f"the loss still falls while {part.name} is logged as 0", "log the rate that the optimiser uses")
    return _report(part, low, high)


def _zeros(part: Series) -> Zeros | None:
    """The longest run of zeros, or None where there is none worth a name."""
    zero = part.value == 0.0
    edges = np.flatnonzero(np.diff(np.concatenate([[0], zero.astype(np.int8), [0]])))
    if not len(edges):
        return None
    starts, stops = edges[::2], edges[1::2]
    best = int(np.argmax(stops - starts))
    low, high = int(starts[best]), int(stops[best])
    return None if high - low <= START else Zeros(part, low, high, high == len(part))


def _common(found: list[Zeros], longest: Zeros) -> tuple[int, int]:
    """The part of the longest run during which every other group that was logged then is zero, too."""
    low, high = longest.low, longest.high
    x = longest.part.x()
    for other in found:
        at = other.part.x()
        if other.part.axis != longest.part.axis or at[-1] < x[low] or at[0] > x[high - 1]:
            continue
        low = max(low, int(np.searchsorted(x, at[other.low])))
        high = min(high, int(np.searchsorted(x, at[other.high - 1], side="right")))
    return low, max(low, high)


def _early(part: Series, low: int, n: int, plan: Plan | None, tail: float) -> bool:
    """Whether zeros that last to the end begin well before the planned end."""
    if n - low < tail * n:
        return False
    planned = None if plan is None else plan.steps if part.axis == "step" else plan.epochs
    return planned is None or float(part.x()[low]) < (1 - tail / 2) * planned


def _rounding(part: Series, low: int) -> bool:
    """Whether zeros may be small numbers printed with too few decimals."""
    around = part.value[:low][part.value[:low] > 0]
    values = part.value[part.value > 0]
    if not len(values):
        return (
            part.files[int(part.file[0])].lower().endswith((".log", ".txt", ".out", ".err")) or "." not in part.files[0]
        )
    digits = next(
        (d for d in range(2, 13) if np.allclose(values * 10.0**d, np.round(values * 10.0**d), rtol=1e-9, atol=1e-6)),
        None,
    )
    if digits is None:
        return False
    unit = 10.0**-digits
    last = float(around[-1]) if len(around) else float(values.min())
    return last < ROUNDED * unit


def _fall(loss: Series, rate: Series, low: int, high: int, fewest: int) -> float | None:
    """How far the loss falls within the zeros, in standard errors; None for fewer points than `fewest`."""
    if loss.axis != rate.axis:
        return None
    x, at = loss.x(), rate.x()
    inside: FloatArray = loss.value[(x >= at[low]) & (x <= at[high - 1]) & np.isfinite(loss.value)]
    if len(inside) < fewest:
        return None
    k = max(3, len(inside) // 5)
    error = 1.2533 * noise(inside, block=True) * math.sqrt(2.0 / k)
    gap = float(np.median(inside[:k]) - np.median(inside[-k:]))
    return gap / error if error > 0 else math.copysign(math.inf, gap) if gap else 0.0


def _report(part: Series, low: int, high: int) -> Sick:
    x, n = part.x(), len(part)
    share = (high - low) / n
    where = (
        "throughout"
        if share == 1
        else f"from {place(part.axis, float(x[low]))} to {place(part.axis, float(x[high - 1]))}"
    )
    peak = float(np.nanmax(part.value))
    return Sick(
        f"{part.name} is 0 {where}, {percent(share)} of its points",
        evidence=(
            Measure(f"{part.name} exactly 0", high - low, f"of {n} points", part.where(low)),
            Measure(f"largest {part.name}", peak),
        ),
        since_step=since(part, float(x[low])),
        innocent="an optimiser that finds its own step size and ignores the logged rate",
        actions=(
            Action(
                f"Check the scheduler's length, warm-up and how often it is stepped; go back to before"
                f" {place(part.axis, float(x[low]))}"
                if low
                else f"Set {part.name}: print it after the first optimiser step",
                "config",
            ),
        ),
        window=span(part, float(x[low]), float(x[high - 1])),
        level=None if share >= 0.5 else "warning",
    )


def sick() -> Iterator[Stage]:
    """Zero all along, a schedule that ends at a third, and a hole after a resume."""
    flat = examples.level(600, 2.3)
    yield examples.stage(loss=flat, lr=0.0)
    short = np.concatenate([examples.cosine(200), np.zeros(400)])
    yield examples.stage(
        loss=np.concatenate([examples.decay(200, end=2.3), flat[:400]]), lr=short, settings={"max_steps": 600}
    )
    hole = examples.cosine(600)
    hole[200:300] = 0.0
    loss = np.concatenate([examples.decay(300, end=2.3), flat[:300]])
    loss[200:300] = flat[:100]
    yield examples.stage(loss=loss, lr=hole)


def healthy() -> Iterator[Stage]:
    """A decay that ends at zero, a warm-up from zero, a frozen group, restarts, and rates printed with few digits."""
    yield examples.stage(loss=examples.decay(600), lr=examples.cosine(600))
    warm = examples.cosine(600)
    warm[:4] = 0.0
    yield examples.stage(loss=examples.decay(600), lr=warm)
    yield examples.stage(loss=examples.decay(600), lr__head=1e-3, lr__backbone=np.zeros(600))
    yield examples.stage(loss=examples.decay(600), lr=np.tile(examples.cosine(100, warmup=0.0), 6))
    yield examples.stage(loss=examples.decay(600), lr=np.concatenate([examples.cosine(580), np.zeros(20)]))
