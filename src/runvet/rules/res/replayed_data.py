"""RES102 replayed-data."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.seams import Joint, Seams
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import place, since, span
from runvet.run import FloatArray, Series, Stage
from runvet.statistics import replayed

FEWEST = 50  # points in common
MOST = 2000  # points compared


@rule("RES102", "replayed-data", level="warning", since="0.1")
def replayed_data(seams: Seams, *, correlation: float = 0.5) -> Sick | Unsure | None:
    """After a restart the run sees the batches of its beginning again, in the same order.

    ## What it checks
    At every seam at which training goes on: the correlation of the loss after it with the loss from the first step of
    the process before (and of the first process), both without their trend, point by point. A finding above
    `correlation` with 50 points or more. Steps that are repeated at their own place are not replayed.
    ## Why it matters
    The sampler's state was not restored: some samples are seen twice, others never, and the dip after the restart is
    memory, not progress.
    ## What to do
    Save the sampler's position, or seed the order by epoch and skip what was seen.
    ## When to ignore it
    The data are read in a fixed order anyway (no shuffling), and the restart was at the end of a pass.
    ## Known limits
    Needs a loss logged at the same distance of steps on both sides; heavy smoothing hides the batches.
    ## References
    - Failure reports: karpathy/nanoGPT#467, huggingface/accelerate#4195, modelscope/ms-swift#10050.
    """
    if seams.joints[0].lead.role != "train_loss" or not seams.resumed:
        return None if seams.resumed else Unsure("the run began again at its seams", "")
    judged = False
    for joint in seams.resumed:
        first = joint.lead.pick(joint.lead.segment == joint.lead.segment[0]).finite()
        for source in (first, joint.before):
            if not len(source) or float(source.x()[0]) == joint.start:
                continue
            pair = _aligned(source, joint.after)
            if pair is None:
                continue
            judged = True
            found = replayed(*pair)
            if math.isfinite(found) and found > correlation:
                return _report(joint, source, found, len(pair[0]))
    return None if judged else Unsure("too few comparable points beside the seam", "log loss at every step")


def _aligned(source: Series, after: Series) -> tuple[FloatArray, FloatArray] | None:
    """The values of two parts at equal distances from their starts; None for fewer than 50."""
    a, b = source.x() - source.x()[0], after.x() - after.x()[0]
    _, i, j = np.intersect1d(a, b, return_indices=True)
    if len(i) < FEWEST or len(i) < 0.5 * min(len(a), len(b)):
        return None
    return source.value[i[:MOST]], after.value[j[:MOST]]


def _report(joint: Joint, source: Series, found: float, points: int) -> Sick:
    begin = float(source.x()[0])
    return Sick(
        f"after the restart at {place(joint.axis, joint.start)} the loss repeats, batch by batch, what it was from"
        f" {place(joint.axis, begin)} on (correlation {found:.2f} over {points:,} points)",
        evidence=(
            Measure("correlation without trend", round(found, 3), None, joint.where),
            Measure("points compared", points, "points", source.where(0)),
        ),
        since_step=since(joint.lead, joint.start),
        innocent="the data are read in a fixed order anyway, and the restart was at the end of a pass",
        actions=(
            Action(
                f"Restore the sampler's position at {place(joint.axis, joint.start)}, or seed the order by epoch",
                "a few lines",
                "repair",
            ),
        ),
        window=span(joint.lead, joint.start, float(joint.after.x()[-1])),
    )


def _stage(batches: FloatArray, again: FloatArray, first: int) -> Stage:
    curve = examples.decay(3000, noise=0.0)
    steps = [*range(len(batches)), *range(first, first + len(again))]
    loss = np.concatenate([curve[: len(batches)] * batches, curve[first : first + len(again)] * again])
    return examples.stage(steps=steps, train_loss=loss)


def sick() -> Iterator[Stage]:
    """The same batches after the restart, with a little noise of their own."""
    batches = examples.level(1000, 1.0)
    yield _stage(batches, batches[:800] * examples.level(800, 1.0, noise=0.02, seed=1), 900)


def healthy() -> Iterator[Stage]:
    """Other batches, and the repeated steps of a deterministic resume at their own place."""
    batches = examples.level(1000, 1.0)
    yield _stage(batches, examples.level(800, 1.0, seed=5), 900)
    yield _stage(batches, np.concatenate([batches[900:], examples.level(700, 1.0, seed=6)]), 900)
