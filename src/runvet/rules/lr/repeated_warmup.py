"""LR105 repeated-warmup."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.curves import LearningRate
from runvet.evidence.seams import Seams
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules._phrases import num, place, since, span
from runvet.run import Stage

FEWEST = 5  # points on either side


@rule("LR105", "repeated-warmup", level="warning", since="0.1", explains=("LR104",))
def repeated_warmup(rates: LearningRate, seams: Seams, *, fall: float = 0.5, climb: float = 2.0) -> Sick | None:
    """The learning rate warms up again after the run was resumed.

    ## What it checks
    At every seam at which training goes on: the rate starts below `fall` times the one that held at that step, climbs
    without a fall to more than `climb` times its start, and the part before had already reached its peak.
    ## Why it matters
    The scheduler was not restored: its clock starts at zero, so the decay is late as well, or ends elsewhere than
    planned. Where the optimiser was not restored either, a warm-up is even needed: both are then lost.
    ## What to do
    Save and load the scheduler with the model, or compute the rate from the global step.
    ## When to ignore it
    A short warm-up after each restart, meant for an optimiser without its state.
    ## Known limits
    Needs five points of the rate on either side.
    ## References
    - Failure reports: lightly-ai/lightly-train#301, vllm-project/speculators#900, allenai/allennlp#1650.
    """
    for joint in seams.resumed:
        for series in rates.series:
            old, new = joint.sides(series)
            if len(old) < FEWEST or len(new) < FEWEST or old.axis != joint.axis:
                continue
            known = joint.up_to_start(old)
            held, peak = float((known if len(known) else old).value[-1]), float(old.value.max())
            first, x = float(new.value[0]), new.x()
            top = int(np.argmax(new.value))
            rising = bool(np.all(np.diff(new.value[: top + 1]) >= -1e-9 * peak))
            warmed = peak > 2 * float(old.value[0]) or float(old.value[0]) > 0.5 * peak
            reached = held > 0.8 * peak or float(old.value[-1]) < peak or int(np.argmax(old.value)) < len(old) - FEWEST
            if not (first < fall * held and top >= 3 and rising and warmed and reached):
                continue
            if float(new.value[top]) <= climb * max(first, 1e-12) or float(new.value[top]) < 0.5 * held:
                continue
            length = float(x[top]) - joint.start
            return Sick(
                f"{series.name} starts anew after the restart at {place(joint.axis, joint.start)}: {num(held)} before,"
                f" {num(first)} after, and {num(length)} {joint.axis}s of warm-up to {num(float(new.value[top]))}",
                evidence=(
                    Measure(f"{series.name} before the restart", held, None, (known if len(known) else old).where(-1)),
                    Measure(f"{series.name} after the restart", first, None, new.where(0)),
                    Measure("second warm-up", length, f"{joint.axis}s", new.where(top)),
                ),
                since_step=since(series, joint.start),
                innocent="a short warm-up after each restart, meant for an optimiser without its state",
                actions=(
                    Action(
                        "Restore the schedule: save and load the scheduler, or compute the learning rate from the global"
                        f" step; then resume from {place(joint.axis, joint.start)}",
                        f"{num(length)} {joint.axis}s again",
                        "repair",
                    ),
                ),
                window=span(series, joint.start, float(x[top])),
            )
    return None


def _seam(before: object, after: object, first: int) -> Stage:
    old, new = np.asarray(before, np.float64), np.asarray(after, np.float64)
    steps = [*range(len(old)), *range(first, first + len(new))]
    curve = examples.decay(4000)
    return examples.stage(
        steps=steps,
        loss=np.concatenate([curve[: len(old)], curve[first : first + len(new)]]),
        lr=np.concatenate([old, new]),
    )


def sick() -> Iterator[Stage]:
    """A schedule that begins again, and a warm-up to a constant rate."""
    yield _seam(examples.cosine(2000, warmup=0.1)[:1000], examples.cosine(2000, warmup=0.1)[:1000], 900)
    constant = np.minimum(np.arange(1000) / 200, 1.0) * 1e-3
    yield _seam(constant, constant, 990)


def healthy() -> Iterator[Stage]:
    """A schedule that goes on, a resume within the warm-up, and a second run in the same log."""
    full = examples.cosine(2000, warmup=0.1)
    yield _seam(full[:1000], full[900:2000], 900)
    slow = examples.cosine(2000, warmup=0.5)
    yield _seam(slow[:600], slow[500:2000], 500)
    yield _seam(full[:1000], full[995:2000], 995)
