"""LOSS124 penalty-headline."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.curves import TrainLoss
from runvet.roles import words
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import since
from runvet.rules.loss._common import ends, num
from runvet.run import FloatArray, Series, Stage

PENALTY = frozenset({"penalty", "penalties", "regularizer", "regulariser", "regularization", "regularisation"})


@rule("LOSS124", "penalty-headline", level="warning", since="0.1", explains=("LOSS111",))
def penalty_headline(
    stage: Stage,
    loss: TrainLoss,
    *,
    share: float = 0.8,  # of the total's fall that the penalty must make up
    fall: float = 0.5,  # of its level by which the total must fall
    times: float = 3.0,  # so many times smaller than the rest, measured by its own beginning, the total has become
    fewest: float = 20,
) -> Sick | Unsure | None:
    """The total loss fell because a penalty went away, not because the model learnt.

    ## What it checks
    A penalty that is logged beside the total (`…/penalty`, `…/regularization_loss`), step by step: its part in the fall of the
    total from the first points to the last tenth, and how far what is left of the total fell.
    ## Why it matters
    "97 % better" is then the fall of a term that is met within a few steps by construction; the part that says how well the
    model does may hardly have moved.
    ## What to do
    Report the parts apart, and judge the run by the one that matters.
    ## When to ignore it
    The penalty is the goal, as in a fit under constraints.
    ## Known limits
    Only penalties that are logged under such a name and add up with the rest to the total.
    ## References
    - Kingma, Welling 2019, An Introduction to Variational Autoencoders, section 2.7 (terms that collapse apart).
    """
    total = loss.lead.finite()
    if not loss.is_total:
        return Unsure("no total loss is logged", "log the total beside its terms")
    found = [s.finite() for s in stage.series if PENALTY & set(words(s.name)) and s.split not in ("val", "test")]
    found = [s for s in found if len(s) >= fewest]
    if not found:
        return Unsure("no penalty is logged apart", "log each term of the loss", applicable=False)
    for penalty in found:
        both = _together(total, penalty)
        if both is None:
            continue
        whole, part = both
        if (part < -1e-9).any() or (part > whole * 1.02 + 1e-9).mean() > 0.05:
            continue  # no part of this total
        left = whole - part
        first, last = _ends(whole)
        part_first, part_last = _ends(part)
        left_first, left_last = _ends(left)
        if not (first > 0 and first - last >= fall * first and part_first - part_last >= share * (first - last)):
            continue
        if left_first > 0 and left_last / left_first >= times * max(last, 0.0) / first:
            return _told(total, penalty, (first, last), (part_first, part_last), (left_first, left_last))
    return None


def _together(total: Series, penalty: Series) -> tuple[FloatArray, FloatArray] | None:
    """Values of both at the steps that both have."""
    _, here, there = np.intersect1d(total.x(), penalty.x(), return_indices=True)
    return (total.value[here], penalty.value[there]) if len(here) >= 20 else None


def _ends(values: FloatArray) -> tuple[float, float]:
    """The first point, as a headline takes it, and the median of the last tenth."""
    return float(values[0]), ends(values)[1]


def _told(
    total: Series, penalty: Series, whole: tuple[float, float], part: tuple[float, float], left: tuple[float, float]
) -> Sick:
    of_fall = (part[0] - part[1]) / (whole[0] - whole[1])
    return Sick(
        f"{total.name} fell from {num(whole[0])} to {num(whole[1])} ({1 - whole[1] / whole[0]:.0%}); {of_fall:.0%} of that is {penalty.name}"
        f" ({num(part[0])} to {num(part[1])}). The rest went from {num(left[0])} to {num(left[1])} ({1 - left[1] / left[0]:.0%})",
        (
            Measure(f"first {total.name}", float(f"{whole[0]:.5g}"), None, total.where(0)),
            Measure(f"first {penalty.name}", float(f"{part[0]:.5g}"), None, penalty.where(0)),
            Measure("share of the fall that is the penalty", round(of_fall, 4)),
            Measure("fall of the rest", round(1 - left[1] / left[0], 4), "share"),
        ),
        since(total, float(total.x()[0])),
        "the penalty is the goal of this training",
        (
            Action(f"Report the loss without {penalty.name}, and judge the run by it", "a line", "measure"),
            Action("Start from a state that meets the penalty, or lower its weight", "a restart", "change"),
        ),
    )


def sick() -> Iterator[Stage]:
    """A variance penalty of weight 100 that is met at once, beside a reconstruction that gains a third."""
    n = 300
    recon = 0.03 + 0.017 * np.exp(-np.arange(n) / 60)
    penalty = 1.0 * np.exp(-np.arange(n) / 10)
    yield examples.stage(train__loss=recon + penalty, actions__recon_loss=recon, actions__penalty=penalty)


def healthy() -> Iterator[Stage]:
    """Both fall; a penalty that grows; a small one."""
    n = 300
    falls = examples.decay(n, start=2.0, end=0.1, noise=0.01)
    yield examples.stage(train__loss=2 * falls, recon_loss=falls, penalty=falls)
    yield examples.stage(
        train__loss=falls + 0.01 * np.linspace(0, 1, n), recon_loss=falls, penalty=0.01 * np.linspace(0, 1, n)
    )
    yield examples.stage(train__loss=falls + 0.001, recon_loss=falls, penalty=np.full(n, 0.001))
