"""LOSS131 vanishing-gradients."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.curves import GradNorm, LearningRate, Reward, TrainLoss
from runvet.rules import BACK, Action, Measure, Sick, Unsure, Window, rule
from runvet.run import Series, Stage

COARSE = 20.0  # a norm printed with so few units of its last digit may be 0 only on paper


@rule("LOSS131", "vanishing-gradients", level="critical", since="0.1", explains=("LOSS104", "LOSS105", "LOSS119"))
def vanishing_gradients(
    grads: GradNorm,
    loss: TrainLoss | None,
    lr: LearningRate | None,
    reward: Reward | None,
    *,
    nothing: float = 1e-6,
    tail: float = 0.1,
) -> Sick | Unsure | None:
    """The gradient norm falls to nothing while the run goes on.

    ## What it checks
    Whether the last tenth of the gradient norms (at least three) is 0, or below a millionth of its early level,
    while the learning rate is not 0. Critical where at least a third of the run is so. Zeros between ordinary values,
    reinforcement learning (no advantage, no gradient), and norms rounded to 0 by the log's format are spared.
    ## Why it matters
    Without a gradient nothing is learnt: the rest of the run costs time and changes nothing.
    ## What to do
    Find the layer where the gradient ends (log norms by layer): a saturated activation, a detached tensor, a loss
    that no longer depends on the weights, gradients zeroed after an overflow.
    ## When to ignore it
    The training set is fitted exactly and the loss is truly 0.
    ## Known limits
    A total norm hides layers that get none.
    ## References
    - Amazon SageMaker Debugger, rule VanishingGradient (mean gradient below 1e-7).
    """
    if reward is not None:
        return None
    for series in grads.series:
        part = list(series.segments())[-1].finite()
        if len(part) < 10:
            continue
        start = _gone(part, nothing)
        gone = len(part) - start
        if gone < max(3, tail * len(part)) or _resting(part, start, lr):
            continue
        if loss is not None and _improving(loss.lead, part, start):
            continue  # the loss still falls, so the norm is not that of all weights
        if _rounded(part, start):
            return Unsure(
                f"{series.name} is printed with too few digits to tell 0 from small", "log it in full precision"
            )
        return _report(part, start, gone)
    return None


def _gone(part: Series, nothing: float) -> int:
    """The index from which every norm is nothing, compared with the largest of the medians of four quarters."""
    quarters = [float(np.median(q)) for q in np.array_split(part.value, 4)]
    limit = nothing * max(quarters)
    alive = np.flatnonzero(part.value > limit)
    return int(alive[-1]) + 1 if len(alive) else 0


def _rounded(part: Series, start: int) -> bool:
    before = part.value[:start]
    before = before[before > 0]
    if not len(before) or part.value[start:].max() > 0:
        return False
    return (
        float(np.median(before[-5:])) < COARSE * float(before.min())
        and float(before.min()) >= 1e-4
        and _decimal(before)
    )


def _decimal(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bool:
    """Whether all values are multiples of 0.001 and so were rounded when they were printed."""
    return bool(np.allclose(values * 1e3, np.round(values * 1e3), atol=1e-6))


def _resting(part: Series, start: int, lr: LearningRate | None) -> bool:
    """Whether the learning rate is 0 over the span as well."""
    if lr is None or lr.lead.axis != part.axis:
        return False
    inside = lr.lead.value[lr.lead.x() >= part.x()[start]]
    return len(inside) > 0 and bool(np.all(inside == 0.0))


def _improving(loss: Series, part: Series, start: int) -> bool:
    if loss.axis != part.axis or part.axis == "point":
        return False
    after = loss.value[(loss.x() >= part.x()[start]) & np.isfinite(loss.value)]
    if len(after) < 8:
        return False
    third = len(after) // 3
    first, last = after[:third], after[-third:]
    spread = float(np.median(np.abs(np.diff(after)))) / np.sqrt(third)
    return bool(np.median(first) - np.median(last) > max(5.0 * spread, 0.02 * abs(float(np.median(first)))))


def _report(part: Series, start: int, gone: int) -> Sick:
    x, axis = part.x(), part.axis
    before = f" after a median of {np.median(part.value[:start]):.4g}" if start else ""
    top = float(part.value[start:].max())
    return Sick(
        f"{part.name} is {'0' if top == 0 else f'at most {top:.2g}'} at the last {gone} of {len(part)} points,"
        f" from {axis} {x[start]:,.0f} on{before}",
        evidence=(
            Measure(f"largest {part.name} since", top, None, part.where(start)),
            Measure("points without gradient", gone, "points"),
        ),
        since_step=float(x[start]) if axis == "step" else None,
        innocent="the training set is fitted exactly, so that no gradient is left",
        actions=(
            Action(f"Log gradient norms by layer for a few steps from {axis} {x[start]:,.0f}", "minutes", "measure"),
            Action(f"Go back to a checkpoint before {axis} {x[start]:,.0f}", BACK, "stop"),
        ),
        window=Window(part.name, float(x[start]), float(x[-1]), axis),
        level="critical" if 3 * gone >= len(part) else "warning",
    )


def sick() -> Iterator[Stage]:
    """Norms of exactly 0 from the middle on, and norms that decay over ten decades."""
    norm = examples.level(300, 1.3)
    norm[150:] = 0.0
    yield examples.stage(loss=examples.level(300, 2.3), grad_norm=norm, lr=1e-3)
    yield examples.stage(loss=examples.level(300, 2.3), grad_norm=10.0 ** -np.linspace(0, 12, 300), lr=1e-3)


def healthy() -> Iterator[Stage]:
    """Ordinary and shrinking norms, rounded ones, zeros between, a policy without advantage, a rate of 0."""
    yield examples.stage(loss=examples.decay(300), grad_norm=examples.decay(300, start=9.0, end=0.1))
    shrinking = np.round(0.4 * np.exp(-np.linspace(0, 6, 300)), 2)
    yield examples.stage(loss=np.linspace(4.0, 1.0, 300), grad_norm=shrinking)
    between = examples.level(300)
    between[::3] = 0.0
    yield examples.stage(loss=examples.decay(300), grad_norm=between)
    yield examples.stage(loss=np.zeros(100), grad_norm=np.zeros(100), reward=examples.level(100))
    ended = examples.level(300)
    ended[200:] = 0.0
    yield examples.stage(loss=examples.level(300), grad_norm=ended, lr=np.where(np.arange(300) < 200, 1e-3, 0.0))
