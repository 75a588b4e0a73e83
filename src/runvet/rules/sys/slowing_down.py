"""SYS101 slowing-down."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from runvet import examples
from runvet.evidence.nature import Nature
from runvet.evidence.pace import FEWEST, Pace
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import num, percent, place, since, span
from runvet.run import FloatArray, Stage
from runvet.statistics import kendall, noise

BINS = 20
RECENT = 2  # bins at the end that are "now": a tenth
EARLY = (0.05, 0.5)  # the part of the run that tells its usual speed
LENGTHS = re.compile(
    r"(?:seq(?:uence)?|response|prompt|context|episode|ep|token|crop|image|resolution)_?(?:len(?:gth)?|size)", re.I
)


@dataclass(frozen=True, slots=True)
class Slower:
    """Usual and recent seconds per step, tau of the bins, and where it began to be slower for good (an index)."""

    usual: float
    recent: float
    tau: float
    start: int


@rule("SYS101", "slowing-down", level="warning", since="0.1")
def slowing_down(
    stage: Stage, pace: Pace, nature: Nature, *, slower: float = 0.10, errors: float = 5.0
) -> Sick | Unsure | None:
    """Steps take longer and longer.

    ## What it checks
    Seconds per step, from time stamps, else from a logged step time or throughput; medians of 20 equal parts, each
    uninterrupted part of the run for itself. A finding where the last tenth is more than `slower` slower than the
    usual speed of the first half, more than `errors` standard errors, slower than every part of that half, and either
    rising for most of the run or at a new level at its end. Pauses (evaluation, saving) and columns that count
    seconds since the start are left out.
    ## Why it matters
    A slow-down multiplies what is still to do, and tells of a leak: growing lists, growing memory, a throttling or
    shared machine, fuller disks, data read from farther away.
    ## What to do
    Plan with the recent speed. Profile a step now, look at memory, temperature and other jobs, restart from the last
    checkpoint and see whether the speed is back.
    ## When to ignore it
    The work per step grows by design: longer sequences, larger images, more layers trained.
    ## Known limits
    Needs 30 intervals. In reinforcement learning, where the work per step depends on the policy, half as much again
    is allowed.
    ## References
    - Failure reports: araffin/robotics-rl-srl#47, mit-han-lab/gan-compression#47; false alarm: alexjc/neural-enhance#23.
    """
    limit = slower + 0.5 if nature.reinforcement else slower
    for number in np.unique(pace.segment)[::-1]:
        mine = pace.segment == number
        x, seconds = pace.x[mine], pace.seconds[mine]
        found = _slower(seconds, limit, errors)
        if found is None:
            continue
        growing = _growing(stage)
        if growing:
            return Unsure(f"steps take longer while {growing} grows", "log tokens or samples per second")
        return _report(pace, x, found)
    return None


def _slower(seconds: FloatArray, limit: float, errors: float) -> Slower | None:
    good = np.isfinite(seconds) & (seconds > 0)
    log = np.log(seconds[good])
    if len(log) < FEWEST:
        return None
    bins = min(BINS, len(log) // 3)
    edges = np.linspace(0, len(log), bins + 1).astype(np.int64)
    medians = np.array([np.median(log[a:b]) for a, b in itertools.pairwise(edges)])
    low, high = max(1, int(EARLY[0] * bins)), max(3, int(EARLY[1] * bins))
    usual, recent = float(np.median(medians[low:high])), float(np.median(medians[-RECENT:]))
    size = len(log) / bins
    error = 1.2533 * noise(log, block=True) * math.sqrt(1 / (size * RECENT) + 1 / (size * (high - low)))
    settled = medians[low:]
    tau = kendall(settled).tau
    above = medians > (usual + recent) / 2
    start = bins - int(np.argmin(above[::-1])) if not above.all() else 0
    new_level = bool(np.all(medians[-RECENT:] > medians[low:high].max() + 0.5 * math.log1p(limit)))
    steady = tau >= 0.5 and bool(np.median(medians[-RECENT:]) >= medians[low:].max() - 0.5 * (recent - usual))
    if recent - usual <= math.log1p(limit) or recent - usual <= errors * error or not (steady or new_level):
        return None
    if recent <= float(medians[low:high].max()):
        return None
    return Slower(math.exp(usual), math.exp(recent), float(tau), int(edges[min(start, bins - 1)]))


def _growing(stage: Stage) -> str:
    """A logged length or size that grows together with the time, or nothing."""
    for one in stage.series:
        name = re.sub(r"[^a-z0-9]+", "_", one.name.lower())
        if LENGTHS.search(name) and len(one) >= 8:
            v = one.value[np.isfinite(one.value)]
            k = max(1, len(v) // 5)
            if len(v) >= 8 and np.median(v[-k:]) > 1.1 * np.median(v[:k]) > 0:
                return one.name
    return ""


def _report(pace: Pace, x: FloatArray, found: Slower) -> Sick:
    series, start = pace.series, float(x[found.start])
    loss = 1 - found.usual / found.recent
    unit = series.axis if series.axis != "point" else "step"
    evidence = [
        Measure(
            "time per step, median of the first half", found.usual, pace.unit if pace.stamped else None, series.files[0]
        ),
        Measure(
            "time per step, median of the last tenth",
            found.recent,
            pace.unit if pace.stamped else None,
            series.where(-1),
        ),
        Measure("Kendall's tau of 20 parts", round(found.tau, 2)),
    ]
    speed = pace.speed
    if (
        speed is not None
        and math.isfinite(speed.overall)
        and math.isfinite(speed.recent)
        and speed.recent < speed.overall
    ):
        evidence += [
            Measure("speed overall", speed.overall, f"{unit}/s"),
            Measure("recent speed", speed.recent, f"{unit}/s"),
        ]
        told = f"{num(speed.overall)} {unit}/s overall, {num(speed.recent)} recently ({percent(speed.recent / speed.overall - 1)})"
    else:
        rate = series.role == "throughput"
        old, new = (1 / found.usual, 1 / found.recent) if rate and not pace.stamped else (found.usual, found.recent)
        told = f"{pace.unit} from {num(old)} to {num(new)} ({percent(-loss)} speed)"
    return Sick(
        f"steps slow down: {told}, slower from {place(series.axis, start)} on",
        evidence=tuple(evidence),
        since_step=since(series, start),
        innocent="the work per step grows by design (longer sequences, larger images), or another job shares the machine",
        actions=(
            Action(
                f"Look at memory, temperature and other jobs, and profile a step: it takes {num(found.recent / found.usual)}"
                f" times as long as before {place(series.axis, start)}",
                "minutes",
                "measure",
            ),
        ),
        window=span(series, start, float(x[-1])),
    )


def _timed(seconds: FloatArray) -> Stage:
    return examples.stage(loss=examples.decay(len(seconds)), times=np.cumsum(seconds))


def sick() -> Iterator[Stage]:
    """A slow growth, a sudden drop at the end, and a falling throughput."""
    yield _timed(examples.level(2000, 2.0) * np.linspace(1, 1.4, 2000))
    yield _timed(examples.level(2000, 2.5) + examples.step_up(2000, at=0.88, size=1.3))
    yield examples.stage(
        loss=examples.decay(600), samples_per_second=examples.level(600, 100.0) * np.linspace(1, 0.7, 600)
    )


def healthy() -> Iterator[Stage]:
    """A steady speed, a slow start, pauses for evaluation, a clock, a slow stretch that ended, and growing sequences."""
    yield _timed(examples.level(2000, 2.0, noise=0.2))
    start = examples.level(2000, 2.0)
    start[:60] = 30.0
    yield _timed(start)
    pauses = examples.level(2000, 2.0)
    pauses[199::200] += 300.0
    yield _timed(pauses)
    yield _timed(examples.level(2000, 2.0) + examples.step_up(2000, at=0.4) - examples.step_up(2000, at=0.6))
    jitter = np.random.default_rng(1).lognormal(0.0, 0.5, 1000)
    yield _timed(jitter)
