"""Counters that stand still for many lines: what a log calls its step or batch is then the number of an epoch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from runvet.run import Log, Series

LONG = 20  # points that share one number; fewer may be processes that print side by side


def unstuck(log: Log) -> Log:
    """The log of a text with its steps as epochs, whose parts the points tell, where many lines at a time share a step.

    WeNet's `Batch 3/1200` is the 1200th batch of epoch 3. Left as they are: steps that go back or leave numbers out, and
    series with an epoch of their own.
    """
    if log.reader != "text":
        return log
    still = [_stands(one) for one in log.series]
    if not any(found and _moves(one) for found, one in zip(still, log.series, strict=True)):
        return log
    series = (_as_epochs(one) if found else one for found, one in zip(still, log.series, strict=True))
    return replace(log, series=tuple(series))


def _stands(series: Series) -> bool:
    step, n = series.step, len(series)
    if n < LONG or not np.isfinite(step).all() or np.isfinite(series.epoch).any() or step[0] != np.floor(step[0]):
        return False
    rise = np.diff(step)
    return bool(np.isin(rise, (0.0, 1.0)).all() and (rise > 0).sum() + 1 <= n / LONG)


def _moves(series: Series) -> bool:
    """Whether most values differ from the one before: no line that is printed again and again."""
    return bool(2 * np.count_nonzero(np.diff(series.value)) > len(series))


def _as_epochs(series: Series) -> Series:
    step, n = series.step, len(series)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(step)) + 1])
    lengths = np.diff([*starts, n])
    usual = np.maximum(lengths, np.median(lengths[:-1]) if len(lengths) > 1 else n)  # the last epoch may still go on
    turn = np.searchsorted(starts, np.arange(n), side="right") - 1
    return replace(series, step=np.full(n, np.nan), epoch=step + (np.arange(n) - starts[turn]) / usual[turn])
