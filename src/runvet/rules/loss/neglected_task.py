"""LOSS128 neglected-task."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.curves import LossTerms, TrainLoss
from runvet.evidence.nature import Nature
from runvet.roles import CRITERION, GENERIC, kind
from runvet.rules import BACK, Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import since
from runvet.rules.loss._common import ends, guilty, last_part, num, place
from runvet.run import Series, Stage
from runvet.statistics import Rise, rising

# Terms that no task stands behind, or that rise by design: regularisers, games between networks, penalties.
SIDE = re.compile(
    r"kl|reg|adv|gan|disc|gener|commit|entropy|aux|balanc|router|penalt|(?:^|[^a-z])(?:gp|z|d|g)(?:[^a-z]|$)|sparsi|decay|norm(?!al)|smooth|koleo"
    r"|divers|value|policy|actor|critic",
    re.IGNORECASE,
)
_PLAIN = GENERIC | CRITERION | {"l1", "l2", "mse", "mae", "rmse", "acc", "accuracy", "error"}


@rule("LOSS128", "neglected-task", level="warning", since="0.1")
def neglected_task(
    stage: Stage,
    loss: TrainLoss,
    terms: LossTerms,
    nature: Nature,
    *,
    worse: float = 1.25,  # times its first level, at the end
    held_out: float = 0.10,  # what its own evaluation must have lost, relative to its first level
    gained: float = 0.10,  # of the total, meanwhile
) -> Sick | Unsure | None:
    """One task of several gets worse in training and in evaluation, while the total loss falls.

    ## What it checks
    Terms of the loss that rise for good, to 1.25 times their first level or more, while the total falls by 10 %; and an
    evaluation of the same name (`val/depth_rmse` of `loss_depth`) that is 10 % worse at the end than at the start.
    ## Why it matters
    The total says that all is well, as the other terms are larger. What the neglected task had learned is given up for them.
    ## What to do
    Weigh the terms so that their gradients are of one size; look for a sign or a weight near 0; train the task alone once.
    ## When to ignore it
    A task whose weight is lowered on purpose.
    ## Known limits
    Regularisers and adversarial terms are left out. Without an evaluation of the same name, nothing is said.
    ## References
    - Kendall et al. 2018, Multi-task learning using uncertainty to weigh losses, arXiv 1705.07115.
    """
    if nature.reinforcement or nature.adversarial or nature.ramps:
        return Unsure("terms of this kind of training may rise by design")
    if not loss.is_total:
        return Unsure("no total loss beside its terms", "log the total as well")
    first, last = ends(loss.lead.value)
    if not 0.0 < last < (1.0 - gained) * first:
        return None
    for series in terms.series:
        part = last_part(series, 40) if series.split != "val" and not SIDE.search(series.name) else None
        rise = rising(part.x(), part.value) if part is not None and part.minimum > 0.0 else None
        if part is None or rise is None or rise.level != "critical":
            continue
        began, now = ends(part.value, 0.05)
        evaluated = _evaluated(stage, part, held_out) if now > worse * began else None
        if evaluated is not None:
            return _told(part, rise, (began, now), evaluated, (first, last))
    return None


def _task(series: Series) -> frozenset[str]:
    return frozenset(w for w in kind(series.name) if w not in _PLAIN and not w.isdigit())


def _evaluated(stage: Stage, term: Series, held_out: float) -> Series | None:
    """An evaluation of the term's own task that ends clearly worse than it began."""
    for one in stage.series:
        if one.split not in ("val", "test") or one.direction is None or not _task(term) & _task(one):
            continue
        part = last_part(one, 4)
        if part is None:
            continue
        first, last = ends(part.value, 0.2)
        sign = 1.0 if one.direction == "down" else -1.0
        if first > 0.0 and sign * (last - first) > held_out * first:
            return part
    return None


def _told(part: Series, rise: Rise, term: tuple[float, float], evaluated: Series, total: tuple[float, float]) -> Sick:
    first, last = ends(evaluated.value, 0.2)
    return Sick(
        f"{part.name} rises from {num(term[0])} to {num(term[1])}, and {evaluated.name} goes from {num(first)} to {num(last)},"
        f" while the total loss falls from {num(total[0])} to {num(total[1])}: this task is given up for the others",
        (
            Measure(f"{part.name}, first and last", f"{num(term[0])}, {num(term[1])}", None, part.where(0)),
            Measure(f"{evaluated.name}, first and last", f"{num(first)}, {num(last)}", None, evaluated.where(0)),
            Measure("rise in standard errors", round(min(rise.size_in_se, 9999.0), 1)),
        ),
        since(part, rise.x),
        "a task whose weight is lowered on purpose",
        (
            Action(f"Raise the weight of {part.name}, or scale the terms to gradients of one size", "config", "change"),
            Action("Train this task alone for a while: its loss must fall", "minutes", "measure"),
            Action(f"Use the checkpoint around {place(part, rise.x)} for this task", BACK, "keep"),
        ),
        guilty(part, rise.x),
    )  # fmt: skip


def sick() -> Iterator[Stage]:
    """Depth is given up for segmentation; a second head whose score falls."""
    n = 400
    seg, depth = examples.decay(n, start=2.0, end=0.3), np.linspace(0.6, 2.4, n) * examples.level(n, noise=0.02)
    yield examples.stage(
        loss=10 * seg + 0.1 * depth, loss_seg=seg, loss_depth=depth, val__depth_rmse=np.linspace(0.6, 1.1, 10)
    )
    yield examples.stage(
        total_loss=10 * seg + 0.1 * depth, seg_loss=seg, pose_loss=depth, val__pose_pck=np.linspace(0.6, 0.3, 8)
    )


def healthy() -> Iterator[Stage]:
    """All tasks fall; one rises on training data alone, as its evaluation improves; a regulariser grows."""
    n = 400
    seg, rise = examples.decay(n, start=2.0, end=0.3), np.linspace(0.6, 2.4, n) * examples.level(n, noise=0.02)
    depth = examples.decay(n, start=0.9, end=0.2)
    yield examples.stage(
        loss=10 * seg + depth, loss_seg=seg, loss_depth=depth, val__depth_rmse=np.linspace(0.9, 0.4, 10)
    )
    yield examples.stage(loss=10 * seg, loss_seg=seg, loss_depth=rise, val__depth_rmse=np.linspace(0.9, 0.4, 10))
    yield examples.stage(loss=10 * seg, loss_seg=seg, loss_commit=rise, val__commit_error=np.linspace(0.6, 1.1, 10))
