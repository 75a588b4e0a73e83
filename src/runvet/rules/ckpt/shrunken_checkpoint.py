"""CKPT107 shrunken-checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runvet import examples
from runvet.checkpoints.model import Checkpoint
from runvet.evidence.checkpoints import Checkpoints, Family, broken
from runvet.evidence.weights import bare, is_buffer
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules._phrases import percent
from runvet.rules.ckpt._saves import keep, milder, steps_of, told, weights_in
from runvet.run import Run


@dataclass(frozen=True, slots=True)
class Shrunken:
    """A save that lacks weights which the one before it of the same name had."""

    save: Checkpoint
    before: Checkpoint
    share: float  # of the weights of the save before
    hollow: int  # tensors of size 0 that were larger before


@rule("CKPT107", "shrunken-checkpoint", level="critical", since="0.1", explains=("CKPT112",))
def shrunken_checkpoint(
    checkpoints: Checkpoints, *, share: float = 0.5
) -> Sick | None:  # pruning rarely halves a model between two saves
    """A checkpoint holds far fewer weights than those of the same name before it.

    ## What it checks
    The number of the model's weights in each save against the largest earlier save whose name differs in numbers
    only: less than `share` of it, or tensors of size 0 that held values before. A warning where the newest is whole again.
    ## Why it matters
    Weights that were not gathered from other ranks are missing: the file loads in part, or not at all.
    ## What to do
    Go back to the last whole one. Gather the full state before it is written, on all ranks.
    ## When to ignore it
    The model was pruned, or only an adapter was saved from there on.
    ## Known limits
    Where every save is too small there is no sibling to compare with.
    ## References
    - hiyouga/LlamaFactory#368, lm-sys/FastChat#508, deepspeedai/DeepSpeed#7900.
    """
    found = [s for family in checkpoints.families for s in _of(family, share) if s.save is not checkpoints.fresh]
    if not found:
        return None
    bad = [s.save for s in found]
    worst = min(found, key=lambda s: s.share)
    what = (
        f"{told(worst.save)} holds {weights_in(worst.save):,} weights of the model, {percent(worst.share)} of the {weights_in(worst.before):,} of {told(worst.before)}"
        if worst.share < share
        else f"{worst.hollow} tensors of {told(worst.save)} have size 0 and held values in {told(worst.before)}"
    )
    return Sick(
        f"{len(bad)} of {len(checkpoints.saves)} checkpoints lost weights: {what}",
        evidence=tuple(
            Measure(
                f"weights of the model, {told(s.save)}",
                weights_in(s.save),
                f"of {weights_in(s.before):,} before",
                s.save.path,
            )
            for s in found[:40]
        ),
        since_step=steps_of(bad),
        innocent="the model was pruned, or only an adapter was saved from there on",
        actions=(
            *keep(checkpoints, bad, "the newest checkpoint lacks weights"),
            Action(
                "Gather the full state on all ranks before rank 0 writes it, and count its tensors after the save",
                "a few lines",
                "repair",
            ),
        ),
        level="warning" if milder(checkpoints, bad) else None,
    )


def _of(family: Family, share: float) -> Iterator[Shrunken]:
    largest: Checkpoint | None = None
    for save in family.saves:
        if broken(save):
            continue
        if largest is not None and weights_in(largest):
            part = weights_in(save) / weights_in(largest)
            hollow = _hollow(save, largest) if part < 1 else 0
            if part < share or hollow:
                yield Shrunken(save, largest, part, hollow)
                continue
        if largest is None or weights_in(save) >= weights_in(largest):
            largest = save


def _hollow(save: Checkpoint, before: Checkpoint) -> int:
    held = {bare(t.name) for t in before.tensors if t.role == "model" and t.elements and not is_buffer(t.name)}
    return sum(t.role == "model" and not t.elements and bare(t.name) in held for t in save.tensors)


def sick() -> Iterator[Run]:
    """Most layers gone; one tensor of size 0."""
    stage = examples.stage(loss=examples.decay(1000))
    whole = [examples.checkpoint(s, examples.checkpoint_weights(s)) for s in (200, 400, 600)]
    part = examples.checkpoint(800, examples.checkpoint_weights(8, layers=("head",)))
    yield examples.run(stage, checkpoints=[*whole, part])
    hollow = examples.checkpoint_weights(8)
    hollow["model.head.weight"] = hollow["model.head.weight"][:0]
    yield examples.run(stage, checkpoints=[*whole, examples.checkpoint(800, hollow)])


def healthy() -> Iterator[Run]:
    """Equal sizes; a growing model; other files of another name; an optimizer that comes later."""
    stage = examples.stage(loss=examples.decay(1000))
    yield examples.run(stage, checkpoints=examples.training((200, 400, 600)))
    growing = [
        examples.checkpoint(s, examples.checkpoint_weights(s, layers=tuple(f"block.{i}" for i in range(s // 100))))
        for s in (200, 400, 800)
    ]
    yield examples.run(stage, checkpoints=growing)
    adapter = examples.checkpoint(
        900, examples.checkpoint_weights(layers=("lora_A",)), path="adapter_{step}.safetensors"
    )
    yield examples.run(stage, checkpoints=[*examples.training((200, 400)), adapter])
