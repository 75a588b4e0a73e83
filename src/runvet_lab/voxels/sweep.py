"""Checkpoints and ways of sampling, ranked by the quality of their samples, with its uncertainty."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from runvet_lab.voxels import metrics, sampling
from runvet_lab.voxels.data import DataSet
from runvet_lab.voxels.diffusion.process import Sampling
from runvet_lab.voxels.trained import checkpoints, open_run

DRAWS = 500  # of the bootstrap


@dataclass(frozen=True, slots=True)
class Entry:
    """One way of sampling: the score with the bounds of 95 % of bootstrap draws (samples drawn again within each class)."""

    step: int
    changed: str  # settings that differ from the run's, as key=value
    score: float
    low: float
    high: float
    quality: tuple[metrics.Quality, ...]


def sweep(
    run: Path,
    data: DataSet,
    reference: metrics.Reference,
    *,
    each: int,
    variants: Sequence[dict[str, Any]] = ({},),
    seed: int = 0,
    told: Callable[[Entry], Any] | None = None,
) -> list[Entry]:
    """Sample every checkpoint in every variant for the same prompts and seeds; the best first.

    Raises NotARun, ConfigProblem, ValueError.
    """
    labels, prompts = sampling.asked(data, each)
    found = []
    for step in sorted(checkpoints(run)):
        trained = open_run(run, step)
        for variant in variants:
            grids = trained.sample(prompts, replace(trained.config.sampling, **variant), seed=seed)
            quality = metrics.measure(grids, labels, reference)
            low, high = bounds(grids, labels, reference, seed)
            changed = " ".join(f"{k}={v}" for k, v in variant.items())
            entry = Entry(step, changed, metrics.score(quality), low, high, quality)
            found.append(entry)
            if told is not None:
                told(entry)
    return sorted(found, key=lambda e: -e.score)


def bounds(grids: Any, labels: Sequence[str], reference: metrics.Reference, seed: int) -> tuple[float, float]:
    """The 2.5 % and 97.5 % quantile of the score over bootstrap draws."""
    rng = np.random.default_rng(seed)
    drawn = np.zeros(DRAWS)
    classes = sorted(set(labels) & set(reference.labels))
    for label in classes:
        own = grids[[of == label for of in labels]]
        shapes = [metrics.shape(grid, reference.train.air) for grid in own]
        rows, _ = metrics.nearest(own, reference.near.grids)
        solids, whole = np.array([s.solids for s in shapes], float), np.array([s.connected for s in shapes])
        right = np.array([reference.near.labels[row] == label for row in rows], float)
        known = np.array([_known(grid, reference) for grid in own])
        pick = rng.integers(len(own), size=(DRAWS, len(own)))
        ratio = np.maximum(solids[pick].mean(1) / reference.solids[label], 1e-9)
        drawn += whole[pick].mean(1) * np.minimum(ratio, 1 / ratio) * right[pick].mean(1) * known[pick].mean(1)
    low, high = np.quantile(drawn / max(1, len(classes)), [0.025, 0.975])
    return float(low), float(high)


def _known(grid: Any, reference: metrics.Reference) -> float:
    solid = grid[grid != reference.train.air]
    return float(np.isin(solid, list(reference.ids)).mean()) if len(solid) else 1.0


def variants(texts: Sequence[str]) -> list[dict[str, Any]]:
    """`guidance_scale=1,2` and `temperature=0.8,1` as all four combinations. Raises ValueError for unknown keys."""
    types = {f.name: type(getattr(Sampling(), f.name)) for f in fields(Sampling)}
    choices: list[list[tuple[str, Any]]] = []
    for text in texts:
        key, equals, values = text.partition("=")
        if not equals or key not in types:
            raise ValueError(f"{text!r}: expected a setting of sampling and its values; known are {', '.join(types)}")
        choices.append([(key, _value(types[key], value)) for value in values.split(",")])
    return [dict(combination) for combination in product(*choices)]


def _value(kind: type, text: str) -> Any:
    if kind is bool:
        return text.lower() in ("1", "true", "yes")
    return kind(text)


def line(entry: Entry, place: int | None = None) -> str:
    """One row for a terminal."""
    low = metrics.worst(entry.quality)
    whole = entry.quality[0]
    rank = f"{place:>3} " if place is not None else "    "
    return (
        f"{rank}step {entry.step:<8,} score {entry.score:.3f} ({entry.low:.3f} to {entry.high:.3f})  ratio {whole.ratio:.2f}"
        f"  connected {whole.connected:.2f} (worst {low.label} {low.connected:.2f})  adherence {whole.adherence:.2f}  {entry.changed}"
    )
