"""LOSS102 lost-progress."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.curves import LearningRate, TrainLoss, ValLoss, ValMetrics
from runvet.evidence.nature import Nature
from runvet.rules import BACK, Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import since
from runvet.rules.loss._common import ends, guilty, improves, num, parts, place
from runvet.run import Series, Stage
from runvet.statistics import StepUp, finite_values, never_regained, rising

STARTS = re.compile(r"(?i)(?:^|[._])(?:\w+_)?(?:start|begin)(?:_(?:step|iter|epoch|at))?s?$")

OTHER = re.compile(
    r"(?i)resum|restart|load|ckpt|checkpoint|save|eval|val_|log|lr|rate|decay|ema"
)  # starts that add no term


@rule("LOSS102", "lost-progress", level="critical", since="0.1", explains=("LOSS103", "LOSS104", "LOSS119"))
def lost_progress(
    stage: Stage,
    loss: TrainLoss,
    nature: Nature,
    lr: LearningRate | None,
    val_loss: ValLoss | None,
    metrics: ValMetrics | None,
    *,
    given_back: float = 0.5,  # less than half of the gain lost: the run may still be worth its time
) -> Sick | Unsure | None:
    """The training loss jumped up and never came back to its old floor.

    ## What it checks
    Bin medians of each uninterrupted part: a step up beyond the noise, after which no bin reaches the floor from
    before. Critical where at least half of the progress is lost for good; a warning for less, or where the
    learning rate was raised there or a validation metric still improves.
    ## Why it matters
    Something broke at one step: a bad batch, a diverged optimiser state, a changed data set. What was trained since
    stands on worse weights than those before.
    ## What to do
    Go back to the last checkpoint before the step, skip or look at the batches there, clip the gradient.
    ## When to ignore it
    A new phase on purpose: another data set, a new loss term or weight, a larger resolution, pruning.
    ## Known limits
    A drift up to the end is told by `rising-loss`. Losses of reinforcement learning and of adversaries are not judged.
    ## References
    - Failure reports: stanford-crfm/mistral#115, stas00/ml-engineering#32, mozilla/DeepSpeech#258.
    """
    if nature.reinforcement or nature.adversarial:
        return Unsure("losses of reinforcement learning and of adversaries jump in healthy runs")
    if not loss.is_total:
        return Unsure("only terms of the loss are logged; they trade with each other", "log the total loss")
    worst: tuple[StepUp, Series] | None = None
    for series in loss.totals:
        for part in parts(series, 40):
            found = never_regained(part.x(), part.value)
            if found is not None and not found.abrupt and rising(part.x(), part.value) is not None:
                continue  # a drift: rising-loss tells it
            if found is not None and (worst is None or found.size_in_se > worst[0].size_in_se):
                worst = (found, part)
    if worst is None:
        return None
    found, part = worst
    if nature.ramps:
        return Unsure(f"{part.name} steps up while {nature.ramps[0]} grows", "log each loss term unweighted")
    begun = _begun(stage, part, found.x)
    if begun:
        return Unsure(f"{part.name} steps up where {begun} begins", "log each loss term unweighted")
    raised = _raised(lr, found.x)
    curves = (*(val_loss.series if val_loss else ()), *(metrics.series[:3] if metrics else ()))
    improving = [s for s in curves if s.axis == part.axis and s.total > 3 and improves(s, found.x)]
    lasting = (found.last - found.before) / (found.after - found.before) if found.after > found.before else 1.0
    heavy = found.given_back >= given_back and lasting > 0.5
    x = found.x
    message = (
        f"{part.name} {'steps' if found.abrupt else 'goes'} up at {place(part, x)}, from {num(found.before)} to {num(found.after)}, and never"
        f" comes back: its best since is {num(found.since)}, {num(found.last)} at the end"
    )
    if raised:
        message += f"; the learning rate rises there from {num(raised[0])} to {num(raised[1])}"
    return Sick(
        message,
        (
            Measure(f"floor of {part.name} before", found.before),
            Measure(f"{part.name} after", found.after, None, part.where(min(found.index, len(part) - 1))),
            Measure("best since", found.since),
            Measure("size of the step", round(found.size_in_se, 1), "standard errors"),
        ),
        since(part, x),
        "a new phase on purpose: other data, a new loss term or weight, pruning or a restarted learning rate",
        (
            Action(f"Go back to the last checkpoint before {place(part, x)}", BACK, "keep"),
            Action(
                f"Look at the batches, the gradient norm and the learning rate at {place(part, x)}",
                "minutes",
                "measure",
            ),
            Action("Clip the gradient norm or lower the learning rate before going on", "config", "change"),
        ),
        guilty(part, x),
        level=None if heavy and not raised and not improving else "warning",
    )


def _begun(stage: Stage, part: Series, x: float) -> str:
    """A term of the loss that was exactly 0 until x and is not afterwards, or a setting that says that something starts there."""
    reach = 0.02 * float(part.x()[-1] - part.x()[0])
    for setting in stage.settings:
        if (
            STARTS.search(setting.key)
            and not OTHER.search(setting.key)
            and abs((setting.number or 0.0) - x) <= reach
            and x > reach
        ):
            return f"{setting.key} = {setting.value}"
    for series in stage.series:
        if (
            series.role not in ("loss_term", "train_loss", "train_error")
            or series.name == part.name
            or series.axis != part.axis
        ):
            continue
        before, after = (series.value[m] for m in (series.x() < x - reach, series.x() > x + reach))
        if len(before) >= 5 and len(after) >= 5 and not before.any() and float(np.median(after)) > 0:
            return series.name
    return ""


def _raised(lr: LearningRate | None, x: float) -> tuple[float, float] | None:
    """The learning rate before and after x, where it was raised by half within a tenth of the run."""
    if lr is None:
        return None
    axis, value = lr.lead.x(), lr.lead.value
    reach = 0.1 * float(axis[-1] - axis[0])
    near = finite_values(value[(axis >= x - reach) & (axis <= x + reach)])
    if len(near) < 2:
        return None
    low, high = ends(near, 0.3)
    top = float(near.max())
    return (low, top) if top > 1.5 * low and high > low else None


def sick() -> Iterator[Stage]:
    """A jump that is kept, and one that is only half made good."""
    yield examples.stage(loss=examples.decay(2000) + examples.step_up(2000, at=0.5, size=2.0))
    back = np.where(np.arange(2000) > 900, 1.5 * np.exp(-(np.arange(2000) - 900) / 900) + 0.5, 0.0)
    yield examples.stage(loss=examples.decay(2000) + back)


def healthy() -> Iterator[Stage]:
    """Spikes that are made good, warm restarts that go lower, noise, folds."""
    spiky = examples.decay(2000)
    spiky[1000:1010] *= 8
    yield examples.stage(loss=spiky)
    yield examples.stage(loss=examples.decay(2000, noise=0.5))
    restart = examples.decay(2000) + np.where(np.arange(2000) > 1000, np.exp(-(np.arange(2000) - 1000) / 150), 0)
    yield examples.stage(loss=restart - np.where(np.arange(2000) > 1400, 0.3, 0.0))
    steps = np.tile(np.arange(500), 3)
    yield examples.stage(steps=steps, loss=np.concatenate([examples.decay(500, seed=k) for k in range(3)]))
