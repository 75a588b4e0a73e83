"""Views as batches of samples: several panoramas of one moment, what is to be predicted, and the rough compass."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from runvet_lab.panoramas import dataset
from runvet_lab.panoramas.dataset import Views
from runvet_lab.panoramas.losses import Truth
from runvet_lab.panoramas.model import normalised, wrapped

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Held:
    """A split in memory: views as tensors, `rows` (m, n) of the views of each sample, `heading` (v,) and `place` (v, 2)."""

    colour: Tensor
    depth: Tensor
    mask: Tensor
    heading: Tensor
    place: Tensor
    rows: Tensor

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class Batch:
    """`pictures` float32 (s, n, 3, r, c), `compass` (s, n) radians from view 0, and the truth."""

    pictures: Tensor
    compass: Tensor
    truth: Truth


def held(views: Views, each: int, seed: int) -> Held:
    """Samples of `each` views. Raises DataProblem where no moment has so many."""
    return Held(
        torch.from_numpy(views.colour),
        torch.from_numpy(views.depth),
        torch.from_numpy(views.mask),
        torch.from_numpy(np.arctan2(views.pose[:, 1, 0], views.pose[:, 0, 0])).float(),
        torch.from_numpy(views.pose[:, :2, 3].copy()).float(),
        torch.from_numpy(dataset.pairs(views, each=each, seed=seed)),
    )


def batch(split: Held, which: Tensor, *, noise: float, seed: int, device: torch.device | str = "cpu") -> Batch:
    """Samples `which` (s,). `noise`: degrees of the compass, the same for the same seed and sample."""
    rows = split.rows[which]
    heading, place = split.heading[rows], split.place[rows]
    wrong = torch.stack([_noise(int(number), rows.shape[1], seed) for number in which])
    compass = wrapped(heading - heading[:, :1] + math.radians(noise) * wrong)
    compass[:, 0] = 0
    parts = (split.depth[rows], split.mask[rows], *relative(place, heading))
    return Batch(
        normalised(split.colour[rows].to(device)), compass.to(device), Truth(*(part.to(device) for part in parts))
    )


def relative(place: Tensor, heading: Tensor) -> tuple[Tensor, Tensor]:
    """(s, n, 2) and (s, n) -> from view i to view j in the heading of i (s, n, n, 2), and the turn (s, n, n)."""
    apart = place[:, None] - place[:, :, None]
    cos, sin = heading.cos()[:, :, None], heading.sin()[:, :, None]
    move = torch.stack([cos * apart[..., 0] + sin * apart[..., 1], cos * apart[..., 1] - sin * apart[..., 0]], -1)
    return move, wrapped(heading[:, None] - heading[:, :, None])


def _noise(number: int, views: int, seed: int) -> Tensor:
    return torch.randn(views, generator=torch.Generator().manual_seed(seed * 1_000_003 + number))
