"""Seconds per step over the run: from its time stamps, else from what it logged about its speed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from runvet.evidence import Missing, provides
from runvet.run import FloatArray, IntArray, Series, Stage
from runvet.statistics import Speed, is_cumulative_clock, speed, step_times

FEWEST = 30  # intervals below which a trend says nothing


@dataclass(frozen=True, slots=True)
class Pace:
    """Time per step; the arrays have the shape (n,), pauses and seams are left out. `segment` is int64 (n,).

    `seconds` is in seconds per step (or epoch) where `stamped`, else in the unit that the run logged (`unit`
    says which). `series` is where it comes from; `speed` is known from time stamps alone.
    """

    series: Series
    x: FloatArray
    seconds: FloatArray
    segment: IntArray
    stamped: bool
    unit: str
    speed: Speed | None


@provides
def pace(stage: Stage) -> Pace | Missing:
    return (
        _stamped(stage)
        or _logged(stage)
        or Missing("no time of any step", "log a time stamp or step_time with every point")
    )


def timed(stage: Stage) -> Series | None:
    """The longest series that holds times and a real axis: training first."""
    training = ("train_loss", "loss_term", "generator_loss", "discriminator_loss", "reward", "lr", "train_accuracy")
    fits = [s for s in stage.series if s.axis != "point" and len(s) > FEWEST and np.isfinite(s.time).mean() > 0.9]
    fits.sort(key=lambda s: (s.role not in training, s.split in ("val", "test"), -s.total))
    return fits[0] if fits else None


def _stamped(stage: Stage) -> Pace | None:
    series = timed(stage)
    if series is None:
        return None
    xs, each, numbers = [], [], []
    for part in series.segments():
        times = step_times(part.time, part.x())
        xs.append(times.step[~times.pause])
        each.append(times.seconds[~times.pause])
        numbers.append(np.full(len(xs[-1]), part.segment[0], np.int64))
    x, seconds = np.concatenate(xs), np.concatenate(each)
    if len(x) < FEWEST:
        return None
    return Pace(
        series, x, seconds, np.concatenate(numbers), True, f"s per {series.axis}", speed(series.time, series.x())
    )


def _logged(stage: Stage) -> Pace | None:
    for role in ("step_time", "throughput"):
        for series in sorted(stage.role(role), key=lambda s: -s.total):
            good = series.pick(np.isfinite(series.value) & (series.value > 0))
            if len(good) < FEWEST or series.split in ("val", "test"):
                continue
            if role == "step_time" and any(is_cumulative_clock(part.value) for part in good.segments()):
                continue
            value = good.value if role == "step_time" else 1.0 / good.value
            return Pace(series, good.x(), value, good.segment, False, series.name, None)
    return None
