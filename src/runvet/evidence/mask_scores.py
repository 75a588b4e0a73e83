"""Masks by loss, base rate and overlap together: each beside what a constant mask would have."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from runvet.evidence import Missing, provides
from runvet.evidence.masks import Mask, Masks
from runvet.evidence.predictions import Pair, Predictions
from runvet.roles import words
from runvet.run import FloatArray, Series, Stage

_MASK = frozenset("mask masks seg segmentation occupancy foreground silhouette".split())
_OTHER = frozenset("dice iou lovasz tversky jaccard focal boundary weighted".split())  # losses with other baselines
WIDE = 16  # values of one sample that make a mask


@dataclass(frozen=True, slots=True)
class Score:
    """A mask: its loss in nats a pixel, base rate and predicted mean (0..1), the best IoU of any threshold (else NaN).

    `entropy` is the cross entropy of the base rate everywhere, `least` the smallest cross entropy (or squared error,
    which is smaller) that predictions with this mean can have.
    """

    name: str
    loss: float
    base: float
    mean: float
    best_iou: float
    where: str
    base_from: str

    @property
    def entropy(self) -> float:
        """H(base rate) in nats."""
        return -(self.base * math.log(self.base) + (1 - self.base) * math.log(1 - self.base))

    @property
    def skill(self) -> float:
        """1 - loss / H(base rate): 0 for a constant, 1 for a perfect mask."""
        return 1 - self.loss / self.entropy

    @property
    def least(self) -> float:
        """By Jensen, of the pixels of the class that is predicted too rarely: positives at most m/b on average."""
        b, m = (self.base, self.mean) if self.mean < self.base else (1 - self.base, 1 - self.mean)
        m = max(m, 1e-6)
        return min(b * math.log(b / m), b * (1 - m / b) ** 2) if m < b else 0.0


@dataclass(frozen=True, slots=True)
class MaskScores:
    """All masks of a stage for which loss and base rate are known; never empty."""

    all: tuple[Score, ...]


@provides
def mask_scores(stage: Stage, masks: Masks | None, predictions: Predictions | None) -> MaskScores | Missing:
    saved = [s for p in (predictions.pairs if predictions else ()) if (s := _of_arrays(p)) is not None]
    told = [] if saved or masks is None else list(_of_curves(stage, masks))
    if not saved and not told:
        return Missing("no mask with its loss and base rate", "save predicted masks (0..1) with the true ones", applicable=False)  # fmt: skip
    return MaskScores(tuple(saved + told))


def _of_arrays(pair: Pair) -> Score | None:
    p, t = pair.pred, pair.true
    if not np.isin(t, (0.0, 1.0)).all() or p.min() < 0 or p.max() > 1 or t.shape[1] < WIDE:
        return None
    if not set(words(pair.name)) & _MASK and len(pair.shape) < 2:
        return None  # one-hot classes are zeros and ones too
    base = float(t.mean())
    if not 1e-4 < base < 0.9:
        return None
    q = np.clip(p, 1e-6, 1 - 1e-6)
    loss = float(-np.mean(t * np.log(q) + (1 - t) * np.log(1 - q)))
    return Score(pair.name, loss, base, float(p.mean()), best_iou(p.ravel(), t.ravel() > 0), pair.where, pair.where)


def best_iou(scores: FloatArray, true: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> float:
    """The largest IoU of `scores >= threshold` with the truth over all thresholds; 0 where nothing is true."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(true[order])
    union = np.arange(1, len(order) + 1) + hits[-1] - hits
    last = np.append(np.diff(scores[order]) != 0, True)  # equal scores fall on one side of a threshold
    return float((hits / union)[last].max()) if hits[-1] else 0.0


def _of_curves(stage: Stage, masks: Masks) -> Iterator[Score]:
    curves = [s for s in stage.series if _is_mask_loss(s)]
    known = [m for m in masks.masks if 0.001 < m.true < 0.9]
    if len(known) != 1 and len({m.name for m in known}) > 1:
        return
    for mask in known[-1:]:
        yield from (_score(s, mask) for s in curves[:1])


def _is_mask_loss(series: Series) -> bool:
    told = set(words(series.name))
    falls = (series.role or "").endswith("loss_term") or bool(told & {"bce", "loss"}) or "Loss" in series.name
    return bool(told & _MASK) and not told & _OTHER and falls and len(series.finite()) >= 12 and series.minimum > 0


def _score(series: Series, mask: Mask) -> Score:
    late = series.finite().value
    return Score(series.name, float(np.median(late[-max(3, len(late) // 10) :])), mask.true, mask.pred, math.nan, series.where(len(series) - 1), mask.where)  # fmt: skip
