"""LOSS106 loss-at-baseline."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from runvet import examples
from runvet.evidence.alphabets import Alphabet
from runvet.evidence.curves import LearningRate
from runvet.evidence.nature import Nature
from runvet.evidence.vocabulary import Vocabulary
from runvet.report import Level
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import since
from runvet.rules.loss import _chance
from runvet.rules.loss._common import guilty, improves, last_part, num, place
from runvet.run import Series, Stage
from runvet.statistics import finite_values, level_near


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a model that ignores its input reaches: the value, what it is, and how near a loss must lie."""

    value: float
    what: str
    tolerance: float
    known: bool
    collapse: bool = (
        False  # of a self-supervised model: its first hundreds of steps are there, and its probes may be above chance
    )


COIN = Baseline(math.log(2), "ln 2 = 0.6931, a coin toss", 0.004, False)
BOTH = Baseline(2 * math.log(2), "2 ln 2 = 1.3863, a discriminator that tells nothing apart", 0.01, False)
NAMED = (
    "bce",
    "cross",
    "ce_",
    "_ce",
    "nll",
    "xent",
    "cls",
    "dino",
    "ibot",
    "contrast",
    "nce",
    "itc",
    "clip_loss",
    "swav",
)
COLLAPSE = ("prototypes", "candidates")


@rule(
    "LOSS106", "loss-at-baseline", level="critical", since="0.1", explains=("LOSS104", "LOSS108", "LOSS119", "LOSS120")
)
def loss_at_baseline(
    stage: Stage,
    nature: Nature,
    vocabulary: Vocabulary | None,
    lr: LearningRate | None,
    *,
    share: float = 0.85,  # of the last four fifths of the run that must lie at the baseline
    fewest: float = 8.0,  # evaluations or losses
) -> Sick | Unsure | None:
    """The loss (or accuracy) stays where a model that ignores its input is.

    ## What it checks
    Losses that stay at ln 2, at ln K for a number of classes, tokens or codes K that settings or log name, or at 2 ln 2
    for a discriminator; self-supervised losses that stay at ln K for K prototypes of the head, a queue, or the candidates
    of a batch, once the warm-up is over; accuracies that stay at 1/K and areas under a curve that stay at 0.5. For most of the run, not at its start.
    ## Why it matters
    The model answers the same whatever it sees. It has learned nothing.
    ## What to do
    Check labels and their order, that gradients reach the first layer, and the learning rate; overfit one batch.
    ## When to ignore it
    A discriminator at chance late in a run that has otherwise gone well; data without any signal.
    ## Known limits
    The number of classes should be known, from a configuration or a data set's name; else only 10 and 100 are tried. Class weights and label smoothing shift baselines.
    ## References
    - Failure reports: tensorflow/tensorflow#12287, Atomu2014/product-nets#1, huggingface/transformers#4727.
    """
    scores = [s for s in _chance.scores(stage) if len(finite_values(s.value)) >= fewest]
    lucky = [s for s in scores if _chance.above_chance(s, vocabulary)]
    judged = 0
    for series in judged_losses(stage):
        part = last_part(series, int(fewest))
        if part is None:
            continue
        judged += 1
        tail = part.value[len(part) // 5 :]
        for base in _baselines(series, vocabulary):
            near = level_near(tail, base.value, rel=base.tolerance)
            if not near.share >= share or abs(near.deviation) > base.tolerance / 2:
                continue
            if (not settled(part, lr) or _improving(scores, part)) if base.collapse else lucky:
                continue
            exact = base.known or abs(near.deviation) < 0.001
            at_chance = next((s for s in scores if _chance.chance(s, vocabulary) is not None), None)
            late = nature.adversarial and series.role == "discriminator_loss"
            level: Level | None = (
                None if (exact and at_chance is not None) or (base.known and near.share > 0.95) else "warning"
            )
            return _told(part, base, near.share, at_chance, vocabulary, "warning" if late else level)
    for series in scores:
        part = last_part(series, int(fewest))
        chance = _chance.chance(series, vocabulary)
        if part is not None and chance is not None and not lucky:
            return _metric(part, chance)
    return None if judged or scores else Unsure("too few losses or metrics", "log the loss at every step or epoch")


def judged_losses(stage: Stage) -> tuple[Series, ...]:
    """Totals, discriminators and the terms whose names tell of a cross entropy."""
    roles = ("train_loss", "val_loss", "discriminator_loss")
    named = tuple(s for s in stage.role("loss_term") if any(w in s.name.lower() for w in NAMED))
    return stage.role(*roles) + named


def _baselines(series: Series, vocabulary: Vocabulary | None) -> Iterator[Baseline]:
    if series.role == "discriminator_loss":
        yield BOTH
    for one in vocabulary.alphabets if vocabulary else ():
        collapse = one.what in COLLAPSE
        near = COIN.tolerance if one.size == 2 else 0.005 if collapse else 0.01
        yield Baseline(one.nats, uniform(one), near, True, collapse)
    yield COIN
    for size in (10, 100, 1000):
        yield Baseline(
            math.log(size), f"ln {size:,} = {math.log(size):.4g}, a uniform guess among {size:,} classes", 0.0015, False
        )


def uniform(one: Alphabet) -> str:
    """`ln 256 = 5.545, a uniform guess among candidates (batch_size in config.yaml)`."""
    return f"ln {one.size:,} = {one.nats:.4g}, a uniform guess among {one.what} ({one.source})"


def settled(part: Series, lr: LearningRate | None) -> bool:
    """Whether a self-supervised run is past the time that every run spends near a uniform guess."""
    x = part.x()
    least = {"step": 1000.0, "epoch": 5.0, "point": 200.0}[part.axis]
    if float(x[-1] - x[0]) < least:
        return False
    rate = finite_values(lr.lead.value) if lr is not None else np.empty(0)
    return not len(rate) > 3 or float(rate[-1]) < float(rate.max()) or float(rate[-1]) <= float(rate[len(rate) // 2])


def _improving(scores: list[Series], part: Series) -> bool:
    x = part.x()
    return any(improves(s, float(x[len(x) // 3])) for s in scores if s.axis == part.axis)


def _told(
    part: Series,
    base: Baseline,
    share: float,
    metric: Series | None,
    vocabulary: Vocabulary | None,
    level: Level | None,
) -> Sick:
    x = part.x()
    near = np.flatnonzero(np.abs(part.value - base.value) <= base.tolerance * base.value)
    start = float(x[near[0]])
    median = float(np.median(part.value[len(part) // 5 :]))
    message = (
        f"{part.name} stays at {num(median)} from {place(part, start)} on ({share:.0%} of the values): {base.what}"
    )
    if metric is not None:
        message += f"; {metric.name} stays at {_chance.chance(metric, vocabulary)}"
    return Sick(
        message,
        (
            Measure(f"median of {part.name}", round(median, 6), None, part.where(int(near[0]))),
            Measure("baseline", round(base.value, 6), "nats"),
            Measure("share of values at the baseline", round(share, 3)),
        ),
        since(part, start),
        "data without a signal, or a loss whose level is there by chance",
        _actions(collapse=base.collapse),
        guilty(part, start),
        level=level,
    )


def _metric(part: Series, chance: str) -> Sick:
    x, v = part.x(), part.value
    return Sick(
        f"{part.name} stays between {num(float(v.min()))} and {num(float(v.max()))} in {len(part)} evaluations: {chance}",
        (
            Measure(f"median of {part.name}", float(np.median(v)), None, part.where(0)),
            Measure(f"best {part.name}", float(v.max()), None, part.where(int(np.argmax(v)))),
        ),
        since(part, float(x[len(x) // 5])),
        "data without a signal",
        _actions(),
        guilty(part, float(x[0])),
        level="warning" if chance.startswith("about") else None,
    )


def _actions(*, collapse: bool = False) -> tuple[Action, ...]:
    if collapse:
        return (
            Action("Stop: every input gets the same representation", "now, free", "stop"),
            Action(
                "Log the standard deviation of the representations over a batch: near 0 is a collapse",
                "a line",
                "measure",
            ),
            Action(
                "Check temperatures, the teacher's centring and momentum, stopped gradients and the learning rate",
                "config",
                "change",
            ),
        )
    return (
        Action("Stop: the model does not use its input", "now, free", "stop"),
        Action("Train on one batch alone: its loss must go to zero", "minutes", "measure"),
        Action("Check labels, the gradient of the first layer and which weights are trained", "minutes", "measure"),
    )


def sick() -> Iterator[Stage]:
    """A coin toss, a uniform guess among known classes, an accuracy and an area under the curve at chance."""
    yield examples.stage(
        loss=examples.level(60, math.log(2), noise=0.0005), val_auc=examples.level(20, 0.5, noise=0.004)
    )
    yield examples.stage(loss=examples.level(300, math.log(37), noise=0.002), settings={"model.num_classes": 37})
    yield examples.stage(val_accuracy=examples.level(26, 11.5, noise=0.04), settings={"data.dataset": "cifar10"})
    pairs = examples.level(2000, math.log(256), noise=0.002)
    yield examples.stage(contrastive_loss=pairs, settings={"method": "simclr", "batch_size": 256})
    yield examples.stage(
        dino_loss=examples.level(2000, math.log(4096), noise=1e-5), settings={"head_n_prototypes": 4096}
    )


def healthy() -> Iterator[Stage]:
    """Starts there and leaves, learns in spite of it, lies near by chance, and contrastive starts."""
    yield examples.stage(loss=examples.decay(300, start=math.log(10), end=0.2), settings={"num_classes": 10})
    yield examples.stage(loss=examples.level(60, math.log(2), noise=0.001), val_auc=np.linspace(0.5, 0.8, 20))
    yield examples.stage(loss=examples.level(500, 0.69, noise=0.05))
    start = examples.level(300, math.log(256), noise=0.002)  # the warm-up of a contrastive run
    yield examples.stage(loss=start, lr=np.linspace(0, 1e-3, 300), settings={"loss": "infonce", "batch_size": 256})
    yield examples.stage(
        loss=examples.decay(300), val_accuracy=np.linspace(10, 71, 30), settings={"dataset": "cifar10"}
    )
