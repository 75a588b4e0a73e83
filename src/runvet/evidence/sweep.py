"""Samples of every step against the data: a distance a sample, so that steps can be ranked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runvet.artifacts.grids import grids_of
from runvet.artifacts.model import UnreadableError, evenly
from runvet.evidence import Missing, provides
from runvet.evidence.artifact_groups import ARRAYS, StageGroups
from runvet.evidence.grids import GridSamples, Solid, filled
from runvet.run import FloatArray

STEPS = 12  # steps that are compared, the first and the last among them
EACH = 16  # samples of one step


@dataclass(frozen=True, slots=True)
class StepSamples:
    """The samples of one step: the distance of each to the data, shape (n,)."""

    step: float
    distances: FloatArray


@dataclass(frozen=True, slots=True)
class Sweep:
    """All steps that have samples, in order; `axis` is what they count."""

    axis: str
    steps: tuple[StepSamples, ...]


@provides
def sweep(found: StageGroups, grids: GridSamples) -> Sweep | Missing:
    group = next(g for g in found.samples if g.name == grids.where and g.entries[0].item.suffix in ARRAYS)
    if len(group.steps) < 2:
        return Missing(
            "samples of one step only", "keep the samples of every evaluation below samples/step_N/", applicable=False
        )
    out = []
    for step in evenly(group.steps, STEPS):
        read: list[Solid] = []
        for entry in evenly(group.at(step), EACH):
            try:
                held = grids_of(found.artifacts.read(entry.item).arrays)
            except UnreadableError:
                continue
            read += [Solid(entry.item.name, entry.label, grid, grids.background) for grid in held]
        if read:
            out.append(StepSamples(step, _distances(read[:EACH], grids)))
    return Sweep(group.axis, tuple(out))


def _distances(samples: Sequence[Solid], grids: GridSamples) -> FloatArray:
    """Log ratio of filled cells to the nearest data, plus the connectedness that is missing, plus the share of foreign ids."""
    counts = np.log(filled(grids.data) + 0.5)
    whole = float(np.quantile([g.parts.share for g in grids.data if g.filled] or [0.0], 0.05))
    out = []
    for sample in samples:
        density = float(np.abs(counts - np.log(sample.filled + 0.5)).min())
        foreign = sum(n for v, n in sample.values.items() if v not in grids.seen and v not in grids.background)
        out.append(density + max(0.0, whole - sample.parts.share) + foreign / max(1, sample.filled))
    return np.array(out)
