"""CKPT119 still-trainable-weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.checkpoints.model import Checkpoint
from runvet.evidence.checkpoints import Checkpoints
from runvet.evidence.curves import LearningRate
from runvet.evidence.freezing import Freezing
from runvet.evidence.weights import comparable, learning_rate, listed, trained
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules.ckpt._saves import told, unread
from runvet.run import Run


@rule("CKPT119", "still-trainable-weights", level="warning", since="0.1")
def still_trainable_weights(
    checkpoints: Checkpoints, freezing: Freezing, lr: LearningRate | None, *, least: float = 2
) -> Sick | Unsure | None:
    """A module that the configuration wants trained never moves, while others do.

    ## What it checks
    The digests of the weights of each module that a setting wants trained by its name (`freeze_backbone: false`,
    `trainable_modules: [...]`, `train_encoder: true`) over at least `least` intervals between saves with a learning
    rate above zero: every one is equal bit by bit in all of them, while other weights moved.
    ## Why it matters
    The module keeps what it had at the start: gradients are cut off, or the optimizer was never given its weights.
    ## What to do
    Look for `detach` and `no_grad` around the module, for `requires_grad` that is set after the optimizer was made, and at
    the optimizer's parameter groups.
    ## When to ignore it
    The module is trained in a later phase, or its parameter group has a learning rate of zero.
    ## Known limits
    Where nothing at all moves, `unchanged-weights` says so.
    ## References
    - neuralmagic/sparseml#965, MIC-DKFZ/nnUNet#2350.
    """
    if not freezing.trainable:
        return None
    if checkpoints.unscanned:
        return unread(checkpoints)
    for family in checkpoints.families:
        pairs = [(a, b) for a, b in family.pairs() if _trains(lr, a, b) and comparable(a, b)[0]]
        if len(pairs) < least:
            continue
        compared = [comparable(a, b) for a, b in pairs]
        for part in freezing.trainable:
            inside = part.of(t for _, t in trained(pairs[-1][1]))
            moved = {n for changed, _ in compared for n in changed & inside}
            still = {n for n in inside if all(n in equal for _, equal in compared)}
            if len(still) > 1 and not moved:
                return _sick(part.name, part.where, still, pairs)
        return None
    return Unsure(
        "fewer than two intervals between saves with a learning rate above zero", "keep three checkpoints, and log the learning rate"
    )  # fmt: skip


def _trains(lr: LearningRate | None, a: Checkpoint, b: Checkpoint) -> bool:
    rates = learning_rate(lr, a, b)
    return rates is not None and rates[0] > 1e-3 * rates[1]


def _sick(name: str, where: str, still: set[str], pairs: list[tuple[Checkpoint, Checkpoint]]) -> Sick:
    first, last = pairs[0][0], pairs[-1][1]
    others = len(comparable(*pairs[-1])[0])
    return Sick(
        f"all {len(still)} weights of {name} are equal bit by bit from {told(first)} to {told(last)} while {others} others moved, though {where} wants them trained",
        evidence=(
            Measure("weights that never moved", len(still), None, last.path),
            Measure("among them", listed(still), None, last.path),
            Measure("intervals", len(pairs)),
            Measure("setting", name, None, where),
        ),
        since_step=float(pairs[0][1].step) if pairs[0][1].step is not None else None,
        innocent="the module is trained in a later phase only",
        actions=(
            Action(
                f"Print the gradients and the optimizer's parameters of {name} at the next step", "minutes", "measure"
            ),
        ),
    )


def _saves(*still: str) -> list[Checkpoint]:
    made = []
    for step in (200, 400, 600):
        arrays = {
            n: examples.trained(0)[n] if any(s in n for s in still) else a for n, a in examples.trained(step).items()
        }
        made.append(examples.checkpoint(step, arrays))
    return made


def sick() -> Iterator[Run]:
    """A backbone that was to be trained; a list of modules of which one stays."""
    for settings in (
        {"freeze_encoder": False},
        {"trainable_modules": ["encoder", "head"]},
        {"model.encoder.frozen": False},
    ):
        stage = examples.stage(loss=examples.decay(1000), lr=examples.cosine(1000), settings=settings)
        yield examples.run(stage, checkpoints=_saves("encoder"))


def healthy() -> Iterator[Run]:
    """All moves; frozen on purpose; at the end of a schedule."""
    for settings, still in (({"freeze_encoder": False}, "none"), ({"trainable_modules": ["head"]}, "encoder")):
        stage = examples.stage(loss=examples.decay(1000), lr=examples.cosine(1000), settings=settings)
        yield examples.run(stage, checkpoints=_saves(still))
    ended = np.where(np.arange(1000) < 100, 1e-3, 0.0)
    frozen = {"freeze_encoder": True}
    yield examples.run(
        examples.stage(loss=examples.decay(1000), lr=ended, settings=frozen), checkpoints=_saves("encoder")
    )
