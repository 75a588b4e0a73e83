"""SYS105 idle-accelerator."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.curves import GpuUtilisation
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import num, place, since, span
from runvet.run import Stage

FEWEST = 20
BINS = 10
PARTS = 0.8  # of the bins that must be idle


@rule("SYS105", "idle-accelerator", level="warning", since="0.1")
def idle_accelerator(use: GpuUtilisation, *, busy: float = 30.0, start: float = 0.1) -> Sick | Unsure | None:
    """The accelerator is idle for most of the time.

    ## What it checks
    Logged utilisation after the share `start` of the points, in per cent: medians of 10 equal parts. A finding where
    the busiest accelerator stays below `busy` in eight of ten parts.
    ## Why it matters
    The run could be several times as fast, or use a smaller machine.
    ## What to do
    Look at data loading, batch size, transfers and synchronisation in every step; a profile of ten steps shows it.
    ## When to ignore it
    Simulation or other work on the host takes the time by design.
    ## Known limits
    Utilisation says that something ran, not that it ran well. Needs 20 points.
    ## References
    - NVIDIA: `utilization.gpu` is the share of time in which a kernel was executing.
    """
    best = None
    for series in use.series:
        clean = series.finite()
        if len(clean) < FEWEST:
            continue
        unit = 100.0 if clean.maximum <= 1.0 and clean.minimum < clean.maximum else 1.0
        rest = unit * clean.value[int(start * len(clean)) :]
        medians = np.array([np.median(p) for p in np.array_split(rest, min(BINS, len(rest) // 2))])
        if best is None or np.median(medians) > np.median(best[1]):
            best = (clean, medians)
    if best is None:
        return Unsure("too few points of utilisation", "log gpu_util every minute")
    series, medians = best
    if np.mean(medians < busy) < PARTS:
        return None
    middle = float(np.median(medians))
    x = float(series.x()[int(start * len(series))])
    return Sick(
        f"{series.name} is {num(round(middle, 1))} % in the middle, below {num(busy)} % in {int((medians < busy).sum())} of"
        f" {len(medians)} parts of the run",
        evidence=(Measure(f"median {series.name}", round(middle, 2), "%", series.where(-1)),),
        since_step=since(series, x),
        innocent="simulation or other work on the host takes the time by design",
        actions=(
            Action(
                f"Profile ten steps after {place(series.axis, x)}: data loading, transfers, synchronisation",
                "minutes",
                "measure",
            ),
        ),
        window=span(series, x, float(series.x()[-1])),
    )


def sick() -> Iterator[Stage]:
    """12 % on the only accelerator, told in per cent and as a share."""
    yield examples.stage(loss=examples.decay(400), gpu_util=examples.level(400, 12.0, noise=0.3))
    yield examples.stage(loss=examples.decay(400), gpu_util=examples.level(400, 0.12, noise=0.3))


def healthy() -> Iterator[Stage]:
    """A busy one, one of two busy, and dips at evaluations."""
    yield examples.stage(loss=examples.decay(400), gpu_util=examples.level(400, 92.0))
    yield examples.stage(
        loss=examples.decay(400), gpu_util__0=examples.level(400, 92.0), gpu_util__1=examples.level(400, 1.0)
    )
    dips = examples.level(400, 90.0)
    dips[::4] = 2.0
    yield examples.stage(loss=examples.decay(400), gpu_util=dips)
