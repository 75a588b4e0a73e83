"""Where one process ended and another began: numbers the uninterrupted parts of every series of a log.

A seam is a place that the reader saw (a new process), or one where steps or epochs go back. Seams found in
different series of one file are reconciled by their lines, so that all series share them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from runvet.run import FloatArray, IntArray, Log, Series

# More steps back than this share of the points is disorder (parallel writers), not a sequence of restarts.
DISORDER = 0.1


def numbered(log: Log) -> Log:
    """The log with global steps and with segment numbers in all its series."""
    series = tuple(_ordered(_global_steps(one)) for one in log.series)
    seams = _seams(series, tuple(s.line for s in log.seams))
    if not seams:
        return replace(log, series=series)
    at = np.asarray(seams)
    return replace(
        log,
        series=tuple(replace(one, segment=_number(one, at)) for one in series),
        events=tuple(replace(e, segment=int(np.searchsorted(at, e.line, side="right"))) for e in log.events),
    )


def _number(series: Series, seams: IntArray) -> IntArray:
    """Segment numbers by line; a series whose lines are unknown is cut where its own axis goes back."""
    if (series.line > 0).all():
        return np.searchsorted(seams, series.line, side="right").astype(np.int64)
    back = np.concatenate([[False], _back(series)])
    return np.cumsum(back).astype(np.int64)


def _axis(series: Series) -> FloatArray | None:
    for axis in (series.step, series.epoch):
        if len(axis) and np.isfinite(axis).all():
            return axis
    return None


def _back(series: Series) -> npt.NDArray[np.bool_]:
    """Where the axis goes back, shape (n - 1,). An axis with a unit of one tolerates nothing, so a step is a step."""
    axis = _axis(series)
    return np.zeros(max(len(series) - 1, 0), bool) if axis is None else np.diff(axis) < 0


def _global_steps(series: Series) -> Series:
    """Steps that count within an epoch (they go back where the epoch goes on) become steps of the whole run."""
    step, epoch = series.step, series.epoch
    if len(step) < 3 or not np.isfinite(step).all() or not np.isfinite(epoch).all():
        return series
    back = np.diff(step) < 0
    onward = back & (np.diff(epoch) > 0)
    if not onward.any() or onward.sum() < 0.5 * back.sum():
        return series
    starts = np.flatnonzero(onward) + 1
    tops = step[starts - 1]
    length = float(np.median(tops)) if len(tops) > 2 else float(tops.max())
    unit = float(np.median(np.abs(np.diff(step)[~back]))) if (~back).any() else 1.0
    offset = np.zeros(len(step))
    offset[starts] = np.maximum(tops, length) + (0.0 if step[starts].min() >= min(unit, 1.0) else 1.0)
    return replace(series, step=step + np.cumsum(offset))


def _ordered(series: Series) -> Series:
    """Sort points that several writers logged out of order; a few steps back are restarts and stay."""
    back = int(_back(series).sum())
    axis = _axis(series)
    if axis is None or back <= max(20, DISORDER * len(series)):
        return series
    return series.pick(np.argsort(axis, kind="stable"))


def _seams(series: tuple[Series, ...], told: tuple[int, ...]) -> list[int]:
    """The fewest lines that cut every place where an axis goes back; those the reader told come first."""
    spans: list[tuple[int, int]] = []
    for one in series:
        if len(one) > 1 and (one.line > 0).all() and (np.diff(one.line) >= 0).all():
            spans += [(int(one.line[i]), int(one.line[i + 1])) for i in np.flatnonzero(_back(one))]
    seams = sorted(set(told))
    for low, high in sorted(set(spans), key=lambda s: s[1]):
        if not any(low < seam <= high for seam in seams):
            seams.append(high)
    return sorted(seams)
