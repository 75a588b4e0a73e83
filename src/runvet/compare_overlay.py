"""The curves of two runs as they are drawn over each other: few points, every extreme kept, and the band of their noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runvet.compare_curves import CurveDifference, points, series_pairs
from runvet.curves import DIGITS, LEAST, rounded, thin
from runvet.report import Number
from runvet.run import FloatArray, Series, Stage

MOST = 1_200  # points drawn of one curve: more than a plot of two runs has pixels
PARTS = 60  # of a curve, each with its median and band
PER_PART = 8  # points, below which a tenth of them means nothing
OUTER = 0.1  # of the points of a part lie below the band, and as many above


@dataclass(frozen=True, slots=True)
class Band:
    """Median and the 10 % and 90 % quantiles of neighbouring points of one curve: all (k,), `size` points each."""

    x: tuple[Number, ...]
    low: tuple[Number, ...]
    middle: tuple[Number, ...]
    high: tuple[Number, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Line:
    """One run's curve: x and y (m,) ascending in x, out of `total` points; no band where there are few of them."""

    x: tuple[Number, ...]
    y: tuple[Number, ...]
    total: int
    band: Band | None


@dataclass(frozen=True, slots=True)
class Overlay:
    """One metric of both runs."""

    name: str
    stage: str
    axis: str
    base: Line
    other: Line


def overlays(pairs: Sequence[tuple[Stage, Stage]], told: Sequence[CurveDifference], budget: int) -> tuple[Overlay, ...]:
    """What is drawn of metrics in the order in which they are told, in about `budget` points; the last ones may lack."""
    every = {(a.name, x.name): (x, y) for a, b in pairs for x, y in series_pairs(a, b)}
    shares = [d for d in told if (d.stage, d.name) in every]
    each = min(MOST, max(LEAST, budget // (2 * max(1, len(shares)))))
    out = []
    for d in shares[: max(1, budget // (2 * each))]:
        base, other = every[d.stage, d.name]
        by_index = d.axis == "point" or base.axis != other.axis
        axis = "point" if by_index else base.axis
        out.append(Overlay(d.name, d.stage, axis, _line(base, each, by_index), _line(other, each, by_index)))
    return tuple(out)


def _line(series: Series, most: int, by_index: bool) -> Line:
    x, y = points(series, by_index=by_index)
    index, _ = thin(x, y, np.zeros(len(x), np.int64), most)
    return Line(tuple(rounded(x[index], 10)), tuple(rounded(y[index], DIGITS)), series.total, _band(x, y, most // 4))


def _band(x: FloatArray, y: FloatArray, most: int) -> Band | None:
    parts = min(PARTS, most, len(x) // PER_PART)
    if parts < 4:
        return None
    pieces = np.array_split(y, parts)
    low, middle, high = (
        tuple(rounded(np.array([np.quantile(p, share) for p in pieces]), DIGITS)) for share in (OUTER, 0.5, 1 - OUTER)
    )
    centre = np.array([np.median(p) for p in np.array_split(x, parts)])
    return Band(tuple(rounded(centre, 10)), low, middle, high, len(x) // parts)
