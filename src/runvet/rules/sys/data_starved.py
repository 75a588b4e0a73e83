"""SYS102 data-starved."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.curves import DataTime, StepTime
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import num, percent, place, since, span
from runvet.run import FloatArray, Series, Stage

FEWEST = 20  # points that have both times
BINS = 12
NEARLY = 0.8  # of the step: a loader that broke down leaves little to anything else
PARTS = 0.75  # of the bins that must be starved
WITHIN = 1.05  # a data time beyond the step time by more than rounding is no part of it


@rule("SYS102", "data-starved", level="critical", since="0.1", explains=("SYS101", "SYS104", "SYS105"))
def data_starved(data: DataTime, steps: StepTime, *, share: float = 0.3, blown: float = 10.0) -> Sick | Unsure | None:
    """The run waits for data for much of its time.

    ## What it checks
    The logged time to load a batch against the time of the whole step at the same points: medians of up to 12 equal
    parts, so that the slow first batches of epochs do not count. A warning where data take more than `share` of the
    step in three quarters of the parts; critical where the time to load grows more than `blown`-fold from the first
    half to the end (at least three points) and takes nearly all of the step there.
    ## Why it matters
    The accelerator stands still for that share of the time that is paid for.
    ## What to do
    More loader processes, prefetching, data on a local disk, cheaper decoding; look for what grows where the time
    grows (open files, shared memory, a network disk in trouble).
    ## When to ignore it
    Tiny models, where nothing else takes time.
    ## Known limits
    Needs both times from the same log lines, the first contained in the second.
    ## References
    - Failure reports: catalogued public logs in which a batch took 0.3 s at first and 330 s in the end.
    """
    for one in data.series:
        for step in steps.series:
            pair = _pair(one, step)
            if pair is None:
                continue
            loading, whole, index = pair
            if np.mean(loading > WITHIN * whole) > 0.25:
                return Unsure(f"{one.name} is larger than {step.name}: it is no part of it", "log both per step")
            return _judge(one, loading, whole, index, share, blown)
    return Unsure("data time and step time do not stand at the same points", "log both per step")


def _pair(data: Series, step: Series) -> tuple[FloatArray, FloatArray, FloatArray] | None:
    """Both times at common lines (or axis positions) with the index of the data point; None for too few."""
    if data.split != step.split:
        return None
    left, right = (s.line if (s.line > 0).all() and s.files == s.files[:1] else s.x() for s in (data, step))
    if data.files != step.files:
        left, right = data.x(), step.x()
    _, i, j = np.intersect1d(left, right, return_indices=True)
    order = np.argsort(i)
    i, j = i[order], j[order]
    a, b = data.value[i], step.value[j]
    good = np.isfinite(a) & np.isfinite(b) & (b > 0) & (a >= 0)
    return (a[good], b[good], i[good].astype(np.float64)) if good.sum() >= FEWEST else None


def _judge(
    series: Series, data: FloatArray, step: FloatArray, index: FloatArray, share: float, blown: float
) -> Sick | None:
    parts = np.array_split(np.arange(len(data)), min(BINS, len(data) // 5))
    shares = np.array([float(np.median(data[p] / step[p])) for p in parts])
    quarter, tail = max(1, len(data) // 4), max(3, len(data) // 20)
    first, last = float(np.median(data[:quarter])), float(np.median(data[-quarter:]))
    # A breakdown at the very end may be short: each of its points counts, none is the slow first batch of an epoch.
    usual, end = float(np.median(data[: len(data) // 2])), float(np.median(data[-tail:]))
    broken = usual > 0 and float(data[-tail:].min()) > blown * usual
    grown = first > 0 and (broken or last > blown * first) and float(np.median(data[-tail:] / step[-tail:])) > NEARLY
    grown = grown and float(np.median(step[-tail:])) > 2 * float(np.median(step[: len(step) // 2]))
    if not grown and np.mean(shares > share) < PARTS:
        return None
    total = float(data.sum() / step.sum())
    at = int(index[int(parts[int(np.argmax(shares > share))][0])])
    x = series.x()
    growth = f", and grows from {num(min(first, usual))} to {num(end)} a batch" if grown else ""
    return Sick(
        f"waiting for data takes {percent(float(np.median(shares)))} of a typical step{growth}",
        evidence=(
            Measure("median share of data loading", round(float(np.median(shares)), 3), None, series.where(at)),
            Measure("share of data loading in all the time", round(total, 3)),
            Measure(f"{series.name}, first half and end", f"{num(usual)} -> {num(end)}", None, series.where(-1)),
        ),
        since_step=since(series, float(x[at])),
        innocent="a tiny model, where nothing else takes time",
        actions=(
            Action(
                f"Load data faster from {place(series.axis, float(x[at]))} on: more loader processes, prefetching, a local"
                " disk; find what grows"
                if grown
                else "Load data faster: more loader processes, prefetching, a local disk",
                "config",
            ),
        ),
        window=span(series, float(x[at]), float(x[-1])),
        level=None if grown else "warning",
    )


def sick() -> Iterator[Stage]:
    """Half of every step, and a loader that breaks down."""
    yield examples.stage(
        loss=examples.decay(400), data_time=examples.level(400, 0.5), step_time=examples.level(400, 1.0)
    )
    grown = examples.level(400, 0.1) * np.exp(np.linspace(0, 7, 400))
    yield examples.stage(loss=examples.decay(400), data_time=grown, step_time=grown + 0.2)


def healthy() -> Iterator[Stage]:
    """Fast loading, slow first batches of each epoch, and a data time that is counted otherwise."""
    yield examples.stage(
        loss=examples.decay(400), data_time=examples.level(400, 0.01), step_time=examples.level(400, 1.0)
    )
    first = examples.level(400, 0.01)
    first[::20] = 140.0
    yield examples.stage(loss=examples.decay(400), data_time=first, step_time=first + 0.7)
