"""Curves that are no metrics: errors at each distance ahead, noise schedules of both sides; ranges of inputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from runvet.evidence.horizons import Horizons
from runvet.evidence.inputs import FedInputs
from runvet.evidence.noise_schedules import NoiseSchedules
from runvet.report import Figure
from runvet.run import FloatArray, Run

MOST = 4  # figures of one kind
POINTS = 200  # points of one line


def horizons(found: Horizons, _: Run) -> Iterator[Figure]:
    """The error at each distance ahead, and how far the truth lies from its start."""
    for one in found.all[:MOST]:
        sides = [("error", one.error), ("size of the truth", one.size)]
        note = f"{one.samples:,} samples · {one.where}" if one.samples else one.where
        yield _lines(
            f"{one.name}: error by distance ahead",
            one.ahead,
            sides,
            f"ahead{f' ({one.unit})' if one.unit else ''}",
            note,
        )


def schedules(found: NoiseSchedules, _: Run) -> Iterator[Figure]:
    """The noise schedule that training uses, and the sampler's."""
    for pair in found.pairs[:MOST]:
        sides = [("training", pair.train), ("sampling", pair.use)]
        yield _lines(
            f"{pair.what}: training and sampling",
            np.arange(len(pair.train), dtype=np.float64),
            sides,
            "time",
            pair.where,
        )


def inputs(found: FedInputs, _: Run) -> Iterator[Figure]:
    """The same input in training and in use: whole range, and mean plus and minus one standard deviation."""
    for one in found.all[:MOST]:
        sides = (("training", one.train), ("in use", one.use))
        rows = [
            {"label": "whole range", "bars": [_bar(role, fed.low, fed.high) for role, fed in sides]},
            {"label": "mean ± standard deviation", "bars": [_bar(role, fed.mean - fed.sd, fed.mean + fed.sd) for role, fed in sides]},
        ]  # fmt: skip
        yield Figure(
            "ranges",
            title=f"{one.name}: what the model is fed",
            note=f"{one.train.where} and {one.use.where}",
            data={"rows": rows},
        )


def _bar(role: str, low: float, high: float) -> dict[str, Any]:
    return {"role": role, "low": float(f"{low:.5g}"), "high": float(f"{high:.5g}")}


def _lines(title: str, x: FloatArray, sides: list[tuple[str, FloatArray]], axis: str, note: str) -> Figure:
    """Lines over the same x, thinned evenly; sides of another length or that are not finite are left out."""
    kept = sorted({round(float(i)) for i in np.linspace(0, len(x) - 1, min(len(x), POINTS))}) if len(x) else []
    told = [(role, np.asarray(y, np.float64)) for role, y in sides if len(y) == len(x) and np.isfinite(y).all()]
    lines = [
        {"role": role, "points": [float(f"{v:.5g}") for i in kept for v in (float(x[i]), float(y[i]))]}
        for role, y in told
    ]
    return Figure("lines", title=title, note=note, data={"axis": axis, "lines": lines})
