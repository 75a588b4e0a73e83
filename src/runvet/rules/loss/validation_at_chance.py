"""LOSS127 validation-at-chance."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from runvet import examples
from runvet.evidence.curves import TrainLoss
from runvet.evidence.nature import Nature
from runvet.evidence.vocabulary import Vocabulary
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import since
from runvet.rules.loss import _chance
from runvet.rules.loss._common import ends, guilty, last_part, num, place
from runvet.run import Series, Stage


@dataclass(frozen=True, slots=True)
class Learnt:
    """What shows that training itself learned: the series, and its level at the start and at the end."""

    series: Series
    first: float
    last: float


@rule(
    "LOSS127",
    "validation-at-chance",
    level="critical",
    since="0.1",
    explains=("LOSS105", "LOSS106", "LOSS107", "LOSS108", "LOSS109", "LOSS118", "LOSS120"),
)
def validation_at_chance(
    stage: Stage,
    nature: Nature,
    loss: TrainLoss | None,
    vocabulary: Vocabulary | None,
    *,
    fewest: float = 5.0,  # evaluations
    learned: float = 0.5,  # of the way from chance to a perfect score on the training data
    near_zero: float = 0.05,  # of a correlation, at its best evaluation
) -> Sick | Unsure | None:
    """Training learns its data, and no evaluation was ever better than chance.

    ## What it checks
    Validation accuracies that keep to 1/K for K classes that settings or log name, areas under a curve at 0.5 and
    correlations (R², kappa, MCC) at 0, at each of five evaluations or more from the first on; while training accuracy comes at least half the way from
    chance to 1, or, where none is logged, the training loss falls below half of a uniform guess.
    ## Why it matters
    Overfitting begins above chance: before a model memorises it learns something that helps a little elsewhere. One that never
    does is evaluated on something else than it is trained on: labels in another order, another preprocessing, another class mapping.
    ## What to do
    Put training samples through the validation code. If they score at chance too, the code is the cause; if not, compare the
    labels and inputs of both sets, item by item.
    ## When to ignore it
    Labels that are random on purpose; algorithmic tasks that generalise late (grokking).
    ## Known limits
    A warning for correlations: targets that are mostly noise look the same. Without the number of classes, accuracies are not judged. An unbalanced validation set has another chance level.
    ## References
    - Zhang et al. 2017, Understanding deep learning requires rethinking generalization (random labels).
    """
    if nature.reinforcement or nature.adversarial or nature.contrastive:
        return Unsure("scores of this kind of training have no chance level")
    held = [s for s in (*_chance.scores(stage), *_zero(stage)) if s.split in ("val", "test")]
    if not held:
        return Unsure("no validation accuracy", "log val/acc at every evaluation")
    if any(_clears(s, vocabulary, near_zero) for s in held):
        return None
    for series in held:
        part = last_part(series, int(fewest))
        level = _level(series, vocabulary, near_zero)
        if part is None or level is None:
            continue
        learnt = _trained(stage, series, loss, vocabulary, learned)
        if learnt is not None:
            return _told(part, level, learnt)
    return None


def _zero(stage: Stage) -> tuple[Series, ...]:
    return tuple(s for s in stage.role("val_metric", "test_metric") if _chance.has_zero_chance(s))


def _level(series: Series, vocabulary: Vocabulary | None, near_zero: float) -> str | None:
    """The chance level that a score keeps to, in words."""
    if _chance.has_zero_chance(series):
        v = _chance.scaled(series)
        return "0, chance" if len(v) >= _chance.FEWEST and float(v.max()) < near_zero else None
    told = _chance.chance(series, vocabulary)
    return None if told is None or told.startswith("about") else told


def _clears(series: Series, vocabulary: Vocabulary | None, near_zero: float) -> bool:
    """Whether a score was above chance: then what is wrong with another one is not the data."""
    if _chance.has_zero_chance(series):
        v = _chance.scaled(series)
        return len(v) > 0 and float(v.max()) >= 2.0 * near_zero
    return len(_chance.scaled(series)) > 0 and _chance.above_chance(series, vocabulary)


def _trained(
    stage: Stage, held: Series, loss: TrainLoss | None, vocabulary: Vocabulary | None, learned: float
) -> Learnt | None:
    """Proof that training learned: its own score, or a loss far below that of a uniform guess."""
    classes = min((a.size for a in vocabulary.of("classes")), default=0) if vocabulary else 0
    zero, area = _chance.has_zero_chance(held), _chance.is_auc(held)
    floor = 0.0 if zero else 0.5 if area else 1.0 / classes if classes else 1.0
    for one in stage.series:
        same = _chance.has_zero_chance(one) == zero and _chance.is_auc(one) == area
        if one.split != "train" or one.direction != "up" or not same or len(_chance.scaled(one)) < _chance.FEWEST:
            continue
        if not (zero or area) and one.role != "train_accuracy":
            continue
        scale = 0.01 if one.maximum > 1.5 else 1.0
        first, last = ends(one.value)
        if scale * last >= floor + learned * (1.0 - floor):
            return Learnt(one, first, last)
    if loss is not None and loss.is_total and classes and not zero:
        first, last = ends(loss.lead.value)
        if 0.0 < last < 0.5 * math.log(classes) and last < 0.5 * first:
            return Learnt(loss.lead, first, last)
    return None


def _told(part: Series, level: str, learnt: Learnt) -> Sick:
    x, v = part.x(), part.value
    return Sick(
        f"{part.name} stays between {num(float(v.min()))} and {num(float(v.max()))} in {len(v)} evaluations, {level},"
        f" while {learnt.series.name} goes from {num(learnt.first)} to {num(learnt.last)}: validation was never above chance",
        (
            Measure(f"best {part.name}", float(v.max()), None, part.where(int(np.argmax(v)))),
            Measure(f"median of {part.name}", float(np.median(v)), None, part.where(0)),
            Measure(f"last {learnt.series.name}", float(f"{learnt.last:.5g}"), None, learnt.series.where(-1)),
        ),
        since(part, float(x[min(len(x) - 1, 4)])),
        "labels that are random on purpose, or a task that generalises only late",
        (
            Action("Put training samples through the validation code: they must score as in training", "minutes", "measure"),
            Action("Compare labels, their order and the preprocessing of the two sets item by item", "minutes", "measure"),
            Action(f"Keep no checkpoint for its {part.name} since {place(part, float(x[0]))}", "the choice so far", "repair"),
        ),
        guilty(part, float(x[0])),
        level="warning" if _chance.has_zero_chance(part) else None,
    )  # fmt: skip


def sick() -> Iterator[Stage]:
    """Shuffled validation labels: ten classes, two that are told by the area, a loss alone, a regression."""
    rng = np.random.default_rng(0)
    rise, loss = np.linspace(0.2, 0.98, 40), examples.decay(40, start=2.3, end=0.05)
    chance = 0.1 + 0.004 * rng.standard_normal(40)
    yield examples.stage(
        train_loss=loss, train_acc=rise, val_loss=np.linspace(2.3, 8, 40), val_acc=chance, settings={"num_classes": 10}
    )
    area = 0.5 + 0.006 * rng.standard_normal(40)
    yield examples.stage(train_loss=loss, train_auc=np.linspace(0.6, 0.99, 40), val_auc=area)
    yield examples.stage(train_loss=loss, val_acc=100 * chance, settings={"num_classes": 10})
    yield examples.stage(train_loss=loss, train_r2=rise, val_r2=-0.05 + 0.01 * rng.standard_normal(40))


def healthy() -> Iterator[Stage]:
    """Overfitting above chance, a hard binary task, training that has not learned either, one that generalises late."""
    rng = np.random.default_rng(1)
    rise, loss = np.linspace(0.2, 0.98, 40), examples.decay(40, start=2.3, end=0.05)
    yield examples.stage(
        train_loss=loss, train_acc=rise, val_acc=0.2 + 0.01 * rng.standard_normal(40), settings={"num_classes": 10}
    )
    yield examples.stage(
        train_loss=examples.decay(40, start=0.69, end=0.6),
        train_acc=np.linspace(0.55, 0.7, 40),
        val_acc=0.64 + 0.01 * rng.standard_normal(40),
        settings={"num_labels": 2},
    )
    late = np.concatenate([np.full(30, 0.1), np.linspace(0.1, 0.9, 10)])
    yield examples.stage(train_loss=loss, train_acc=rise, val_acc=late, settings={"num_classes": 10})
