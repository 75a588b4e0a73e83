"""A model over a split: predictions beside truth as arrays, and the losses of each batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from runvet_lab.panoramas import loading, losses
from runvet_lab.panoramas.config import Config
from runvet_lab.panoramas.loading import Batch, Held
from runvet_lab.panoramas.metrics import Predicted

SIZE = 16  # samples at a time


@dataclass(frozen=True, slots=True)
class Result:
    """`got` beside `truth`, and the loss and its parts for each batch."""

    got: Predicted
    truth: Predicted
    losses: tuple[dict[str, float], ...]


def predicted(model: Any, split: Held, config: Config, *, seed: int, most: int | None = None) -> Result:
    """Over the first `most` samples, or all; the same compass for the same seed."""
    model.eval()
    device = next(model.parameters()).device
    got, told = [], []
    with torch.no_grad():
        for which in torch.arange(min(most or len(split), len(split))).split(SIZE):
            batch = loading.batch(split, which, noise=config.train.compass_noise, seed=seed, device=device)
            out = model(batch.pictures, batch.compass)
            parts = losses.components(out, batch.truth, config)
            total = losses.total(parts, out, batch.truth, config, training=False)
            told.append({"loss": float(total), **{name: float(value) for name, value in parts.items()}})
            got.append((_arrays(out.metres, out.mask.sigmoid(), out.move, out.turn), _true(batch)))
    model.train()
    return Result(_joined([one for one, _ in got]), _joined([two for _, two in got]), tuple(told))


def truth_of(split: Held) -> Predicted:
    """What is true for every sample of a split."""
    move, turn = loading.relative(split.place[split.rows], split.heading[split.rows])
    return _arrays(split.depth[split.rows], split.mask[split.rows].float(), move, turn)


def _true(batch: Batch) -> Predicted:
    truth = batch.truth
    return _arrays(truth.depth, truth.mask.float(), truth.move, truth.turn)


def _arrays(depth: Tensor, mask: Tensor, move: Tensor, turn: Tensor) -> Predicted:
    return Predicted(*(part.float().cpu().numpy() for part in (depth, mask, move[:, 0, 1:], turn[:, 0, 1:])))


def _joined(parts: list[Predicted]) -> Predicted:
    return Predicted(*(np.concatenate([getattr(part, name) for part in parts]) for name in Predicted.__slots__))
