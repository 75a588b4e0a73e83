"""Noise schedules by name: how much of the signal is left, abar(t), for t from 0 (data) to 1 (noise)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

TIMES = 1_000  # points at which schedules are tabulated


def signal(name: str, times: int = TIMES) -> Tensor:
    """abar at `times` points, float64, falling. Raises ValueError for an unknown name.

    `linear`: 1 - t. `beta`: the product of 1 - beta for beta from 1e-4 to 0.02 (Ho et al. 2020, arXiv 2006.11239).
    `cosine`: Nichol and Dhariwal 2021, arXiv 2102.09672.
    """
    t = torch.arange(1, times + 1, dtype=torch.float64) / times
    if name == "linear":
        return (1 - t).clamp(min=1 / (10 * times))
    if name == "beta":
        scale = 1_000 / times
        return (1 - torch.linspace(1e-4 * scale, 0.02 * scale, times, dtype=torch.float64)).cumprod(0)
    if name == "cosine":
        value = torch.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2 / math.cos(0.008 / 1.008 * math.pi / 2) ** 2
        return value.clamp(min=1e-5)
    raise ValueError(f"noise_schedule: {name!r} is not known; known are linear, beta, cosine")


def visited(steps: int, times: int = TIMES) -> list[int]:
    """The `steps` indices that a sampler visits, from noise to data."""
    return [round(i) for i in torch.linspace(times - 1, 0, steps).tolist()]
