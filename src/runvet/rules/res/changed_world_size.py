"""RES107 changed-world-size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from runvet import examples
from runvet.evidence.seams import Seams
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import num, place, since
from runvet.run import Stage


@rule("RES107", "changed-world-size", level="warning", since="0.1")
def changed_world_size(seams: Seams) -> Sick | Unsure | None:
    """The run went on with another number of processes.

    ## What it checks
    The number of processes (GPUs) that the log tells before and after each restart at which training goes on.
    ## Why it matters
    With the same batch on each, the effective batch and the steps in an epoch change; learning rate, schedule and
    data order no longer fit.
    ## What to do
    Resume with the former number, or scale batch, accumulation and learning rate so that the effective batch stays.
    ## When to ignore it
    Batch per process or accumulation was changed with it, so that the effective batch stayed.
    ## Known limits
    Needs a log that names the number of processes on both sides.
    ## References
    - Failure reports: wenet-e2e/wenet#622, tensorpack/tensorpack#535.
    """
    known = False
    for joint in seams.resumed:
        told = joint.told.get("world-size")
        pair = None if told is None else told.numbers
        if told is None or pair is None or told.before is None or told.after is None or told.before is told.after:
            continue
        known = True
        if pair[0] != pair[1]:
            at = place(joint.axis, joint.start)
            return Sick(
                f"the world size changes from {num(pair[0])} to {num(pair[1])} at the restart at {at}",
                evidence=(
                    Measure("processes before", pair[0], None, told.before.where),
                    Measure("processes after", pair[1], None, told.after.where),
                ),
                since_step=since(joint.lead, joint.start),
                innocent="batch per process or accumulation was changed with it, so that the effective batch stayed",
                actions=(
                    Action(
                        f"Resume from {at} with a world size of {num(pair[0])}, or keep the effective batch",
                        "a restart",
                        "repair",
                    ),
                ),
            )
    return (
        None
        if known
        else Unsure("the log does not tell the number of processes on both sides", "print world_size at every start")
    )


def _stage(before: float, after: float) -> Stage:
    steps = [*range(600), *range(500, 1200)]
    events = [
        examples.event("world-size", f"world_size: {before:g}", line=1, value=before),
        examples.event("world-size", f"world_size: {after:g}", line=601, value=after),
    ]
    made = examples.stage(
        steps=steps, train_loss=np.concatenate([examples.decay(600), examples.decay(1200)[500:]]), events=events
    )
    return replace(made, events=tuple(replace(e, source="metrics.csv") for e in made.events))


def sick() -> Iterator[Stage]:
    """Eight processes, then four."""
    yield _stage(8.0, 4.0)


def healthy() -> Iterator[Stage]:
    """Eight before and after."""
    yield _stage(8.0, 8.0)
