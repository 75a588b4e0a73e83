"""Samples from a model in memory: prompts, batches, seeds, and the numbers that are logged about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from runvet_lab.voxels import metrics
from runvet_lab.voxels.data import DataSet
from runvet_lab.voxels.diffusion.process import Process, Sampling
from runvet_lab.voxels.model import Size, guided
from runvet_lab.voxels.shapes import Grid

AT_ONCE = 64  # grids of 16^3 in one batch; larger grids take fewer


def asked(data: DataSet, each: int) -> tuple[list[str], list[str]]:
    """Labels and prompts of `each` structures of every class, evenly over their sizes.

    The prompts name sizes: so chosen, what was asked for has the mean count of solids of the data, and few samples
    suffice to compare with it.
    """
    labels, prompts = [], []
    solids = (data.grids != data.air).reshape(len(data), -1).sum(axis=1)
    for label in sorted(set(data.labels)):
        rows = np.array([row for row, of in enumerate(data.labels) if of == label])
        ordered = rows[np.argsort(solids[rows], kind="stable")]
        places = ((np.arange(each) + 0.5) / each * len(ordered)).astype(int)
        labels += [label] * each
        prompts += [data.prompts[int(row)] for row in ordered[places]]
    return labels, prompts


def draw(
    model: Any,
    process: Process,
    prompts: Sequence[str],
    size: Size,
    settings: Sampling,
    seed: int,
    *,
    progress: Callable[[int], Any] | None = None,
) -> Grid:
    """Grids (n, x, y, z) of block ids, one a prompt; the same for the same seed, whatever else was drawn before."""
    device = next(model.parameters()).device
    generator = torch.Generator(device=device).manual_seed(seed)
    most = max(1, AT_ONCE * 16**3 // (size[0] * size[1] * size[2]))
    parts = []
    for at in range(0, len(prompts), most):
        some = list(prompts[at : at + most])
        ids = process.sample(guided(model, some, settings), (len(some), *size), settings, generator)
        parts.append(ids.to("cpu", torch.uint8).numpy())
        if progress is not None:
            progress(len(some))
    return np.concatenate(parts) if parts else np.zeros((0, *size), np.uint8)


def rows(quality: Sequence[metrics.Quality]) -> dict[str, float]:
    """Metrics by name for the log: over all classes, for the worst class, and each class's main numbers."""
    whole, low = quality[0], metrics.worst(quality)
    out = {f"sample/{name}": value for name, value in whole.numbers().items()}
    out |= {
        "sample/score": metrics.score(quality),
        "sample/worst_connected": low.connected,
        "sample/worst_whole": low.whole,
    }
    for each in quality[1:]:
        out |= {
            f"sample/{each.label}/{name}": getattr(each, name)
            for name in ("ratio", "connected", "floating", "adherence")
        }
    return out
