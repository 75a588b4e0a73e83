"""SYS103 growing-memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.curves import Memory
from runvet.evidence.nature import Nature
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import num, percent, place, since, span
from runvet.run import Series, Stage
from runvet.statistics import kendall

FEWEST = 40  # points
BINS = 20
WARMUP = 0.2  # of the run, in which caches and allocators fill


@rule("SYS103", "growing-memory", level="warning", since="0.1", explains=("SYS101",))
def growing_memory(
    memory: Memory, nature: Nature, *, tau: float = 0.8, growth: float = 0.1, late: float = 0.2
) -> Sick | Unsure | None:
    """Memory in use grows throughout the run.

    ## What it checks
    Every logged memory after the first fifth of each uninterrupted part: medians of 20 equal parts rise with
    Kendall's tau above `tau`, by more than `growth` in all, and still in the last third (at least the share `late` of
    all the growth). A plateau after a rise, as allocators and caches make it, is none.
    ## Why it matters
    A leak ends in an out-of-memory kill hours into the run, and slows it down before.
    ## What to do
    Look for lists that keep tensors with their graph (`loss` instead of `loss.item()`), caches without bound, loader
    processes that copy; restart from checkpoints until it is found.
    ## When to ignore it
    Buffers and caches that fill by design.
    ## Known limits
    Needs 40 points. In reinforcement learning replay buffers grow by design: nothing is said there.
    ## References
    - Failure reports: araffin/robotics-rl-srl#47, hiyouga/EasyR1#9.
    """
    worst: tuple[float, Series, float, float, float] | None = None
    judged = False
    for series in memory.series:
        for part in series.segments():
            clean = part.finite()
            if len(clean) < FEWEST:
                continue
            judged = True
            rest = clean.value[int(WARMUP * len(clean)) :]
            medians = np.array([np.median(p) for p in np.array_split(rest, min(BINS, len(rest) // 2))])
            low, high = float(medians[0]), float(medians[-1])
            third = float(medians[-1] - medians[-1 - len(medians) // 3])
            t = kendall(medians).tau
            grows = low > 0 and t > tau and high > (1 + growth) * low and third > late * (high - low)
            if grows and (worst is None or high / low > worst[0]):
                worst = (high / low, clean, low, high, t)
    if not judged:
        return Unsure("too few points of memory use", "log memory at every step")
    if worst is None:
        return None
    if nature.reinforcement:
        return Unsure(f"{worst[1].name} grows, as a replay buffer does", "")
    ratio, part, low, high, t = worst
    x = part.x()
    start = int(WARMUP * len(part))
    return Sick(
        f"{part.name} grows from {num(low)} to {num(high)} (+{percent(ratio - 1)}) after {place(part.axis, float(x[start]))}"
        " and still grows at the end",
        evidence=(
            Measure(f"{part.name} after a fifth of the run", low, None, part.where(start)),
            Measure(f"{part.name} at the end", high, None, part.where(-1)),
            Measure("Kendall's tau", round(t, 2)),
        ),
        since_step=since(part, float(x[start])),
        innocent="a buffer or cache that fills by design",
        actions=(
            Action(
                f"Find what keeps memory from {place(part.axis, float(x[start]))} on (tensors kept in lists, unbounded"
                " caches), and save checkpoints often until then",
                "a few lines",
            ),
        ),
        window=span(part, float(x[start]), float(x[-1])),
    )


def sick() -> Iterator[Stage]:
    """A leak on the host, and one on the accelerator."""
    yield examples.stage(loss=examples.decay(600), cpu_memory_gb=np.linspace(10, 40, 600) + examples.level(600, 1.0))
    yield examples.stage(loss=examples.decay(600), gpu_mem=list(20_000 + 12.0 * np.arange(600)))


def healthy() -> Iterator[Stage]:
    """Constant, a plateau after warm-up, a maximum that is reached early, and noise."""
    yield examples.stage(loss=examples.decay(600), gpu_mem=15_320.0)
    yield examples.stage(loss=examples.decay(600), gpu_mem=list(20 - 8 * np.exp(-np.arange(600) / 60)))
    yield examples.stage(loss=examples.decay(600), max_mem=np.maximum.accumulate(examples.level(600, 20.0, noise=0.02)))
    yield examples.stage(loss=examples.decay(600), rss=examples.level(600, 20.0, noise=0.2))
