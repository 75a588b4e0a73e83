"""The curves of a run as they are drawn: few enough points for a file that opens at once, every extreme kept."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np

from runvet.report import Curve, Number, Trend
from runvet.run import FloatArray, IntArray, Run, Series

BUDGET = 36_000  # points of a whole report: about 600 kB as JSON
MOST = 2_000  # points of one curve: more than a wide screen has pixels
LEAST = 64  # points below which a curve says too little to be drawn
PARTS = 120  # medians of a noisy curve
ROUGH = 12  # a curve that travels so many times its range is noisy, and its medians are drawn as well
DIGITS = 7  # significant digits of a drawn value; a curve that moves less keeps all it has
FIRST_ROLES = ("train_loss", "val_loss", "loss", "lr", "grad_norm")


def of(run: Run, first: Collection[tuple[str, str]] = (), *, budget: int = BUDGET) -> tuple[Curve, ...]:
    """The curves of all stages in at most about `budget` points, in the order of the run.

    `first` names (stage, series) that get their points before all others; well-known roles come next. Where the
    budget ends, the curves that are left are not drawn.
    """
    every = [(stage.name, s) for stage in run.stages for s in stage.series if len(s)]
    order = sorted(range(len(every)), key=lambda i: (_rank(*every[i], first), i))
    out: dict[int, Curve] = {}
    left = budget
    for place, i in enumerate(order):
        stage, series = every[i]
        fair = max(LEAST, left // (len(order) - place))
        share = min(MOST, left, 2 * fair if _rank(stage, series, first) < 2 else fair)
        if share < min(LEAST, len(series)):
            continue
        out[i] = curve(stage, series, share)
        left -= len(out[i].x)
    return tuple(out[i] for i in sorted(out))


def _rank(stage: str, series: Series, first: Collection[tuple[str, str]]) -> int:
    return 0 if (stage, series.name) in first else 1 if series.role in FIRST_ROLES else 2


def curve(stage: str, series: Series, most: int = MOST) -> Curve:
    """One series with about `most` points at most (at least the ends and extremes of every segment)."""
    x, y = series.x(), series.value
    index, starts = thin(x, y, series.segment, most)
    return Curve(
        stage=stage,
        name=series.name,
        role=series.role,
        axis=series.axis,
        x=tuple(rounded(x[index], 10)),
        y=tuple(_values(y[index])),
        starts=tuple(starts),
        total=series.total,
        thinned=series.stride,
        trend=trend(series),
    )


def trend(series: Series) -> Trend | None:
    """Medians over neighbouring points of every segment; None for a short or smooth curve."""
    whole = series.finite()
    span = whole.maximum - whole.minimum if len(whole) else 0.0
    if len(whole) < 4 * PARTS or not np.isfinite(span) or float(np.abs(np.diff(whole.value)).sum()) <= ROUGH * span:
        return None
    length = len(whole) // PARTS
    x: list[float] = []
    y: list[float] = []
    starts: list[int] = []
    for part in whole.segments():
        count = max(1, len(part) // length)
        if len(part) < length // 2 or len(x) + count > 4 * PARTS:  # too short a piece, or seams without number
            continue
        starts.append(len(x))
        order = np.argsort(part.x(), kind="stable")
        x.extend(float(np.median(p)) for p in np.array_split(part.x()[order], count))
        y.extend(float(np.median(p)) for p in np.array_split(part.value[order], count))
    return Trend(tuple(rounded(np.array(x), 10)), tuple(rounded(np.array(y), DIGITS)), tuple(starts), length)


def thin(x: FloatArray, y: FloatArray, segment: IntArray, most: int) -> tuple[IntArray, list[int]]:
    """Indices (m,) of the points to draw, and where each segment starts among them.

    x, y: float64 (n,), y may hold non-finite values; segment: int64 (n,). Within a segment x ascends. Of every
    segment the ends stay, and of every bucket of neighbouring points the smallest, the largest and, as a gap, the
    first non-finite one.
    """
    numbers = np.unique(segment)
    if len(numbers) * 4 > most:  # seams without number: draw them as one
        segment, numbers = np.zeros_like(segment), np.zeros(1, np.int64)
    parts, starts, length = [], [], 0
    for number in numbers:
        inside = np.flatnonzero(segment == number)
        inside = inside[np.argsort(x[inside], kind="stable")]
        kept = inside[_extremes(y[inside], max(4, most * len(inside) // len(y)))]
        parts.append(kept)
        starts.append(length)
        length += len(kept)
    return (np.concatenate(parts) if parts else np.zeros(0, np.int64)), starts


def _extremes(y: FloatArray, most: int) -> IntArray:
    """Indices of the points of one segment to draw, ascending."""
    n = len(y)
    if n <= most:
        return np.arange(n)
    finite = np.isfinite(y)
    buckets = max(1, (most - 2) // (2 if finite.all() else 3))
    size = -(-n // buckets)
    rows = -(-n // size)
    padded = np.full(rows * size, np.nan)
    padded[:n] = np.where(finite, y, np.nan)
    blocks = padded.reshape(rows, size)
    offset = np.arange(rows) * size
    known = ~np.isnan(blocks).all(axis=1)
    low = (np.where(np.isnan(blocks), np.inf, blocks).argmin(axis=1) + offset)[known]
    high = (np.where(np.isnan(blocks), -np.inf, blocks).argmax(axis=1) + offset)[known]
    gone = np.zeros(rows * size, bool)
    gone[:n] = ~finite
    gaps = (gone.reshape(rows, size).argmax(axis=1) + offset)[gone.reshape(rows, size).any(axis=1)]
    return np.unique(np.concatenate([[0, n - 1], low, high, gaps]))


def _values(y: FloatArray) -> Iterator[Number | None]:
    """Values to the digits that show, None where not finite."""
    finite = y[np.isfinite(y)]
    span = float(finite.max() - finite.min()) if len(finite) else 0.0
    flat = len(finite) > 0 and span < 1e-3 * float(np.abs(finite).max())
    for value in rounded(y, 17 if flat else DIGITS):
        yield value if np.isfinite(value) else None


def rounded(values: FloatArray, digits: int) -> Iterator[float]:
    """Values (n,) to so many significant digits; 17 keep all."""
    for value in values.tolist():
        yield value if digits >= 17 or value.is_integer() else float(f"{value:.{digits}g}")
