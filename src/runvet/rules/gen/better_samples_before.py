"""GEN109 better-samples-before."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.curves import TrainLoss
from runvet.evidence.sweep import Sweep
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import num
from runvet.run import Run
from runvet.statistics.two_samples import mann_whitney


@rule("GEN109", "better-samples-before", level="warning", since="0.1")
def better_samples_before(
    sweep: Sweep, loss: TrainLoss | None, *, p_value: float = 0.01, factor: float = 1.5
) -> Sick | Unsure | None:
    """Samples of an earlier step are nearer to the data than the last ones.

    ## What it checks
    The distance of each sample to the data (grids: filled cells, connectedness, foreign ids; pictures: brightness,
    contrast, roughness and entropy in units of the data's spread) at each step with at least four samples. A warning
    where an earlier step's is lower by a factor of 1.5 with p below 0.01 (Mann-Whitney, times the number of steps
    compared). All steps are ranked, with the interval of the median.
    ## Why it matters
    The loss is not the verdict: it can fall while samples get worse, and the last checkpoint is then the wrong one.
    ## What to do
    Use the checkpoint of the step that is named; draw more samples around it.
    ## When to ignore it
    The samples of the steps were asked for different things.
    ## Known limits
    Fewer than four samples a step cannot be ranked.
    ## References
    - Checkpoint choice by samples, not by loss: Theis et al. 2016, arXiv 1511.01844.
    """
    ranked = [s for s in sweep.steps if s.interval is not None]
    if len(ranked) < 2:
        return Unsure("fewer than two steps have four samples", "keep 8 samples at each evaluation")
    last = ranked[-1]
    best = min(ranked[:-1], key=lambda s: float(np.median(s.distances)))
    here, there = float(np.median(last.distances)), float(np.median(best.distances))
    p = mann_whitney(best.distances, last.distances) * (len(ranked) - 1)
    if here < factor * max(there, sweep.floor) or p > p_value:
        return None
    axis = sweep.axis
    both = _losses(loss, best.step, last.step) if axis == "step" else None
    fell = (
        f", while {loss.lead.name} went from {num(both[0])} to {num(both[1])}"
        if loss is not None and both is not None
        else ""
    )
    return Sick(
        f"samples of {axis} {best.step:,.0f} are nearer to the data than those of {axis} {last.step:,.0f}: distance {there:.2f} against {here:.2f} (p = {min(p, 1):.2g}){fell}",
        evidence=tuple(
            Measure(
                f"distance at {axis} {s.step:,.0f}, median (rank {place})",
                round(s.median, 4),
                None,
                f"90 % interval {sure[0]:.2f} to {sure[1]:.2f}, {len(s.distances)} samples",
            )
            for place, s in enumerate(sweep.ranked, 1)
            if (sure := s.interval) is not None
        ),
        since_step=last.step if axis == "step" else None,
        innocent="the steps' samples were asked for different things",
        actions=(
            Action(
                f"Use the checkpoint of {axis} {best.step:,.0f} for sampling, and draw more samples around it",
                "free",
                "keep",
            ),
        ),
    )


def _losses(loss: TrainLoss | None, first: float, second: float) -> tuple[float, float] | None:
    """The loss nearest to two steps, medians of five points."""
    if loss is None or loss.lead.axis != "step":
        return None
    x, v = loss.lead.x(), loss.lead.value
    values = [
        float(np.median(v[max(0, i - 2) : i + 3])) for i in (int(np.abs(x - s).argmin()) for s in (first, second))
    ]
    return values[0], values[1]


def sick() -> Iterator[Run]:
    """Good trees at step 200, dust at step 300."""
    scenes = made.pictures("data/train", [made.scene(i) for i in range(24)])
    good = made.pictures("samples/step_500", [made.scene(50 + i) for i in range(8)])
    flat = [np.asarray(110 + 0.2 * made.scene(70 + i), np.uint8) for i in range(8)]
    yield made.with_files(scenes | good | made.pictures("samples/step_900", flat))
    data = made.grids("dataset", [made.tree(i) for i in range(40)])
    steps = made.grids("samples/step_200", [made.tree(90 + i) for i in range(8)]) | made.grids(
        "samples/step_300", [made.scattered(i, 30) for i in range(8)]
    )
    yield made.with_files(data | steps)


def healthy() -> Iterator[Run]:
    """Samples that get better; as good as before, grids and pictures."""
    scenes = made.pictures("data/train", [made.scene(i) for i in range(24)])
    good = made.pictures("samples/step_500", [made.scene(50 + i) for i in range(8)])
    yield made.with_files(scenes | good | made.pictures("samples/step_900", [made.scene(80 + i) for i in range(8)]))
    data = made.grids("dataset", [made.tree(i) for i in range(40)])
    better = made.grids("samples/step_300", [made.tree(90 + i) for i in range(8)])
    yield made.with_files(data | better | made.grids("samples/step_200", [made.scattered(i, 30) for i in range(8)]))
    yield made.with_files(data | better | made.grids("samples/step_200", [made.tree(70 + i) for i in range(8)]))
