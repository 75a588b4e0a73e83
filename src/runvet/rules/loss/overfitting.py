"""LOSS105 overfitting."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from runvet import examples
from runvet.evidence.curves import TrainLoss, ValLoss, ValMetrics
from runvet.evidence.nature import Nature
from runvet.report import Level
from runvet.rules import BACK, Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import since
from runvet.rules.loss._common import ends, guilty, improves, last_part, num, place, shared_axis
from runvet.run import FloatArray, Series, Stage
from runvet.statistics import best_index, finite_values, noise, overfit_small, rising


@dataclass(frozen=True, slots=True)
class Worse:
    """A validation loss that got worse after its best: where, from, to, in units of its noise."""

    at: float
    index: int
    best: float
    last: float
    in_noise: float


@rule("LOSS105", "overfitting", level="critical", since="0.1", explains=("LOSS109", "LOSS119"))
def overfitting(
    stage: Stage,
    val: ValLoss | None,
    nature: Nature,
    loss: TrainLoss | None,
    metrics: ValMetrics | None,
    *,
    worse: float = 0.05,  # of the best validation loss: less is the wobble of an evaluation
    grave: float = 0.25,  # critical from here on, where no metric improves
    despite: float = 0.30,  # a loss may rise so much while the metric improves: over-confidence, not worse ranking
) -> Sick | Unsure | None:
    """The validation loss has its best value early and rises since, while the training loss falls.

    ## What it checks
    Evaluations of the last uninterrupted part: the best one lies in the first two thirds, the later ones rise beyond
    their noise and by 5 % at least, and the training loss fell in the meantime. Critical where validation lost 25 %
    and no validation metric improved.
    ## Why it matters
    The last checkpoint is worse than the one at the minimum, and the steps since then only memorise.
    ## What to do
    Use the checkpoint at the minimum, stop earlier next time; more data, augmentation or weight decay.
    ## When to ignore it
    Where the metric that matters keeps improving: a cross entropy rises when few confident answers are wrong.
    ## Known limits
    Without a training loss the two causes, overfitting and divergence, can't be told apart; it is still told.
    ## References
    - Prechelt, Early Stopping - But When?, 1998.
    """
    if nature.reinforcement or nature.adversarial:
        return Unsure("validation losses of reinforcement learning and of adversaries do not measure fit")
    held_out = val.series if val is not None else _bare(stage)
    if not held_out:
        return Unsure("no validation loss", "log val/loss at every evaluation")
    for series in held_out:
        part = last_part(series, 4)
        found = _worse(part) if part is not None else None
        if part is None or found is None or not found.last > found.best:
            continue
        size = (found.last - found.best) / abs(found.best) if found.best > 0 else math.nan
        if size < (worse if len(part) < 40 else 0.6 * worse):  # many evaluations say so more surely
            continue
        trend = _training(stage, loss, part, found.at)
        if trend is not None and trend[1] - trend[0] > max(trend[2], 0.0):
            continue  # both get worse: that is divergence
        better = [
            s
            for s in (metrics.series if metrics else ())
            if s.axis == part.axis and s.total > 3 and improves(s, found.at)
        ]
        if better and not size > despite:
            continue
        level: Level | None = None if size >= grave and not better and trend is not None else "warning"
        return _told(part, found, size, trend, better[0] if better else None, level)
    return None


def _bare(stage: Stage) -> tuple[Series, ...]:
    """A `loss` without a split, logged more rarely than one that says `train`: that of an evaluation."""
    losses = stage.role("train_loss")
    told = max((s.total for s in losses if s.split == "train"), default=0)
    return tuple(s for s in losses if s.split is None and 3 < s.total * 2 <= told)


def _worse(part: Series) -> Worse | None:
    v, x = part.value, part.x()
    small = overfit_small(v)
    if small is not None:
        return Worse(float(x[small.best_index]), small.best_index, small.best, small.last, small.in_noise)
    if len(v) < 20:
        return None
    big = rising(x, v) or (rising(x, v, warmup=0.0) if len(v) < 60 else None)
    if big is None and len(v) < 40:
        return _middle(part)
    if big is None or (big.x - float(x[0])) > 0.7 * float(x[-1] - x[0]):
        return None
    return Worse(big.x, int(np.argmin(np.abs(x - big.x))), big.best, big.last, big.size_in_se)


def _middle(part: Series) -> Worse | None:
    """20 to 39 evaluations whose best lies past the middle: the last fifth must all lie far above it."""
    v, x = part.value, part.x()
    best = best_index(v)
    if best is None or best > 0.67 * len(v) or best < 2:
        return None
    floor = float(np.median(v[max(0, best - 1) : best + 2]))
    tail = v[-max(4, len(v) // 5) :]
    steps = np.abs(np.diff(v))
    wobble = float(np.median(steps)) if len(steps) else 0.0
    if float(tail.min()) - floor > 4.0 * wobble:
        return Worse(
            float(x[best]),
            best,
            float(v[best]),
            float(np.median(tail)),
            (float(tail.min()) - floor) / max(wobble, 1e-300),
        )
    return None


def _training(stage: Stage, loss: TrainLoss | None, val: Series, at: float) -> tuple[float, float, float] | None:
    """The training loss (else perplexity) around x = `at` and at the end, and what its noise explains.

    None without a shared axis.
    """
    whole = loss.series if loss is not None and loss.is_total else ()
    losses = [s for s in whole if s.role == "train_loss"]
    for series in (*sorted(losses, key=lambda s: s.split != "train"), *stage.role("train_perplexity")):
        if series.name == val.name:
            continue
        axes = shared_axis(series, val)
        if axes is None or len(series) < 4:
            continue
        x, xv = axes
        place_at = float(xv[np.argmin(np.abs(val.x() - at))])
        reach = 0.1 * float(x[-1] - x[0])
        near = finite_values(series.value[(x >= place_at - reach) & (x <= place_at + reach)])
        if len(near):
            few = max(1, min(len(near), len(series) // 10))
            return float(np.median(near)), ends(series.value)[1], 4.0 * noise(series.value) / math.sqrt(few)
    return None


def _told(
    part: Series,
    found: Worse,
    size: float,
    trend: tuple[float, float, float] | None,
    better: Series | None,
    level: Level | None,
) -> Sick:
    x = part.x()
    grows = f" ({size:+.0%})" if math.isfinite(size) else ""
    message = (
        f"{part.name} is best, {num(found.best)}, at {place(part, found.at)} and {num(found.last)} at the end{grows}"
    )
    if trend is not None:
        verb = "falls" if trend[1] < trend[0] else "goes"
        message += f", while the training loss {verb} from {num(trend[0])} to {num(trend[1])}"
    message += ": overfitting" + (f", though {better.name} still improves" if better else "")
    return Sick(
        message,
        (
            Measure(f"best {part.name}", found.best, None, part.where(found.index)),
            Measure(f"last {part.name}", float(part.last), None, part.where(len(part) - 1)),
            *((Measure("training loss there and at the end", f"{num(trend[0])}, {num(trend[1])}"),) if trend else ()),
        ),
        since(part, found.at),
        "a metric that matters more than the loss keeps improving",
        (
            Action(f"Go back to the checkpoint at {place(part, found.at)}", BACK, "keep"),
            Action("Stop early on this loss; add data, augmentation or weight decay", "config", "change"),
        ),
        guilty(part, found.at, float(x[-1])),
        level=level,
    )


def _valley(n: int, at: float, rise: float) -> FloatArray:
    x = np.linspace(0, 1, n)
    return np.asarray(2.0 - 1.2 * np.minimum(x / at, 1.0) ** 0.5 + rise * np.clip((x - at) / (1 - at), 0, None))


def sick() -> Iterator[Stage]:
    """Few and many evaluations with an early best, and one whose best lies two thirds in."""
    yield examples.stage(loss=examples.decay(1000), val_loss=_valley(10, 0.3, 0.8))
    rng = np.random.default_rng(0)
    yield examples.stage(loss=examples.decay(3000), val_loss=_valley(300, 0.4, 0.9) + 0.02 * rng.standard_normal(300))
    yield examples.stage(loss=examples.decay(3000), val_loss=_valley(500, 0.65, 0.9) + 0.03 * rng.standard_normal(500))


def healthy() -> Iterator[Stage]:
    """Falling and wobbling evaluations, a plateau, an early best by luck, accuracy that improves."""
    yield examples.stage(loss=examples.decay(1000), val_loss=examples.decay(10))
    rng = np.random.default_rng(1)
    yield examples.stage(loss=examples.decay(1000), val_loss=examples.decay(60) + 0.1 * rng.standard_normal(60))
    yield examples.stage(loss=examples.decay(1000), val_loss=[1.6, 1.1, 1.02, 1.05, 1.01, 1.04, 1.03])
    yield examples.stage(
        loss=examples.decay(1000), val_loss=_valley(12, 0.3, 0.12), val_accuracy=np.linspace(0.4, 0.8, 12)
    )
