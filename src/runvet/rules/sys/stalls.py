"""SYS104 stalls."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.pace import FEWEST, timed
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import duration, percent, place, since, span
from runvet.run import FloatArray, IntArray, Series, Stage

REGULAR = 0.25  # gaps whose distances vary by less than this (scaled) come on purpose: evaluations, saves


@rule("SYS104", "stalls", level="warning", since="0.1")
def stalls(stage: Stage, *, times: float = 10.0, seconds: float = 600.0, share: float = 0.1) -> Sick | Unsure | None:
    """The run stood still for a good part of its time.

    ## What it checks
    Gaps between neighbouring points of the training log that are longer than `times` the median interval and longer
    than `seconds`, within uninterrupted parts of the run. Gaps that come at regular distances, or in which an
    evaluation was logged, are not stalls. A finding where stalls took more than `share` of the whole time.
    ## Why it matters
    Time is paid for and lost; stalls tell of hanging communication, full disks, or a suspended machine.
    ## What to do
    Look at what the log says before each gap; check network, disk and the scheduler of the cluster.
    ## When to ignore it
    The machine was suspended or the job was preempted.
    ## Known limits
    Needs time stamps. A long pause for work that is not logged at all looks like a stall.
    ## References
    - Request for such an alert: marin-community/marin#2830.
    """
    series = timed(stage)
    if series is None:
        return Unsure("no time stamps", "log a time stamp with every point")
    found: list[tuple[Series, int, float]] = []
    whole = 0.0
    for part in series.segments():
        clock = part.time
        if len(part) < FEWEST or not np.isfinite(clock).all():
            continue
        gaps = np.diff(clock)
        gaps = np.where(gaps > 0, gaps, 0.0)
        whole += float(gaps.sum())
        long = np.flatnonzero(gaps > max(seconds, times * float(np.median(gaps))))
        if _regular(long, part.x()):
            continue
        found += [(part, int(i), float(gaps[i])) for i in long if not _evaluated(stage, part, int(i))]
    lost = sum(g for _, _, g in found)
    if not found or lost <= share * whole:
        return None
    part, at, longest = max(found, key=lambda f: f[2])
    x = float(part.x()[at])
    return Sick(
        f"{len(found)} stall{'s' if len(found) > 1 else ''} took {duration(lost)}, {percent(lost / whole)} of the time;"
        f" the longest, {duration(longest)}, after {place(part.axis, x)}",
        evidence=(
            Measure("stalls", len(found), "gaps"),
            Measure("time in stalls", round(lost), "s"),
            Measure("longest", round(longest), "s", part.where(at)),
        ),
        since_step=since(part, float(found[0][0].x()[found[0][1]])),
        innocent="the machine was suspended, or the job was preempted",
        actions=(
            Action(
                f"Look at what happened after {place(part.axis, x)} ({part.where(at)}): disk, network, other jobs",
                "minutes",
                "measure",
            ),
        ),
        window=span(part, x, float(part.x()[at + 1])),
    )


def _regular(long: IntArray | FloatArray, x: FloatArray) -> bool:
    """Whether at least three gaps stand at even distances."""
    if len(long) < 3:
        return False
    steps = np.diff(x[long.astype(np.int64)])
    middle = float(np.median(steps))
    return bool(middle > 0 and 1.4826 * float(np.median(np.abs(steps - middle))) <= REGULAR * middle)


def _evaluated(stage: Stage, part: Series, i: int) -> bool:
    """Whether an evaluation was logged in the gap after point i."""
    x = part.x()
    low, high = x[i], x[i + 1]
    return any(
        s.split in ("val", "test") and s.axis == part.axis and bool(np.any((s.x() >= low) & (s.x() <= high)))
        for s in stage.series
    )


def sick() -> Iterator[Stage]:
    """Two stalls of an hour in a run of five."""
    each = examples.level(2000, 5.0)
    each[[700, 1650]] += 3600.0
    yield examples.stage(loss=examples.decay(2000), times=np.cumsum(each))


def healthy() -> Iterator[Stage]:
    """A steady run, regular evaluations, and one short stall."""
    yield examples.stage(loss=examples.decay(2000), times=np.cumsum(examples.level(2000, 5.0)))
    regular = examples.level(2000, 5.0)
    regular[199::200] += 1200.0
    yield examples.stage(loss=examples.decay(2000), times=np.cumsum(regular))
    once = examples.level(2000, 5.0)
    once[900] += 700.0
    yield examples.stage(loss=examples.decay(2000), times=np.cumsum(once))
