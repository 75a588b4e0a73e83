"""RES104 overlapping-steps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.seams import Joint, Seams
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules._phrases import num, percent, place, since, span
from runvet.run import Stage

FEWEST = 20  # points logged twice


@rule("RES104", "overlapping-steps", level="warning", since="0.1")
def overlapping_steps(seams: Seams, *, share: float = 0.1) -> Sick | None:
    """A good part of the steps was trained twice.

    ## What it checks
    Steps that were logged before a restart and again after it, with other values, over all restarts: a finding where
    they are more than `share` of the steps of the run and 20 points or more. The few steps between the last
    checkpoint and a crash, and exact copies, are none.
    ## Why it matters
    That work was lost, because checkpoints are far apart or the newest could not be used. Curves drawn over steps mix
    two runs there.
    ## What to do
    Save more often; find out why the run went on from an older checkpoint; cut the abandoned points from plots.
    ## When to ignore it
    The run was rolled back on purpose, to leave out a divergence.
    ## Known limits
    Sees steps, not weights: two programs that write to one log look alike.
    ## References
    - Failure reports: kdexd/virtex#18, wandb/wandb#9449.
    """
    twice = [j for j in seams.resumed if j.overlap > 0 and not _copied(j)]
    lost = sum(j.overlap for j in twice)
    points = sum(int(np.sum(j.before.x() > j.base)) for j in twice)
    if not twice or points < FEWEST:
        return None
    lead = twice[0].lead
    x = lead.x()
    whole = float(x.max() - x.min())
    if not whole > 0 or lost <= share * whole:
        return None
    worst = max(twice, key=lambda j: j.overlap)
    return Sick(
        f"{num(lost)} {worst.axis}s were trained twice ({percent(lost / whole)} of the run): the largest part from"
        f" {place(worst.axis, worst.base)} to {place(worst.axis, worst.end)}",
        evidence=(
            Measure("logged twice with other values", lost, f"{worst.axis}s", worst.where),
            Measure("points of the abandoned part", points, "points", worst.before.where(-1)),
        ),
        since_step=since(worst.lead, worst.start),
        innocent="the run was rolled back on purpose, to leave out a divergence",
        actions=(
            Action(
                f"Find out why the run went on from {place(worst.axis, worst.start)} although it had reached"
                f" {place(worst.axis, worst.end)}, and save checkpoints more often",
                "config",
                "change",
            ),
        ),
        window=span(worst.lead, worst.base, worst.end),
    )


def _copied(joint: Joint) -> bool:
    """Whether the repeated points are copies of the first."""
    _, i, j = np.intersect1d(joint.before.x(), joint.after.x(), return_indices=True)
    return bool(len(i)) and bool(np.mean(np.isclose(joint.before.value[i], joint.after.value[j], rtol=1e-6)) > 0.9)


def _stage(first: int, again: int, *, copy: bool = False) -> Stage:
    curve, other = examples.decay(2000), examples.decay(2000, seed=9)
    steps = [*range(first), *range(again, 2000)]
    later = curve if copy else other
    return examples.stage(steps=steps, train_loss=np.concatenate([curve[:first], later[again:]]))


def sick() -> Iterator[Stage]:
    """600 of 2,000 steps done again."""
    yield _stage(1200, 600)


def healthy() -> Iterator[Stage]:
    """A few steps after a crash, and exact copies."""
    yield _stage(1200, 1150)
    yield _stage(1200, 600, copy=True)
