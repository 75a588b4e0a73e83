"""LOG102 masked-loss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from runvet import examples
from runvet.evidence.curves import GradNorm, TrainLoss, ValLoss
from runvet.evidence.nature import Nature
from runvet.rules import BACK, Action, Measure, Sick, Window, rule
from runvet.run import Series, Stage

FEWEST = 10  # points on either side of a loss that is cut off at 0


@rule(
    "LOG102",
    "masked-loss",
    level="critical",
    since="0.1",
    explains=("LOG101", "LOSS101", "LOSS102", "LOSS103", "LOSS104", "LOSS119", "LOSS131"),
)
def masked_loss(
    loss: TrainLoss, nature: Nature, grads: GradNorm | None, val: ValLoss | None, *, consecutive: float = 2
) -> Iterator[Sick]:
    """The loss is logged as exactly 0 because the logger replaced NaN.

    ## What it checks
    Two or more consecutive training losses of exactly 0 while the gradient norm at the same steps is NaN, infinite
    or no longer logged, or while every evaluation from there on is NaN. A loss of 0 beside finite gradient norms is a
    loss of 0, and is spared. Without gradient norms, a warning where a total loss falls to 0 from one point to the
    next, from a good part of its first level, and stays there to the end.
    ## Why it matters
    Some trainers leave NaN losses out of the average that they log, so a broken run shows a perfect loss and ends
    "successfully"; every checkpoint since holds NaN or no longer changes.
    ## What to do
    Return to the last checkpoint before the first zero. Log NaN as NaN (Hugging Face: `logging_nan_inf_filter=False`),
    then look for the cause: fp16 overflow, labels that are all masked, too high a learning rate.
    ## When to ignore it
    Never seen harmless.
    ## Known limits
    Where neither gradient norms nor evaluations are logged, a slow fall to zero cannot be told from a perfect fit.
    ## References
    - Failure reports: huggingface/trl#6702, huggingface/transformers#13619, Time-MoE/Time-MoE#31.
    """
    for series in loss.series:
        for part in series.segments():
            zero = part.value == 0.0
            found = _longest(zero)
            if found is None or found[1] - found[0] < consecutive:
                continue
            low, high = found
            broken = _gradient(part, grads, low, high) or _evaluations(part, val, low, high)
            if broken is not None:
                yield _report(series, part, low, high, broken)
                return
            if grads is None and not nature.reinforcement and loss.is_total and _cut(part, low, high):
                yield _abrupt(series, part, low, high)
                return


def _cut(part: Series, low: int, high: int) -> bool:
    """Whether the curve is cut off at 0: no point on the way down from a level well above it, and none after."""
    if low < FEWEST or high < len(part) or high - low < FEWEST:
        return False
    before, first = part.value[low - 5 : low], part.value[: max(3, low // 10)]
    return bool(np.min(before) > 0.1 * np.median(first) > 0.0)


def _abrupt(series: Series, part: Series, low: int, high: int) -> Sick:
    broken = Measure(f"median of the 5 points before of {series.name}", float(np.median(part.value[low - 5 : low])))
    return replace(_report(series, part, low, high, broken), level="warning", message=(
        f"{series.name} is exactly 0 at {high - low} consecutive points from {part.axis} {part.x()[low]:,.0f} to the end, at once:"
        f" the last loss before that was {part.value[low - 1]:.6g}"))  # fmt: skip


def _longest(mask: npt.NDArray[np.bool_]) -> tuple[int, int] | None:
    """First index and end (exclusive) of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    if not len(edges):
        return None
    starts, stops = edges[::2], edges[1::2]
    best = int(np.argmax(stops - starts))
    return int(starts[best]), int(stops[best])


def _gradient(part: Series, grads: GradNorm | None, low: int, high: int) -> Measure | None:
    """What the gradient norm says over the zero losses, if it is broken there."""
    found = (_norm(part, norm, low, high) for norm in (grads.series if grads else ()))
    return next((measure for measure in found if measure is not None), None)


def _norm(part: Series, norm: Series, low: int, high: int) -> Measure | None:
    x, at = part.x(), norm.x()
    if part.axis != norm.axis or len(norm) < 0.5 * low:
        return None
    inside = (at >= x[low]) & (at <= x[high - 1])
    if not inside.any():
        logged = np.isin(x, at)  # null gradient norms are left out by some readers
        if low and logged[:low].mean() > 0.9 and high - low >= 3:
            return Measure(f"{norm.name} over these steps", "not logged any more", None, part.where(low))
        return None
    bad = ~np.isfinite(norm.value[inside])
    if bad.mean() < 0.9:
        return None
    first = int(np.flatnonzero(inside)[0])
    while first > 0 and not np.isfinite(norm.value[first - 1]):
        first -= 1  # the gradient breaks before the first loss that is wholly masked
    return Measure(f"{norm.name} since {norm.axis} {at[first]:,.0f}", str(norm.value[first]), None, norm.where(first))


def _evaluations(part: Series, val: ValLoss | None, low: int, high: int) -> Measure | None:
    """The first evaluation that is NaN, if all are from the zeros on."""
    if val is None or val.lead.axis != part.axis:
        return None
    one = val.lead
    later = np.flatnonzero((one.x() >= part.x()[low]) & (one.x() <= part.x()[high - 1]))
    if not len(later) or np.isfinite(one.value[later]).any():
        return None
    return Measure(f"{one.name} since {one.axis} {one.x()[later[0]]:,.0f}", "nan", None, one.where(int(later[0])))


def _report(series: Series, part: Series, low: int, high: int, broken: Measure) -> Sick:
    x, axis = part.x(), part.axis
    last = f"; the last loss before that was {part.value[low - 1]:.6g}" if low else ""
    return Sick(
        f"{series.name} is exactly 0 at {high - low} consecutive points from {axis} {x[low]:,.0f} on "
        f"while {broken.what.split(' since')[0].split(' over')[0]} is {broken.value}{last}",
        evidence=(Measure(f"{series.name} of exactly 0", high - low, "points", part.where(low)), broken),
        since_step=float(x[low]) if axis == "step" else None,
        innocent="a gradient norm that is not computed in this phase beside a loss that is truly 0",
        actions=(
            Action(
                f"Go back to the last checkpoint before {axis} {x[max(low - 1, 0)]:,.0f}",
                BACK,
                "stop",
            ),
            Action("Log NaN as NaN (logging_nan_inf_filter=False), then look for the overflow", "config", "repair"),
        ),
        window=Window(series.name, float(x[low]), float(x[high - 1]), axis),
    )


def sick() -> Iterator[Stage]:
    """A fp16 run that breaks in the middle, one broken from the first step, one with evaluations only."""
    loss, norm = examples.decay(200), examples.level(200)
    loss[120:], norm[118:] = 0.0, np.nan
    yield examples.stage(loss=loss, grad_norm=norm, learning_rate=1e-4)
    yield examples.stage(loss=np.zeros(50), grad_norm=np.full(50, np.nan))
    yield examples.stage(loss=loss)
    yield examples.stage(loss=loss, eval_loss=[2.0, 1.5, np.nan, np.nan, np.nan])


def healthy() -> Iterator[Stage]:
    """Zeros that are zeros: a policy whose batches had no advantage, a fit to the last bit, losses in steps; and a noisy run."""
    policy = 0.01 * np.random.default_rng(0).standard_normal(100)
    policy[20:40] = 0.0
    yield examples.stage(loss=policy, grad_norm=np.abs(policy), reward=np.linspace(0, 5, 100))
    fit = examples.decay(40)
    fit[1:] = 0.0
    yield examples.stage(loss=fit, val_loss=examples.decay(40, start=1e-3, end=1e-7))
    hinge = examples.decay(200)
    hinge[100:] = 0.0
    yield examples.stage(loss=hinge, grad_norm=examples.level(200))
    norms = examples.level(400)
    norms[:4] = np.nan
    yield examples.stage(loss=examples.decay(400), grad_norm=norms)
