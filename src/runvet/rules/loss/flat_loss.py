"""LOSS104 flat-loss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from runvet import examples
from runvet.evidence.curves import TrainLoss, TrainMetrics, ValLoss, ValMetrics
from runvet.evidence.nature import Nature
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import since
from runvet.rules.loss._common import ends, guilty, last_part, num, place, progress
from runvet.run import Series, Stage
from runvet.statistics import finite_values, flat_from_start, noise


@dataclass(frozen=True, slots=True)
class Level:
    """A loss that did not move: its first and last value and the largest change that it can hide."""

    first: float
    last: float
    what: str


@rule("LOSS104", "flat-loss", level="warning", since="0.1", explains=("LOSS119",))
def flat_loss(
    loss: TrainLoss,
    nature: Nature,
    val_loss: ValLoss | None,
    metrics: ValMetrics | None,
    train_metrics: TrainMetrics | None,
    *,
    moved: float = 0.02,  # a run of several epochs that gains less than 2 % of its loss learns hardly anything
    others: float = 0.03,  # what validation may move and still agree
    epochs: float = 5.0,
    steps: float = 500.0,  # a benchmark of a few hundred steps is no training
) -> Sick | Unsure | None:
    """The training loss hardly moves from its start on.

    ## What it checks
    Runs of at least five epochs (or 500 steps) from their beginning: the loss changes by less than 2 %, noise is small enough to
    say so, and no validation loss or metric improves either. Also noisy runs whose loss and training metric are both
    no better at the end than at the start.
    ## Why it matters
    Nothing is learned. More epochs of the same will not change that.
    ## What to do
    Look at what reaches the parameters: frozen layers, a learning rate of the wrong size, targets of the wrong
    scale, a saturated output layer. Overfit one batch first.
    ## When to ignore it
    Training that goes on from finished weights; a throughput benchmark.
    ## Known limits
    Losses around zero have no scale and are only judged beside a metric. A good start that the log does not tell looks the same.
    ## References
    - Karpathy, A Recipe for Training Neural Networks, 2019; pavancm/CONTRIQUE#30.
    """
    if nature.reinforcement or nature.adversarial or nature.contrastive:
        return Unsure("the loss of this kind of training is no measure of learning")
    if nature.continued:
        return Unsure(f"the run goes on from earlier weights ({nature.continued})")
    part = last_part(loss.lead, 5)
    if part is None or not loss.is_total:
        return Unsure("too few training losses", "log the total training loss at every step or epoch")
    if not _long_enough(part, epochs, steps):
        return Unsure("too short to tell", f"train for at least {epochs:.0f} epochs or {steps:.0f} steps")
    held = [s for group in (val_loss, metrics) if group for s in group.series]
    curves = [s for s in held if s.direction and len(finite_values(s.value)) >= 3]
    if any(_good(s) for s in curves):
        return None
    level = _flat(part, moved)
    if level is not None and any(not abs(progress(s)) < others for s in curves):
        return None
    if level is None:
        told = train_metrics.series if train_metrics else ()
        trained = [s for s in told if len(finite_values(s.value)) >= 20]
        level = _no_gain(part, [*trained, *curves]) if trained else None
    if level is None:
        return None
    return _told(part, level, curves)


def _long_enough(part: Series, epochs: float, steps: float) -> bool:
    known = np.isfinite(part.epoch)
    if known.any():
        span = float(part.epoch[known][-1] - part.epoch[known][0])
        return span >= epochs - 1 and float(part.epoch[known][0]) <= 1.0
    if part.axis == "step":
        return float(part.x()[-1] - part.x()[0]) >= steps
    return False


def _good(series: Series) -> bool:
    """Whether a bounded score is already high: finished weights stay where they are."""
    top = finite_values(series.value)
    if series.direction != "up" or not len(top):
        return False
    return bool(0.8 <= np.median(top) <= 1.0 or 80.0 <= np.median(top) <= 100.0)


def _flat(part: Series, moved: float) -> Level | None:
    v = part.value
    if not float(v.min()) > 0.0:
        return None
    first, last = float(v[0]), float(v[-1])
    if len(v) < 40:
        whole = float(v.max() - v.min()) / float(np.median(v))
        if whole < moved and len(v) >= 5:
            return Level(first, last, f"{(last - first) / first:+.2%} in {len(v)} values")
        return None
    found = flat_from_start(part.x(), v)
    if found is None or 3.0 * found.se > 0.01 * found.level:
        return None  # moving, or too noisy to tell
    a, b = ends(v)
    return Level(a, b, f"{found.change / found.level:+.2%} from the first to the last third, of {found.level:.4g}")


def _no_gain(part: Series, curves: list[Series]) -> Level | None:
    """Whether neither the loss nor any metric is better in its second half than in its first tenth."""
    if len(part) < 20 or len(part) >= 2000:
        return None
    for one in (part, *curves):
        v = finite_values(one.value) * (-1.0 if one.direction == "up" else 1.0)
        k = max(2, len(v) // 10)
        start, half = float(np.median(v[:k])), float(np.median(v[len(v) // 2 :]))
        quarter = float(np.median(v[: max(3, len(v) // 4)]))
        if half < start - 0.5 * noise(v) / np.sqrt(k) or half < quarter - 2.0 * noise(v) / np.sqrt(max(3, len(v) // 4)):
            return None
    a, b = ends(part.value)
    return Level(a, b, f"neither it nor {curves[0].name} ({', '.join(num(x) for x in ends(curves[0].value))}) improves")


def _told(part: Series, level: Level, curves: list[Series]) -> Sick:
    x = part.x()
    beside = [
        f"{s.name} {num(float(finite_values(s.value)[0]))} to {num(float(finite_values(s.value)[-1]))}"
        for s in curves[:2]
    ]
    return Sick(
        f"{part.name} is flat: it hardly moved, {num(level.first)} at {place(part, float(x[0]))} to {num(level.last)} at"
        f" {place(part, float(x[-1]))} ({level.what})" + (f"; {', '.join(beside)}" if beside else ""),
        (
            Measure(f"first {part.name}", level.first, None, part.where(0)),
            Measure(f"last {part.name}", level.last, None, part.where(len(part) - 1)),
            *(Measure(f"{s.name}, first and last", f"{num(s.first)}, {num(s.last)}") for s in curves[:3]),
        ),
        since(part, float(x[min(len(x) - 1, max(1, len(x) // 5))])),
        "training that goes on from weights that were already finished",
        (
            Action("Train on one batch alone: its loss must go to its floor", "minutes", "separate"),
            Action(
                "Compare the range of predictions with that of the targets: one far too narrow is a fault of scale, or of the targets",
                "minutes",
                "measure",
            ),
            Action("Check that the parameters change and the learning rate has the right size", "config", "change"),
        ),
        guilty(part, float(x[0])),
    )


def sick() -> Iterator[Stage]:
    """Seven epochs that gain 1 %, a long flat line, noise that goes nowhere."""
    yield examples.stage(
        loss=[41.2, 40.95, 40.9, 40.88, 40.86, 40.85, 40.84], val_l2_error=[42.0, 41.9, 41.9, 41.88, 41.87, 41.86, 41.86],
        epochs=np.arange(1, 8), steps=np.arange(1, 8) * 100,
    )  # fmt: skip
    yield examples.stage(loss=examples.level(5000, 1.7, noise=0.05))
    rng = np.random.default_rng(3)
    yield examples.stage(
        train_loss=3 + 0.3 * rng.standard_normal(40), train_acc=0.12 + 0.05 * rng.standard_normal(40),
        epochs=np.arange(40) / 2, steps=np.arange(40) * 50,
    )  # fmt: skip


def healthy() -> Iterator[Stage]:
    """Learning runs, finished weights, a noisy loss that hides its gain, metrics that move."""
    yield examples.stage(loss=examples.decay(2000))
    yield examples.stage(loss=[2.7, 2.1, 1.8, 1.7, 1.74, 1.65], epochs=np.arange(1, 7), steps=np.arange(6))
    yield examples.stage(loss=examples.level(4000, 0.2, noise=0.6))
    yield examples.stage(
        loss=examples.level(60, 0.30, noise=0.01),
        val_accuracy=examples.level(60, 0.93, noise=0.002),
        epochs=np.arange(60),
    )
    yield examples.stage(
        loss=examples.level(60, 0.69, noise=0.002), val_auc=np.linspace(0.5, 0.62, 60), epochs=np.arange(60)
    )
