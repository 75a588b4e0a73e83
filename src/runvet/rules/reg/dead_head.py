"""REG113 dead-head."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.heads import Head, Heads
from runvet.evidence.predictions import Predictions, judged
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules._phrases import num, percent, since, span
from runvet.run import Stage


@rule("REG113", "dead-head", level="warning", since="0.1")
def dead_head(
    heads: Heads, predictions: Predictions | None, *, learns: float = 0.3, share: float = 0.05
) -> Iterator[Sick]:
    """One head of the model has not moved since the start, while others learn and the total falls.

    ## What it checks
    Losses or errors of heads by their names (pose, depth, mask, box, trajectory …), at least 12 points each. A head
    is dead where its curve never left its first values (no trend, no part apart beyond noise, less than 3 % from
    first to last third), another head fell by 30 %, and the dead one is at least 5 % of what the heads add up to.
    ## Why it matters
    A total is ruled by the heads that learn early: it falls, and a head that gives its mean for every input stays
    hidden in it.
    ## What to do
    Compare each head with its own baseline (the error of the mean of its targets, the entropy of the base rate). At
    the baseline on training data as well it is no over-fitting: look at the head's structure, its targets' frame and
    scale, and whether gradients reach it.
    ## When to ignore it
    The head is frozen, or its weight is zero for now.
    ## Known limits
    Heads are known by names. A head that starts at a good level and stays there looks the same.
    ## References
    - Kendall, Gal, Cipolla 2018, arXiv 1705.07115 (weights of tasks).
    """
    alive = [h for h in heads.heads if h.fell >= learns]
    whole = sum(h.end for h in heads.heads)
    dead = [h for h in heads.heads if h.flat and h.end >= share * whole]
    if not alive or not dead:
        return
    known = judged(predictions.pairs if predictions else ())
    for head in dead:
        same = [a for a in alive if a.series.split == head.series.split]
        if same:
            good = {p.name: p.r2 for p in known if set(p.name.split()) & set(head.series.name.lower().split("_"))}
            # Saved predictions of the head that are good show that it began at a good level.
            if not good or min(good.values()) < 0.1:
                yield _report(head, max(same, key=lambda h: h.fell))


def _report(head: Head, other: Head) -> Sick:
    one, x = head.series, head.series.x()
    values = one.value
    return Sick(
        f"{one.name} stands at {num(float(np.median(values)))} from the start ({num(head.start)} to {num(head.end)} over {len(one)} points), while {other.series.name} fell by {percent(other.fell)}",
        (
            Measure(f"{one.name}, first and last", f"{head.start:.5g}, {head.end:.5g}", None, one.where(len(one) - 1)),
            Measure(f"{other.series.name}, first and last", f"{other.start:.5g}, {other.end:.5g}", None, other.series.where(len(other.series) - 1)),
            Measure("spread of the curve around its level", float(f"{np.std(values) / np.median(values):.3g}"), "of the level"),
        ),
        since(one, float(x[len(x) // 3])),
        "the head is frozen, has no weight for now, or began at a good level",
        (
            Action(f"Compare {one.name} with what the mean of its targets gives, on training and on held-out data", "minutes", "measure"),
            Action(f"Train the head of {one.name} alone on 32 samples: it must reach zero; if not, look at its structure and its targets' frame and scale", "minutes", "measure"),
        ),
        span(one, float(x[0]), float(x[-1])),
    )  # fmt: skip


def sick() -> Iterator[Stage]:
    """Translation at the mean predictor while depth learns; a mask at the entropy of its base rate; a flat pose error."""
    n = 400
    depth, dead = examples.decay(n, start=2.0, end=0.3), examples.level(n, 0.8, noise=0.2, seed=4)
    yield examples.stage(loss=depth + dead, depth_loss=depth, pose_trans_loss=dead)
    mask = examples.level(n, 0.19, noise=0.05, seed=5)
    yield examples.stage(loss=depth + mask, box_loss=depth, seg_loss=mask)
    pose = examples.level(40, 7.6, noise=0.04, seed=2)
    yield examples.stage(loss=depth, val_depth_error=examples.decay(40, start=9, end=3), val_pose_error=pose)


def healthy() -> Iterator[Stage]:
    """Heads that all fall, a small one that is solved, a slow one, a constant regulariser."""
    n = 400
    depth = examples.decay(n, start=2.0, end=0.3)
    yield examples.stage(loss=2 * depth, depth_loss=depth, pose_loss=examples.decay(n, seed=3))
    yield examples.stage(loss=depth, depth_loss=depth, mask_loss=examples.level(n, 0.008, noise=0.1))
    yield examples.stage(loss=depth, box_loss=depth, cls_loss=examples.decay(n, start=1.0, end=0.8, seed=3))
    yield examples.stage(loss=depth, depth_loss=depth, pose_loss=0.5 * depth, pose_reg_loss=examples.level(n, 1.0))
