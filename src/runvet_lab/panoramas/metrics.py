"""Errors of every head beside the error of a predictor that looks at nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from runvet_lab.panoramas.losses import entropy

F32: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Predicted:
    """m samples of n views: `depth` (m, n, r, c) metres along the ray, `mask` (m, n, r, c) in 0..1, `move` (m, n - 1, 2)
    metres from view 0 in its heading, `turn` (m, n - 1) radians. For the truth, `depth` is 0 where unknown.
    """

    depth: F32
    mask: F32
    move: F32
    turn: F32

    def __len__(self) -> int:
        return len(self.depth)


@dataclass(frozen=True, slots=True)
class Prior:
    """What the training data say without any picture: `depth` (r, c), `mask` (r, c), mean `move` (2,), `compass` degrees (standard deviation)."""

    depth: F32
    mask: F32
    move: F32
    compass: float


def prior(truth: Predicted, compass: float) -> Prior:
    """Of the training samples: mean log depth and mean mask of each pixel, mean translation, and the compass's standard error."""
    known = truth.depth > 0
    logs = np.log(np.where(known, truth.depth, 1.0)).sum((0, 1)) / np.maximum(known.sum((0, 1)), 1)
    return Prior(np.exp(logs), truth.mask.mean((0, 1)), truth.move.reshape(-1, 2).mean(0), compass)


def errors(predicted: Predicted, truth: Predicted, known: Prior) -> dict[str, float]:
    """Metrics by name; `..._baseline` is what `known` reaches, and a skill is 1 - (error / baseline)²."""
    return {**_depth(predicted, truth, known), **_pose(predicted, truth, known), **_mask(predicted, truth, known)}


def _depth(predicted: Predicted, truth: Predicted, known: Prior) -> dict[str, float]:
    there = truth.depth > 0
    real, got = truth.depth[there], predicted.depth[there]
    guess = np.broadcast_to(known.depth, truth.depth.shape)[there]
    ratio = got / real
    each = [
        np.median(p[t > 0]) / np.median(t[t > 0])
        for p, t in zip(_views(predicted.depth), _views(truth.depth), strict=True)
        if (t > 0).any()
    ]
    scale = float(np.median(each))
    return {
        "depth_absrel": float(np.mean(np.abs(ratio - 1))),
        "depth_absrel_baseline": float(np.mean(np.abs(guess / real - 1))),
        "depth_absrel_aligned": float(np.mean(np.abs(ratio / scale - 1))),
        "depth_within_125": float(np.mean(np.maximum(ratio, 1 / np.maximum(ratio, 1e-6)) < 1.25)),
        "depth_fill": float(there.mean()),
        "scale_ratio": scale,
        "scale_off": float(np.mean(np.abs(np.log(each)))),
    }


def _pose(predicted: Predicted, truth: Predicted, known: Prior) -> dict[str, float]:
    off = np.linalg.norm(predicted.move - truth.move, axis=-1)
    guess = np.linalg.norm(truth.move - truth.move.reshape(-1, 2).mean(0), axis=-1)
    turn = np.abs(np.degrees((predicted.turn - truth.turn + np.pi) % (2 * np.pi) - np.pi))
    rmse, mean = float(np.sqrt(np.mean(off**2))), float(np.sqrt(np.mean(guess**2)))
    return {
        "trans_rmse_m": rmse,
        "trans_rmse_m_baseline": mean,
        "trans_median_m": float(np.median(off)),
        "trans_skill": 1 - (rmse / max(mean, 1e-9)) ** 2,
        "rot_mean_deg": float(turn.mean()),
        "rot_mean_deg_baseline": known.compass * math.sqrt(2 / math.pi),  # mean of a normal error without its sign
        "rot_share_over_90": float((turn > 90).mean()),
    }


def _mask(predicted: Predicted, truth: Predicted, known: Prior) -> dict[str, float]:
    real, got = truth.mask > 0.5, predicted.mask
    share = float(real.mean())
    pixel = np.clip(known.mask, 1e-6, 1 - 1e-6)
    guess = np.where(real, -np.log(pixel), -np.log(1 - pixel))
    clipped = np.clip(got.astype(np.float64), 1e-7, 1 - 1e-7)
    bce = float(np.mean(np.where(real, -np.log(clipped), -np.log(1 - clipped))))
    best = max(_iou(got > level, real) for level in (0.1, 0.25, 0.5, 0.75, 0.9))
    return {
        "mask_iou": _iou(got > 0.5, real),
        "mask_iou_best_threshold": best,
        "mask_iou_baseline": share,
        "mask_bce": bce,
        "mask_bce_constant": entropy(share),
        "mask_bce_prior": float(guess.mean()),
        "pred_mask_mean": float(got.mean()),
        "gt_mask_mean": share,
    }


def _iou(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> float:
    either = int((one | other).sum())
    return float((one & other).sum() / either) if either else 1.0


def _views(maps: F32) -> F32:
    return maps.reshape(-1, *maps.shape[2:])
