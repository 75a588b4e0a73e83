"""Samples of every step against the data: a distance a sample, so that steps can be ranked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runvet.artifacts.grids import grids_of
from runvet.artifacts.model import UnreadableError, evenly
from runvet.artifacts.steps import StepSamples
from runvet.artifacts.texture import roughness
from runvet.evidence import Missing, provides
from runvet.evidence.artifact_groups import StageGroups
from runvet.evidence.grids import GridSamples, Solid, filled
from runvet.evidence.pictures import Picture, PictureSamples, thumbnail
from runvet.run import FloatArray

STEPS = 12  # steps that are compared, the first and the last among them
EACH = 16  # samples of one step


@dataclass(frozen=True, slots=True)
class Sweep:
    """All steps that have samples, in order; `axis` is what they count, `floor` a distance that is as good as none."""

    axis: str
    steps: tuple[StepSamples, ...]
    floor: float = 0.05
    what: str = "grids"

    @property
    def ranked(self) -> tuple[StepSamples, ...]:
        """The steps, those with the samples nearest to the data first."""
        return tuple(sorted(self.steps, key=lambda s: (s.median, -s.step)))


@provides
def sweep(found: StageGroups, grids: GridSamples | None, pictures: PictureSamples | None) -> Sweep | Missing:
    made = _grids(found, grids) if grids is not None else _pictures(pictures) if pictures is not None else None
    if made is None:
        return Missing("no grids or pictures among the samples", "", applicable=False)
    if len(made.steps) < 2:
        return Missing(
            "samples of one step only", "keep the samples of every evaluation below samples/step_N/", applicable=False
        )
    return made


def _grids(found: StageGroups, grids: GridSamples) -> Sweep:
    # Of the same folder's groups the one that was read: JSON beside npz may only describe it.
    group = next(g for g in found.samples if any(e.item.name == grids.samples[0].name for e in g.last))
    out = []
    for step in evenly(group.steps, STEPS) if len(group.steps) > 1 else ():
        read: list[Solid] = []
        for entry in evenly(group.at(step), EACH):
            try:
                held = grids_of(found.artifacts.read(entry.item).arrays)
            except UnreadableError:
                continue
            read += [Solid(entry.item.name, entry.label, grid, grids.background) for grid in held]
        if read:
            out.append(StepSamples(step, group.axis, _distances(read[:EACH], grids)))
    return Sweep(group.axis, tuple(out))


def _pictures(pictures: PictureSamples) -> Sweep | None:
    """Single pictures by step; sheets of several panels and data of fewer than ten pictures are not ranked."""
    series = max(pictures.series, key=lambda s: len(s.pictures))
    single = [p for p in series.pictures if p.step is not None and (p.panels is None or p.panels.strips == 1)]
    if len(pictures.data) < 10 or len(single) < 0.5 * len(series.pictures):
        return None
    data = _looks(pictures.data)
    middle = np.median(data, axis=0)
    spread = np.maximum(1.4826 * np.median(np.abs(data - middle), axis=0), [4.0, 0.1, 0.1, 0.2])
    out = []
    for step in sorted({p.step for p in single if p.step is not None}):
        looks = _looks([p for p in single if p.step == step])
        apart = np.maximum(np.abs(looks - middle) / spread - 1, 0)
        out.append(StepSamples(step, series.axis, np.sqrt((apart**2).mean(axis=1))))
    return Sweep(series.axis, tuple(out), floor=0.5, what="pictures")


def _looks(pictures: Sequence[Picture]) -> FloatArray:
    """Brightness, log contrast, log roughness and entropy of pictures, shape (n, 4)."""
    rows = []
    for picture in pictures:
        grey_levels = thumbnail(picture.image)
        rough = roughness(picture.image)
        rows.append(
            [
                float(grey_levels.mean()),
                float(np.log(grey_levels.std() + 1.0)),
                float(np.log(rough + 1e-3)) if np.isfinite(rough) else float(np.log(1e-3)),
                picture.entropy,
            ]
        )
    return np.array(rows)


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
