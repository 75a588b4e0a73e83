"""CKPT109 incomplete-resume-state."""

from __future__ import annotations

from collections.abc import Iterator

from runvet import examples
from runvet.checkpoints.model import Checkpoint
from runvet.checkpoints.names import words
from runvet.checkpoints.resume import PARTS, has
from runvet.evidence.checkpoints import Checkpoints, alias, broken
from runvet.evidence.events import Events
from runvet.rules import BACK, Action, Measure, Sick, rule
from runvet.rules.ckpt._saves import listed, steps_of, table, told
from runvet.run import Run

# Names of what is kept to be used, not to be trained on.
EXPORTS = frozenset(
    "final export exported inference deploy best ema merged release pruned quantized averaged swa stripped weights".split()
)


@rule("CKPT109", "incomplete-resume-state", level="warning", since="0.1")
def incomplete_resume_state(checkpoints: Checkpoints, events: Events) -> Sick | None:
    """Training cannot go on from a checkpoint as it went before: a part of its state is missing.

    ## What it checks
    What each checkpoint holds beside the weights (optimizer, schedule, random state) against its siblings: a part
    that earlier saves of the same name have. And, where the log tells of a restart from a checkpoint, whether any
    holds the optimizer's state at all. Exports, final and best models are left alone.
    ## Why it matters
    A restart begins with empty moments, a new warm-up or repeated data; the loss jumps and recovers slowly, or never.
    ## What to do
    Save model, optimizer, schedule, scaler, random states, sampler position and step together.
    ## When to ignore it
    Checkpoints from which nobody will train on.
    ## Known limits
    Where no sibling holds a part, it is not missed unless the log shows a restart.
    ## References
    - huggingface/transformers#23111, lightly-ai/lightly-train#301.
    """
    saves = [
        s for s in checkpoints.saves if not broken(s) and not _export(s) and s is not checkpoints.fresh and _weights(s)
    ]
    paths = {s.path for s in saves}
    lost: dict[str, list[Checkpoint]] = {}
    for family in checkpoints.families:
        members = [s for s in family.saves if s.path in paths]
        for part in PARTS:
            having = [has(s, part) for s in members]
            if True in having:
                start = having.index(True)
                without = [s for s, has in zip(members[start:], having[start:], strict=True) if not has]
                if without:
                    lost.setdefault(part, []).extend(without)
    if lost:
        return _missing(checkpoints, lost)
    resumed = events.of("resume")
    if len(saves) > 1 and resumed and not any(has(s, "optimizer") for s in saves):
        return _none(saves, str(resumed[0].where))
    return None


def _missing(checkpoints: Checkpoints, lost: dict[str, list[Checkpoint]]) -> Sick:
    bad = list({s.path: s for many in lost.values() for s in many}.values())
    parts = " and ".join(lost)
    return Sick(
        f"{len(bad)} of {len(checkpoints.saves)} checkpoints lack the {parts} that earlier ones of the same name hold: {listed(bad)}",
        evidence=table(bad, "missing", lambda c: ", ".join(p for p, many in lost.items() if any(c is s for s in many))),
        since_step=steps_of(bad),
        innocent="weights alone were kept on purpose where older checkpoints are thinned out",
        actions=(
            Action(
                f"Resume from a checkpoint that holds the {parts}, not from {told(bad[-1])}",
                BACK,
                "keep",
            ),
        ),
    )


def _none(saves: list[Checkpoint], where: str) -> Sick:
    return Sick(
        f"none of {len(saves)} checkpoints holds an optimizer's state, and the log tells of a restart from a checkpoint",
        evidence=(
            Measure("checkpoints with optimizer state", 0, f"of {len(saves)}"),
            Measure("restart", "from a checkpoint", None, where),
            *table(saves[-3:], "tensors", lambda c: len(c.tensors), "tensors"),
        ),
        since_step=steps_of(saves),
        innocent="the optimizer's state is kept elsewhere, or the optimizer has none (plain gradient descent)",
        actions=(
            Action("Save the optimizer's, schedule's and random states with the weights", "a few lines", "change"),
        ),
    )


def _export(save: Checkpoint) -> bool:
    name = words(save.path.rpartition("/")[2])
    return bool(name & EXPORTS) or save.kind == "peft" or (alias(save) and "best" in name)


def _weights(save: Checkpoint) -> bool:
    return any(t.role == "model" for t in save.tensors)


def sick() -> Iterator[Run]:
    """The optimizer missing from some save on; none at all after a restart."""
    stage = examples.stage(loss=examples.decay(1000))
    bare = [examples.checkpoint(s, examples.checkpoint_weights(s)) for s in (600, 800)]
    yield examples.run(stage, checkpoints=[*examples.training((200, 400)), *bare])
    again = examples.stage(
        loss=examples.decay(1000),
        console=True,
        events=[examples.event("resume", "resumed from step_600.pt", value="step_600.pt")],
    )
    yield examples.run(again, checkpoints=bare)


def healthy() -> Iterator[Run]:
    """Whole states; weights alone in all of them; a final model without optimizer; adapters."""
    stage = examples.stage(loss=examples.decay(1000))
    yield examples.run(stage, checkpoints=examples.training((200, 400, 600)))
    yield examples.run(stage, checkpoints=[examples.checkpoint(s, examples.checkpoint_weights(s)) for s in (200, 400)])
    final = examples.checkpoint(1000, examples.checkpoint_weights(1000), path="checkpoints/model_final.pt")
    best = examples.checkpoint(900, examples.checkpoint_weights(900), path="checkpoints/best_{step}.pt")
    yield examples.run(stage, checkpoints=[*examples.training((200, 400)), best, final])
