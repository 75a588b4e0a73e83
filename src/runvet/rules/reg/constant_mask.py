"""REG114 constant-mask."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet import examples_artifacts as made
from runvet.evidence.mask_scores import MaskScores, Score
from runvet.rules import Action, Measure, Sick, rule
from runvet.run import Run


@rule("REG114", "constant-mask", level="critical", since="0.1", explains=("REG102", "LOSS106"))
def constant_mask(scores: MaskScores, *, skill: float = 0.05, gain: float = 1.2) -> Iterator[Sick]:
    """A mask is no better than the base rate everywhere, or its loss cannot belong to its means.

    ## What it checks
    Loss, base rate and overlap together. Saved masks: the cross entropy against that of the base rate, and the best
    overlap (IoU) of any threshold against that of a full mask; critical where the skill 1 - loss / H(base rate) is
    at most 0.05 and the overlap at most 1.2 times. Curves and summaries: a mask loss that ends within 5 % of
    H(base rate) is a warning. So is a loss below a tenth of the least that masks with these means can have:
    b ln(b/m) for a base rate b and a smaller predicted mean m (Jensen).
    ## Why it matters
    At a base rate of 1 % a constant has a cross entropy of 0.056 and an accuracy of 99 %; neither number shows that
    nothing is found. A loss that the means rule out was computed of other tensors than those that are reported.
    ## What to do
    Report IoU beside loss and base rate; weigh positive pixels; check that loss and means see the same mask.
    ## When to ignore it
    The loss is scaled by a weight far from one.
    ## Known limits
    Weighted losses shift the baseline; overlap decides where arrays are saved.
    ## References
    - Failure reports: dmlc/gluon-cv#644, dacapo#3.
    """
    for score in scores.all:
        if not math.isnan(score.best_iou):
            if score.skill <= skill and score.best_iou <= gain * score.base:
                yield _report(score)
        elif abs(score.skill) <= skill:
            yield _report(score)
        elif score.loss < 0.1 * score.least:
            yield _impossible(score)


def _report(score: Score) -> Sick:
    saved = not math.isnan(score.best_iou)
    overlap = f", and no threshold overlaps better ({score.best_iou:.3g}) than a full mask ({score.base:.3g})" if saved else ""  # fmt: skip
    return Sick(
        f"the loss of {score.name} is {score.loss:.4g}, that of the base rate {score.base:.3g} everywhere {score.entropy:.4g}: a skill of {score.skill:.2f}{overlap}",
        (
            Measure("cross entropy of the mask", float(f"{score.loss:.5g}"), "nats", score.where),
            Measure("cross entropy of the base rate everywhere", float(f"{score.entropy:.5g}"), "nats"),
            Measure("base rate", float(f"{score.base:.4g}"), None, score.base_from),
            *((Measure("best overlap (IoU) of any threshold", float(f"{score.best_iou:.4g}")),) if saved else ()),
        ),
        innocent="the loss is weighted, so that its baseline lies elsewhere",
        actions=(
            Action(f"Measure the IoU of {score.name} at its best threshold on 100 samples", "minutes", "measure"),
            Action(f"Weigh the positive pixels (about {min(99.0, (1 - score.base) / score.base):.2g} to 1), or sample around them", "a restart", "change"),
        ),
        level=None if saved else "warning",
    )  # fmt: skip


def _impossible(score: Score) -> Sick:
    return Sick(
        f"the loss of {score.name} ({score.loss:.3g}) cannot belong to its means: predicted {score.mean:.3g} against a true {score.base:.3g} costs at least {score.least:.3g}",
        (
            Measure("loss", float(f"{score.loss:.5g}"), None, score.where),
            Measure("least cross entropy (or squared error) with these means", float(f"{score.least:.4g}")),
            Measure("mean of the predicted mask", float(f"{score.mean:.4g}"), None, score.base_from),
            Measure("mean of the true mask", float(f"{score.base:.4g}"), None, score.base_from),
        ),
        innocent="the loss is scaled by a small weight, or training and evaluation masks differ on purpose",
        actions=(Action("Check that loss and means are of the same tensors: same split, same mask, sigmoid applied once", "minutes", "repair"),),
        level="warning",
    )  # fmt: skip


def sick() -> Iterator[Run]:
    """The base rate everywhere, in arrays and by the loss; a loss that the means rule out."""
    rng = np.random.default_rng(0)
    true = (rng.random((40, 256)) < 0.03).astype(np.float64)
    flat = np.clip(0.03 + 0.002 * rng.standard_normal(true.shape), 0.01, 0.05)
    yield made.with_files({"predictions.npz": {"pred_mask": flat, "gt_mask": true}})
    n = 200
    yield examples.run(examples.stage(loss=examples.decay(n), mask_loss=examples.level(n, 0.199, noise=0.01), pred_mask_mean=np.full(n, 0.05), gt_mask_mean=np.full(n, 0.05)))  # fmt: skip
    yield made.with_files({"eval/summary.json": {"pred_mask_mean": 0.05, "gt_mask_mean": 0.33}}, loss=examples.decay(n), mask_loss=examples.level(n, 0.008))  # fmt: skip


def healthy() -> Iterator[Run]:
    """Masks that overlap, a weighted loss, a mask that is the same for all and well predicted."""
    rng = np.random.default_rng(0)
    true = (rng.random((40, 256)) < 0.03).astype(np.float64)
    yield made.with_files({"predictions.npz": {"pred_mask": np.clip(0.6 * true + 0.1 * rng.random(true.shape), 0, 1), "gt_mask": true}})  # fmt: skip
    n = 200
    yield examples.run(examples.stage(loss=examples.decay(n), mask_loss=examples.decay(n, start=0.6, end=0.05), pred_mask_mean=np.full(n, 0.32), gt_mask_mean=np.full(n, 0.33)))  # fmt: skip
    yield made.with_files({"eval/summary.json": {"pred_mask_mean": 0.33, "gt_mask_mean": 0.331}}, loss=examples.decay(n), mask_loss=examples.level(n, 0.008))  # fmt: skip
