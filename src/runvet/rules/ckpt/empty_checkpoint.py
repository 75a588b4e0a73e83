"""CKPT101 empty-checkpoint."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from runvet import examples
from runvet.checkpoints.model import Checkpoint
from runvet.evidence.checkpoints import Checkpoints
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules.ckpt._saves import keep, listed, milder, restore_test, steps_of, table, told
from runvet.run import Run


@rule("CKPT101", "empty-checkpoint", level="critical", since="0.1", explains=("CKPT107", "CKPT109", "CKPT112"))
def empty_checkpoint(checkpoints: Checkpoints) -> Sick | None:
    """A checkpoint holds no weights.

    ## What it checks
    Every checkpoint's list of tensors: none at all, a model state that is an empty dictionary, or names whose tensors
    have size 0. A warning where it happened to a few only and the newest is full.
    ## Why it matters
    The run goes on for days while nothing of it can be used: the file opens without an error and holds nothing.
    ## What to do
    Keep the full checkpoints. Gather the state on all ranks, write it on rank 0 alone to a temporary name, read it
    back, then rename it. Under FSDP and ZeRO-3 the gathering is a collective call: every rank must take part.
    ## When to ignore it
    Files that are placeholders on purpose, such as marks that a step was reached.
    ## Known limits
    A state whose tensors are all there and all zero is not empty: see `runvet checkpoints --deep`.
    ## References
    - Lightning-AI/pytorch-lightning#17798, facebookresearch/fairscale#844, deepspeedai/DeepSpeed#4295.
    """
    empty = checkpoints.having("empty-checkpoint")
    if not empty:
        return None
    paths = {e.path for e in empty}
    full = [s for s in checkpoints.saves if s.tensors and s.path not in paths]
    newest = checkpoints.saves[-1]
    total = len(checkpoints.saves)
    about = (
        f", {told(newest)} (newest) among them"
        if newest.path in paths and total > 1
        else f": {listed(empty, checkpoints.saves)}"
        if len(empty) < 5
        else ""
    )
    nothing = all(not e.tensors for e in empty)
    hold = "hold" if len(empty) > 1 else "holds"
    message = f"{len(empty)} of {total} checkpoints {hold} {'no tensors' if nothing else 'no weights'}{about}"
    if full:
        message += f"; full: {listed(full, checkpoints.saves)}"
    if mixed := _by_chance(checkpoints, paths, full):
        message += f"; {mixed}"
    return Sick(
        message,
        evidence=(
            Measure("checkpoints without weights", len(empty), f"of {total}"),
            Measure("what the first of them holds", empty[0].problems[0].message, None, empty[0].path),
            *table(full[-3:], "tensors", lambda c: len(c.tensors), "tensors"),
            *table(empty, "tensors", lambda c: len(c.tensors), "tensors"),
        ),
        since_step=steps_of(empty),
        innocent="files that are placeholders on purpose, such as marks that a step was reached",
        actions=(
            *keep(checkpoints, empty, "the newest checkpoint is empty"),
            Action(
                "Save so that rank 0 alone writes: gather on all ranks, write to a temporary name, read it back, rename",
                "a few lines",
                "repair",
            ),
            *restore_test(checkpoints),
        ),
        level="warning" if milder(checkpoints, empty) else None,
    )


def _by_chance(checkpoints: Checkpoints, empty: set[str], full: list[Checkpoint]) -> str:
    """The trace of ranks that overwrite each other: full and empty ones of one name in no order."""
    for family in checkpoints.families:
        states = [s.path in empty for s in family.saves if s.path in empty or s.tensors]
        changes = sum(a != b for a, b in itertools.pairwise(states))
        if any(states) and not all(states) and changes > 1:
            return "pattern: every rank writes the same path and the last one wins"
    return "" if full else "as when ranks other than 0 write a state that was gathered for rank 0 alone"


def sick() -> Iterator[Run]:
    """All but a few empty, all empty, tensors of size 0, one file of several."""
    stage = examples.stage(loss=examples.decay(1000))
    full = {400, 700}
    steps = range(100, 1001, 100)
    yield examples.run(
        stage, checkpoints=[examples.checkpoint(s) if s in full else examples.checkpoint(s, {}) for s in steps]
    )
    yield examples.run(stage, checkpoints=[examples.checkpoint(s, {}) for s in steps])
    hollow = {name: a[:0] for name, a in examples.checkpoint_weights().items()}
    yield examples.run(stage, checkpoints=[*examples.training((100, 200)), examples.checkpoint(300, hollow)])
    yield examples.run(stage, checkpoints=[examples.checkpoint(100, {}), *examples.training((200, 300, 400))])


def healthy() -> Iterator[Run]:
    """Full ones, weights without an optimizer, an adapter, values that were not read."""
    stage = examples.stage(loss=examples.decay(1000))
    yield examples.run(stage, checkpoints=examples.training(range(100, 1001, 100)))
    yield examples.run(
        stage, checkpoints=[examples.checkpoint(s, examples.checkpoint_weights(s)) for s in (100, 200, 300)]
    )
    adapter = examples.checkpoint_weights(layers=("q_proj.lora_A", "q_proj.lora_B"))
    yield examples.run(stage, checkpoints=[examples.checkpoint(1000, adapter, path="adapter.safetensors")])
    yield examples.run(stage, checkpoints=examples.training((500, 1000), scanned=False))
