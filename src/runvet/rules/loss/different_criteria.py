"""LOSS113 different-criteria."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.curves import TrainLoss, ValLoss
from runvet.roles import SPLITS, words
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import since
from runvet.rules.loss._common import collapsed, guilty, level_between, shared_axis
from runvet.run import Series, Stage
from runvet.statistics import finite_values

NOISE = {"epoch", "step", "loss", "avg", "mean", "losses"}


@rule("LOSS113", "different-criteria", level="warning", since="0.1", explains=("LOSS109",))
def different_criteria(
    stage: Stage,
    loss: TrainLoss,
    val: ValLoss,
    *,
    equal: float = 1.6,  # times: parts that differ less are the same quantity on other data
    apart: float = 3.0,  # times: totals that differ more can't be made of these parts in the same way
) -> Sick | Unsure | None:
    """Training and validation totals are different criteria: their parts agree and their sums do not.

    ## What it checks
    Parts of the loss that training and validation both log (`train/box_loss`, `val/box_loss`), in the last third of the run:
    all of them agree within a factor of 1.6, yet the totals differ more than threefold, or training's is below zero, which
    no sum of positive parts can be, and validation's is not.
    ## Why it matters
    The two totals can't be compared: a gap between them is no overfitting, and early stopping looks at another sum.
    ## What to do
    Build both totals with one function; log the weights of the parts.
    ## When to ignore it
    Where a training-only term (a regulariser, an auxiliary head) is wanted in one total and not in the other.
    ## Known limits
    At least two common parts are needed. A training total that is the sum of its parts over a whole number (gradient
    accumulation) is said to be so, and not judged.
    ## References
    - Geometry networks with weighted sums; see the documentation on totals and parts.
    """
    if not loss.is_total:
        return Unsure("no total training loss", "log the total loss beside its terms")
    pairs = _pairs(stage)
    if len(pairs) < 2:
        return Unsure(
            "training and validation have fewer than two parts in common", "log the terms of the loss for both"
        )
    parts = [r for t, v in pairs if (r := _ratio(t, v)) is not None]
    if len(parts) == len(pairs) and all(1 / equal < r < equal for r in parts) and _below_zero(loss.lead, val.lead):
        return _negative(loss.lead, val.lead, pairs, parts)
    total = _ratio(loss.lead, val.lead)
    if total is None or len(parts) < 2 or len(parts) < len(pairs):
        return Unsure("the totals share no axis, or are not positive")
    ends = [float(np.median(t.finite().value[-max(1, len(t) // 10) :])) for t, _ in pairs]
    if sum(ends) < 0.5 * float(np.median(loss.lead.finite().value[-max(1, len(loss.lead) // 10) :])):
        return None  # most of the total is made of other parts
    if not all(1 / equal < r < equal for r in parts) or 1 / apart < total < apart:
        return None
    series = val.lead
    share = _divided(loss.lead, series, pairs)
    if share is not None:
        return Unsure(f"{loss.lead.name} is the sum of its parts divided by {share}, as gradient accumulation does, and {series.name} is not",
                      "log the loss before it is divided, so that it can be compared with validation")  # fmt: skip
    names = ", ".join(f"{v.name} {r:.2f} times" for (_, v), r in list(zip(pairs, parts, strict=True))[:3])
    return Sick(
        f"{series.name} is {total:.3g} times {loss.lead.name}, while the parts agree ({names} those of training): the two totals are different criteria",
        (
            Measure(f"{series.name} over {loss.lead.name}", round(total, 4), "times", series.where(len(series) - 1)),
            *(
                Measure(f"{v.name} over {t.name}", round(r, 4), "times")
                for (t, v), r in list(zip(pairs, parts, strict=True))[:6]
            ),
        ),
        since(series, float(series.x()[0])),
        "a regulariser that is wanted in one total and not in the other",
        (Action("Build both totals with one function and the same weights", "a few lines", "repair"),),
        guilty(series, float(series.x()[0])),
    )


def _divided(train: Series, val: Series, pairs: list[tuple[Series, Series]]) -> int | None:
    """The whole number by which the training total is smaller than the sum of its parts, where validation's is that sum."""
    sides = []
    for total, parts in (
        (train.finite(), [t.finite() for t, _ in pairs]),
        (val.finite(), [v.finite() for _, v in pairs]),
    ):
        if any(len(p) != len(total) for p in parts) or len(total) < 2 or not total.minimum > 0:
            return None
        sides.append(sum(p.value for p in parts) / total.value)
    times, held = sides
    middle = float(np.median(times))
    whole = round(middle)
    steady = np.quantile(np.abs(times - middle), 0.9) < 0.03 * middle
    right = whole >= 2 and abs(middle - whole) < 0.03 * whole and abs(float(np.median(held)) - 1) < 0.03
    return whole if right and steady else None


def _below_zero(train: Series, val: Series) -> bool:
    """Whether training's total is below zero in its last tenth, and validation's never is."""
    train, val = train.finite(), val.finite()
    late = train.value[-max(5, len(train) // 10) :]
    return len(train) >= 20 and len(val) >= 2 and float(np.quantile(late, 0.75)) < 0 < val.minimum


def _negative(train: Series, val: Series, pairs: list[tuple[Series, Series]], parts: list[float]) -> Sick | None:
    if any(one.finite().minimum < 0 for pair in pairs for one in pair):
        return None
    last, held = float(np.median(train.finite().value[-5:])), float(val.finite().value[-1])
    names = ", ".join(f"{v.name} {r:.2f} times" for (_, v), r in list(zip(pairs, parts, strict=True))[:3])
    return Sick(
        f"{train.name} is below zero at the end ({last:.3g}) and {val.name} is not ({held:.3g}), while the positive parts agree ({names}"
        " those of training): the two totals are different criteria",
        (
            Measure(f"{train.name}, median of the last points", round(last, 5), None, train.where(len(train) - 1)),
            Measure(f"{val.name}, last", round(held, 5), None, val.where(len(val) - 1)),
            *(
                Measure(f"{v.name} over {t.name}", round(r, 4), "times")
                for (t, v), r in list(zip(pairs, parts, strict=True))[:6]
            ),
        ),
        since(val, float(val.x()[0])),
        "a likelihood or confidence term that is wanted in one total and not in the other",
        (
            Action(
                "Compare the parts, and build both totals with one function and the same weights",
                "a few lines",
                "repair",
            ),
        ),
        guilty(val, float(val.x()[0])),
    )


def _key(series: Series) -> tuple[str, ...]:
    splits = frozenset().union(*SPLITS.values())
    return tuple(w for w in words(series.name) if w not in splits and w not in NOISE)


def _pairs(stage: Stage) -> list[tuple[Series, Series]]:
    """Parts of training with their counterparts of validation."""
    train = {_key(s): s for s in reversed(stage.role("loss_term")) if _key(s)}
    held: dict[tuple[str, ...], Series] = {}
    for one in stage.role("val_loss_term", "test_loss_term"):
        if _key(one) in train:
            held.setdefault(_key(one), one)
    return [(train[key], one) for key, one in held.items()]


def _ratio(train: Series, val: Series) -> float | None:
    """Validation over training in the last third of the run, None where it means nothing."""
    train, val = train.finite(), collapsed(val.finite())
    axes = shared_axis(train, val)
    if axes is None or len(val) < 2 or len(train) < 4:
        return None
    x, xv = axes
    start = float(xv[-1]) - (float(xv[-1]) - float(x[0])) / 3
    a, late = level_between(train, x, start, float(xv[-1])), finite_values(val.value[xv >= start])
    b = float(np.median(late)) if len(late) else np.nan
    return b / a if np.isfinite(a) and np.isfinite(b) and a > 0 and b > 0 else None


def sick() -> Iterator[Stage]:
    """A validation total that weighs the same parts otherwise; a learnt confidence in training only."""
    box, cls = examples.decay(200, end=0.4), examples.decay(200, end=0.6)
    yield examples.stage(
        train_loss=box + cls, train_box_loss=box, train_cls_loss=cls, val_loss=10 * (box + cls)[::20], val_box_loss=1.1 * box[::20], val_cls_loss=1.2 * cls[::20]
    )  # fmt: skip
    yield examples.stage(
        train_loss=box + cls - 2.0, train_box_loss=box, train_cls_loss=cls, val_loss=(box + cls)[::20], val_box_loss=1.1 * box[::20],
        val_cls_loss=1.2 * cls[::20],
    )  # fmt: skip


def healthy() -> Iterator[Stage]:
    """The same sum on other data, and an honest gap in the parts as well."""
    box, cls = examples.decay(200, end=0.4), examples.decay(200, end=0.6)
    for factor in (1.2, 5.0):
        yield examples.stage(
            train_loss=box + cls, train_box_loss=box, train_cls_loss=cls, val_loss=factor * (box + cls)[::20],
            val_box_loss=factor * box[::20], val_cls_loss=factor * cls[::20],
        )  # fmt: skip
