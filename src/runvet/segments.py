"""Where one process ended and another began: numbers the uninterrupted parts of every series of a log.

A seam is a place that the reader saw (a new process), or one where steps or epochs go back. Seams found in
different series of one file are reconciled by their lines, so that all series share them.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from runvet.run import FloatArray, IntArray, Log, Problem, Series
from runvet.standing import unstuck

# More steps back than this share of the points is disorder (parallel writers), not a sequence of restarts.
DISORDER = 0.05
ROUNDS = 5  # times that a step must begin anew at the same number to be one within an epoch
FEWEST, MISSING = 8, 0.02  # points of a series; the share of them that may lack a step (or one alone)


def numbered(log: Log) -> Log:
    """The log with global steps and with segment numbers in all its series."""
    log = unstuck(_completed(log))
    alone = not log.seams
    series = tuple(_ordered(_within_epochs(_global_steps(one)) if alone else _global_steps(one)) for one in log.series)
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


def _within_epochs(series: Series) -> Series:
    """Steps that count to the same number again and again, with no epoch beside them, become steps of the whole run."""
    step = series.step
    starts = np.flatnonzero(_back(series)) + 1
    if len(starts) < ROUNDS or not np.isfinite(step).all():
        return series
    tops = step[starts - 1]
    if np.ptp(tops) or np.ptp(step[[0, *starts]]):
        return series  # restarts after crashes do not end at one and the same step
    turn = tops[0] + (0.0 if step[0] >= 1.0 else 1.0)
    return replace(series, step=step + turn * np.searchsorted(starts, np.arange(len(step)), side="right"))


def _ordered(series: Series) -> Series:
    """Sort points that several writers logged out of order; a few steps back are restarts and stay."""
    back = int(_back(series).sum())
    axis = _axis(series)
    if axis is None or back <= max(20, DISORDER * len(series)):
        return series
    return series.pick(np.argsort(axis, kind="stable"))


def _completed(log: Log) -> Log:
    """The log in which a few points without a step stand between their neighbours, which is told as a problem."""
    found = [(one, _filled(one)) for one in log.series]
    lost = [(one, int((~np.isfinite(one.step)).sum())) for one, full in found if full is not one]
    if not lost:
        return log
    one, count = max(lost, key=lambda pair: pair[1])
    at = int(np.flatnonzero(~np.isfinite(one.step))[0])
    told = Problem(
        one.files[int(one.file[at])],
        f"{count} of {len(one)} points of {one.name} have no step; they are placed between their neighbours",
        int(one.line[at]),
        remedy="log the step with every value",
    )
    return replace(log, series=tuple(full for _, full in found), problems=(*log.problems, told))


def _filled(series: Series) -> Series:
    known = np.isfinite(series.step)
    missing = len(known) - int(known.sum())
    if not missing or len(known) < FEWEST or missing > max(1, MISSING * len(known)):
        return series
    places = np.arange(len(known))
    return replace(series, step=np.interp(places, places[known], series.step[known]))


def _seams(series: tuple[Series, ...], told: tuple[int, ...]) -> list[int]:
    """The fewest lines that cut every place where an axis goes back; those the reader told come first."""
    spans: list[tuple[int, int]] = []
    for one in series:
        if len(one) > 1 and (one.line > 0).all() and (np.diff(one.line) >= 0).all():
            spans += [(int(one.line[i]), int(one.line[i + 1])) for i in np.flatnonzero(_back(one))]
    said = sorted(set(told))
    found: list[int] = []  # rising, so that its last one is the only one that can lie in the next span
    for low, high in sorted(set(spans), key=lambda s: s[1]):
        place = bisect_right(said, low)
        if not (place < len(said) and said[place] <= high) and not (found and found[-1] > low):
            found.append(high)
    return sorted([*said, *found])
