"""CKPT104 non-finite-weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.checkpoints.judge import infinite_on_purpose
from runvet.checkpoints.model import Checkpoint
from runvet.evidence.checkpoints import Checkpoints
from runvet.rules import BACK, Action, Measure, Sick, Unsure, rule
from runvet.rules.ckpt._saves import keep, listed, milder, steps_of, table, told, unread
from runvet.run import Run


@rule("CKPT104", "non-finite-weights", level="critical", since="0.1", explains=("CKPT108", "CKPT110"))
def non_finite_weights(checkpoints: Checkpoints) -> Sick | Unsure | None:
    """Weights in a checkpoint are NaN or infinite.

    ## What it checks
    Every value of every tensor of model, optimizer and averages; masks and running extremes, which are infinite on
    purpose, are left out. A warning where the newest checkpoint is finite again.
    ## Why it matters
    A NaN never leaves: all that was trained after it is lost, and the next save may delete the last good one.
    ## What to do
    Keep the last finite checkpoint and go on from it with a lower learning rate or clipped gradients. Refuse to save
    a state that is not finite.
    ## When to ignore it
    Buffers that hold infinities on purpose under names that do not say so.
    ## Known limits
    Values are read where all checkpoints together are small (of more than 500, those of an even sample), and by `runvet checkpoints --deep`.
    ## References
    - Rikorose/DeepFilterNet#30, ultralytics/ultralytics#24307.
    """
    bad = checkpoints.having("non-finite-weights")
    if not bad:
        return unread(checkpoints) if checkpoints.unread else None
    order = list(checkpoints.saves)
    before = [c for c in order[: order.index(bad[0])] if c.usable and c.finite]
    last = f"the last finite one before it is {told(before[-1])}" if before else "no finite one lies before it"
    total = len(order)
    return Sick(
        f"{len(bad)} of {total} checkpoints {'hold' if len(bad) > 1 else 'holds'} NaN or infinite values: {listed(bad, checkpoints.saves)}; {_count(bad[0]):,} in {told(bad[0])}; {last}",
        evidence=(
            Measure("checkpoints that are not finite", len(bad), f"of {total}"),
            Measure("last finite checkpoint before", told(before[-1]) if before else None, None, before[-1].path if before else None),
            *table(bad, "values that are not finite", _count, "values"),
        ),
        since_step=steps_of(bad),
        innocent="buffers that hold infinities on purpose, such as masks",
        actions=(
            *keep(checkpoints, bad, "the newest weights are not finite"),
            Action(f"Go on from {told(before[-1])} with a lower learning rate or clipped gradients" if before
                   else "Begin again with a lower learning rate or clipped gradients", BACK, "repair"),
        ),
        level="warning" if milder(checkpoints, bad) else None,
    )  # fmt: skip


def _count(checkpoint: Checkpoint) -> int:
    values = checkpoint.values
    if values is None:
        return 0
    counted = [t.role != "other" and not infinite_on_purpose(t.name) for t in checkpoint.tensors]
    return int(values.non_finite[np.array(counted, np.bool_) & values.scanned].sum())


def _poisoned(step: int) -> Checkpoint:
    arrays = examples.checkpoint_weights(step)
    arrays["model.head.weight"] = np.full_like(arrays["model.head.weight"], np.nan)
    return examples.checkpoint(step, arrays)


def sick() -> Iterator[Run]:
    """NaN from some save on; NaN everywhere; one in the middle."""
    stage = examples.stage(loss=examples.decay(1000))
    yield examples.run(stage, checkpoints=[*examples.training((200, 400)), _poisoned(600), _poisoned(800)])
    yield examples.run(stage, checkpoints=[_poisoned(500), _poisoned(1000)])
    yield examples.run(stage, checkpoints=[examples.checkpoint(200), _poisoned(400), *examples.training((600, 800))])


def healthy() -> Iterator[Run]:
    """Finite weights; an attention mask of minus infinity; a best score that is still infinite."""
    stage = examples.stage(loss=examples.decay(1000))
    yield examples.run(stage, checkpoints=examples.training((200, 400, 600)))
    masked = examples.checkpoint_weights() | {
        "model.attn.bias_mask": np.full((4, 4), -np.inf, np.float32),
        "rng.best": np.full(1, np.inf, np.float32),
    }
    yield examples.run(stage, checkpoints=[examples.checkpoint(1000, masked)])
