"""Losses of paths (n, 45, 2), weighted by horizon."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from runvet_lab.trajectories.config import Train
from runvet_lab.trajectories.world import HORIZON

LOSSES = ("smooth_l1", "huber", "mse", "l1")


def weights(last: float, device: torch.device | str = "cpu") -> Tensor:
    """(45, 1), from 1 for the first position to `last`, with mean 1."""
    made = torch.linspace(1.0, last, HORIZON, device=device)
    return (made / made.mean())[:, None]


def path_loss(predicted: Tensor, truth: Tensor, config: Train) -> Tensor:
    """Mean over samples, positions and coordinates. Raises ValueError for an unknown loss."""
    if config.loss == "smooth_l1":
        each = functional.smooth_l1_loss(predicted, truth, reduction="none", beta=config.beta)
    elif config.loss == "huber":
        each = functional.huber_loss(predicted, truth, reduction="none", delta=config.huber_delta)
    elif config.loss == "mse":
        each = functional.mse_loss(predicted, truth, reduction="none")
    elif config.loss == "l1":
        each = functional.l1_loss(predicted, truth, reduction="none")
    else:
        raise ValueError(f"unknown loss {config.loss!r}; known are {', '.join(LOSSES)}")
    return (each * weights(config.horizon_weight, predicted.device)).mean()


def token_loss(logits: Tensor, truth: Tensor, reach: Tensor) -> Tensor:
    """Cross-entropy of bins: logits (n, 45, 2, bins), truth (n, 45, 2), reach (45, 2) where the bins end."""
    bins = logits.shape[-1]
    place = ((truth / reach).clamp(-1, 1) + 1) / 2 * (bins - 1)
    return functional.cross_entropy(logits.reshape(-1, bins), place.round().long().reshape(-1))
