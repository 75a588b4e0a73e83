"""Losses of each head, and the components that the log tells beside their baselines."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from runvet_lab.panoramas.config import Config
from runvet_lab.panoramas.model import Out, wrapped


@dataclass(frozen=True, slots=True)
class Truth:
    """What is to be predicted: `depth` (s, n, r, c) metres, 0 where unknown; `mask` (s, n, r, c) bool; `move` (s, n, n, 2)
    and `turn` (s, n, n) as in Out.
    """

    depth: Tensor
    mask: Tensor
    move: Tensor
    turn: Tensor

    @property
    def known(self) -> Tensor:
        """Pixels that have depth (s, n, r, c)."""
        return self.depth > 0

    @property
    def scale(self) -> Tensor:
        """Mean of log depth (s, n); views without any depth give 0."""
        logs = torch.where(self.known, self.depth.clamp_min(1e-3).log(), 0)
        return logs.sum((-1, -2)) / self.known.sum((-1, -2)).clamp_min(1)


def components(out: Out, truth: Truth, config: Config) -> dict[str, Tensor]:
    """Each head's loss before its weight, without the confidence: what training and validation have in common."""
    known = truth.known.float()
    count = known.sum().clamp_min(1)
    relative = truth.depth.clamp_min(1e-3).log() - truth.scale[..., None, None]
    off = (out.depth - relative).abs()
    move, turn = _pose(out, truth, pairwise=config.train.pairwise)
    views, pairs = _counts(truth.turn.shape[1], config)
    weight = torch.tensor(config.model.pos_weight, device=out.mask.device)
    return {
        "depth": views * (off * known).sum() / count,
        "scale": views * (out.scale - truth.scale).abs().mean(),
        "trans": pairs * move,
        "rot": pairs * turn,
        "mask": views * functional.binary_cross_entropy_with_logits(out.mask, truth.mask.float(), pos_weight=weight),
    }


def total(parts: Mapping[str, Tensor], out: Out, truth: Truth, config: Config, *, training: bool) -> Tensor:
    """The weighted sum. With `train.confidence`, training weighs the dense part by a learnt confidence, which lets the
    sum go below zero; validation does not, so that the two are different criteria.
    """
    train, depth = config.train, parts["depth"]
    if train.confidence and training:
        depth = confident(out, truth, train.confidence_alpha)
    return (
        train.depth_weight * depth
        + train.scale_weight * parts["scale"]
        + train.pose_weight * (parts["trans"] + parts["rot"])
        + train.mask_weight * parts["mask"]
    )


def _counts(views: int, config: Config) -> tuple[float, float]:
    """What a mean over views, and one over pairs, is multiplied with; 1 for two views either way."""
    if config.train.reduce not in ("mean", "sum"):
        raise ValueError(f"unknown reduction {config.train.reduce!r}; known are mean and sum")
    if config.train.reduce == "mean":
        return 1.0, 1.0
    return views / 2, views * (views - 1) / 2 if config.train.pairwise else views - 1


def confident(out: Out, truth: Truth, alpha: float) -> Tensor:
    """c · |error| - α · log c over known pixels, with c = exp(`sure`)."""
    relative = truth.depth.clamp_min(1e-3).log() - truth.scale[..., None, None]
    known, sure = truth.known.float(), out.sure.clamp(-3, 6)
    each = sure.exp() * (out.depth - relative).abs() - alpha * sure
    return (each * known).sum() / known.sum().clamp_min(1)


def entropy(share: float, weight: float = 1.0) -> float:
    """Cross entropy of the best constant for a mask with this share of ones, positives weighed by `weight`; nats."""
    if not 0 < share < 1:
        return 0.0
    best = weight * share / (weight * share + 1 - share)
    return -(weight * share * math.log(best) + (1 - share) * math.log(1 - best))


def _pose(out: Out, truth: Truth, *, pairwise: bool) -> tuple[Tensor, Tensor]:
    """Mean of |Δ| in units of 10 m, and of |Δheading| in radians, over all pairs of views or those from view 0."""
    views = truth.turn.shape[1]
    which = ~torch.eye(views, dtype=torch.bool, device=truth.turn.device)
    if not pairwise:
        which = which & (torch.arange(views, device=which.device) == 0)[:, None]
    move = functional.smooth_l1_loss(out.move[:, which] / 10, truth.move[:, which] / 10, beta=0.1)
    return move, wrapped(out.turn[:, which] - truth.turn[:, which]).abs().mean()
