"""REG104 mask-unlike-truth."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.masks import Mask, Masks
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules._phrases import percent
from runvet.run import Run


@rule("REG104", "mask-unlike-truth", level="critical", since="0.1", explains=("LOSS115",))
def mask_unlike_truth(masks: Masks, *, factor: float = 5.0, overlap: float = 0.02) -> Iterator[Sick]:
    """A predicted mask is nearly empty, or nearly full, where the true one is not.

    ## What it checks
    The mean of predicted masks against the mean of the true ones, from evaluation summaries or saved arrays. Critical
    where the prediction covers less than a fifth of what it should, or leaves less than a fifth of the background,
    and, where arrays tell it, the overlap (IoU) is below 0.02 as well. A warning for a full mask.
    ## Why it matters
    Where few pixels are set, an empty mask has a low loss and a high accuracy: neither can show it.
    ## What to do
    Report the overlap (IoU) and the base rate beside the loss; weigh the positive pixels; compare the loss with the
    entropy of the base rate, which is what a constant gets.
    ## When to ignore it
    The mean is over one sample that truly holds little.
    ## Known limits
    Losses that weigh positives make masks too large on purpose: means up to five times the truth are spared.
    ## References
    - Empty masks: dmlc/gluon-cv#644, CMSA-Net#1.
    """
    for mask in masks.masks:
        if mask.true <= 0.001 or mask.true >= 0.999 or (not math.isnan(mask.iou) and mask.iou > overlap):
            continue
        empty = mask.pred * factor < mask.true
        full = (1 - mask.pred) * factor < 1 - mask.true and mask.true < 0.9
        if empty or full:
            yield _report(mask, empty, _agreeing(mask, masks))


def _agreeing(mask: Mask, masks: Masks) -> Mask | None:
    """Another mask (that of training) which the model gets right, and whose level is the one predicted here."""
    for other in masks.masks:
        right = 0.5 < other.pred / max(other.true, 1e-9) < 2
        if other.name != mask.name and right and 0.5 < mask.pred / max(other.true, 1e-9) < 2:
            return other
    return None


def _name(mask: Mask) -> str:
    return mask.name.removesuffix(" mean")


def _report(mask: Mask, empty: bool, other: Mask | None) -> Sick:
    b = mask.true
    prior = -(b * math.log(b) + (1 - b) * math.log(1 - b))
    return Sick(
        f"the predicted {_name(mask)} is nearly {'empty' if empty else 'full'}: its mean is {mask.pred:.3g}, the truth's {mask.true:.3g}"
        + ("" if math.isnan(mask.iou) else f", their overlap (IoU) {mask.iou:.3g}")
        + (f"; it is what {_name(other)} truly holds ({other.true:.3g}): the two have other true masks, the model does the same on both" if other else ""),
        evidence=(
            Measure("mean of the predicted mask", mask.pred, None, mask.where),
            Measure("mean of the true mask", mask.true, None, mask.where),
            *(() if math.isnan(mask.iou) else (Measure("overlap (IoU) at 0.5", round(mask.iou, 4)),)),
            Measure("accuracy of an empty mask", round(1 - b, 4), None, "so accuracy and a low loss say nothing"),
            Measure("cross entropy of a constant mask", round(prior, 4), "nats"),
        ),
        innocent="the means are over one sample that truly holds little",
        actions=(
            *((Action(f"Draw true masks of {_name(mask)} and {_name(other)} beside each other: one of them is defined or stored otherwise", "minutes", "repair"),) if other else ()),
            Action(f"Measure the mask's IoU on 100 samples; an empty mask is right for {percent(1 - b)} of the pixels", "minutes", "measure"),
            Action("Check that the same mask is target and prediction (definition, threshold, sigmoid applied once), then weigh its positive pixels", "a restart"),
        ),
        level=None if empty else "warning",
    )  # fmt: skip


def sick() -> Iterator[Run]:
    """Means in a summary, a validation with other masks than training, and saved masks that are empty."""
    yield made.with_files({"eval/val_summary.json": {"pred_mask_mean": 0.01, "gt_mask_mean": 0.331, "depth_rmse": 2.0}})
    both = {
        "train_pred_mask_mean": 0.05,
        "train_gt_mask_mean": 0.04,
        "val_pred_mask_mean": 0.05,
        "val_gt_mask_mean": 0.6,
    }
    yield made.with_files({"eval/summary.json": both})
    true = (np.random.default_rng(0).random((20, 256)) < 0.1).astype(np.float64)
    yield made.with_files({"predictions.npz": {"pred_mask": np.full((20, 256), 0.004), "gt_mask": true}})


def healthy() -> Iterator[Run]:
    """Means that agree, a mask that is too large by weighting, good saved masks."""
    yield made.with_files({"eval/val_summary.json": {"pred_mask_mean": 0.322, "gt_mask_mean": 0.331}})
    yield made.with_files({"eval/val_summary.json": {"mask.pred_mean": 0.09, "mask.gt_mean": 0.03}})
    true = (np.random.default_rng(0).random((20, 256)) < 0.1).astype(np.float64)
    yield made.with_files({"predictions.npz": {"pred_mask": np.clip(true * 0.9, 0, 1), "gt_mask": true}})
