"""CKPT113 unstated-step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from runvet import examples
from runvet.checkpoints.model import Checkpoint
from runvet.evidence.checkpoints import Checkpoints, Family, broken
from runvet.evidence.epoch_length import EpochLength
from runvet.evidence.events import Events
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules._phrases import num
from runvet.rules.ckpt._saves import table, told
from runvet.run import Run


@rule("CKPT113", "unstated-step", level="warning", since="0.1")
def unstated_step(checkpoints: Checkpoints, events: Events, length: EpochLength | None) -> Iterator[Sick]:
    """A checkpoint does not say at which step it was written, or says another one than its name.

    ## What it checks
    The step inside each checkpoint against the one in its name and those of its siblings, allowing for another unit or
    a constant difference. And, where the log tells of a restart from a checkpoint: whether the checkpoint states its
    step at all, unless it states its epoch and epochs have the same length throughout.
    ## Why it matters
    At a restart the schedule, the logging and the order of the data begin at a guessed place; after a change of the
    number of processes the epoch alone tells no step.
    ## What to do
    Save `global_step` (optimizer steps) with the weights, and restore the schedule from it.
    ## When to ignore it
    The step is kept in another file that the training program reads.
    ## Known limits
    Names that count something else in another order are taken for steps.
    ## References
    - kdexd/virtex#18.
    """
    for family in checkpoints.families:
        for what in ("step", "epoch"):
            odd = _odd(family, what)
            if odd:
                yield _disagree(odd, family, what)
                break
    resumed = events.of("resume")
    changed = length is not None and len(length.spans) > 1
    worlds = {e.value for e in events.of("world-size")}
    silent = [
        s
        for s in checkpoints.saves
        if s.step is None and not broken(s) and any(t.role == "optimizer" for t in s.tensors)
    ]
    if resumed:
        silent = [s for s in silent if s.epoch is None or changed or len(worlds) > 1]
    if silent and resumed:
        yield _silent(checkpoints, silent, resumed[0].where, length if changed else None)


def _odd(family: Family, what: str) -> list[Checkpoint]:
    """The saves whose name and content disagree: one unit and one constant difference are agreement."""
    both = [s for s in family.saves if None not in (getattr(s, f"name_{what}"), getattr(s, f"file_{what}"))]
    if len(both) < 2:
        return []
    name = np.array([float(getattr(s, f"name_{what}")) for s in both])
    inside = np.array([float(getattr(s, f"file_{what}")) for s in both])
    off = inside - name
    near = np.abs(off) <= 1
    if near.all() or np.ptp(off) <= 1:
        return []
    positive = name > 0
    ratio = inside[positive] / name[positive]
    if len(ratio) > 1 and np.ptp(ratio) <= 0.02 * abs(float(np.median(ratio))) and float(np.median(ratio)) > 0:
        return []  # thousands of steps, samples, micro-batches
    # A counter that keeps rising with the names counts something else; one that stands still or falls is wrong.
    order = np.argsort(name, kind="stable")
    steady = bool((np.diff(inside[order])[np.diff(name[order]) > 0] > 0).all())
    wrong = ~near
    return [s for s, bad in zip(both, wrong, strict=True) if bad] if not steady or 2 * wrong.sum() < len(both) else []


def _disagree(odd: Sequence[Checkpoint], family: Family, what: str) -> Sick:
    first = odd[-1]
    named, inside = getattr(first, f"name_{what}"), getattr(first, f"file_{what}")
    return Sick(
        f"{len(odd)} of {len(family.saves)} checkpoints say another {what} inside than in their names: {first.path.rpartition('/')[2]} says {num(inside)}",
        evidence=(
            Measure(f"{what} in the name", named, None, first.path),
            Measure(f"{what} inside", inside, None, first.path),
            *table(odd, f"{what} inside", lambda c: getattr(c, f"file_{what}")),
        ),
        since_step=float(min(s.name_step for s in odd if s.name_step is not None))
        if any(s.name_step is not None for s in odd)
        else None,
        innocent="the name counts something else, such as samples or micro-batches",
        actions=(
            Action(
                f"Find out which {what} is right before you resume: compare with the log at that time",
                "minutes",
                "measure",
            ),
        ),
    )


def _silent(checkpoints: Checkpoints, silent: Sequence[Checkpoint], where: str, length: EpochLength | None) -> Sick:
    lengths = " and ".join(num(s.steps) for s in length.spans) if length is not None else ""
    names = ", ".join(s.path.rpartition("/")[2] for s in silent[-3:])
    epochs = f", only epoch {silent[-1].epoch:g}" if silent[-1].epoch is not None else ""
    return Sick(
        f"{len(silent)} of {len(checkpoints.saves)} checkpoints {'do not say their' if len(silent) > 1 else 'does not say its'} global step{epochs} ({names}), and training was restarted from one"
        + (f" while an epoch has {lengths} steps" if lengths else ""),
        evidence=(
            Measure("checkpoints without a global step", len(silent), f"of {len(checkpoints.saves)}"),
            Measure("restart from a checkpoint", told(silent[-1]), None, where),
            *(
                Measure("steps of an epoch", s.steps, "steps", s.where)
                for s in (length.spans if length is not None else ())
            ),
            *table(silent, "global_step", lambda _: None),
        ),
        innocent="the step is kept in another file that the training program reads",
        actions=(
            Action(
                "Save global_step (optimizer steps) in every checkpoint and restore the schedule from it, not from the epoch",
                "a few lines",
                "change",
            ),
        ),
    )


def sick() -> Iterator[Run]:
    """No counter at all after a restart; an epoch alone where its length changes; a counter that stands still."""
    last = examples.checkpoint(
        None, examples.trained(500) | examples.adam(examples.trained(500), 500), path="checkpoint-last.pth"
    )
    resume = examples.event("resume", "Resume checkpoint checkpoint-last.pth", value="checkpoint-last.pth")
    yield examples.run(examples.stage(loss=examples.decay(1000), console=True, events=[resume]), checkpoints=[last])
    lengths = [
        examples.event("epoch-length", f"{n} steps", value=float(n), line=i) for i, n in ((1, 5000), (400, 4000))
    ]
    worlds = [examples.event("world-size", f"world_size: {n}", value=float(n), line=i) for i, n in ((1, 4), (300, 5))]
    stage = examples.stage(loss=examples.decay(1000), console=True, events=[*lengths, *worlds, resume])
    arrays = examples.trained(500) | examples.adam(examples.trained(500), 500)
    yield examples.run(
        stage, checkpoints=[examples.checkpoint(None, arrays, path="checkpoint-last.pth", inside={"epoch": 7})]
    )
    stale = [examples.checkpoint(s, inside={"step": min(s, 400)}) for s in (200, 400, 600, 800)]
    yield examples.run(examples.stage(loss=examples.decay(1000)), checkpoints=stale)


def healthy() -> Iterator[Run]:
    """Counters that agree, count from 0 or in thousands; an epoch alone where epochs are equally long."""
    stage = examples.stage(loss=examples.decay(1000))
    yield examples.run(stage, checkpoints=examples.training((200, 400, 600)))
    yield examples.run(stage, checkpoints=[examples.checkpoint(s, inside={"step": s + 1}) for s in (199, 399, 599)])
    yield examples.run(stage, checkpoints=[examples.checkpoint(s, inside={"step": 1000 * s}) for s in (2, 4, 8)])
    resume = examples.event("resume", "Resume checkpoint checkpoint-last.pth", value="checkpoint-last.pth")
    told = examples.stage(
        loss=examples.decay(1000),
        console=True,
        events=[examples.event("epoch-length", "5000 steps", value=5000.0), resume],
    )
    arrays = examples.trained(500) | examples.adam(examples.trained(500), 500)
    yield examples.run(
        told, checkpoints=[examples.checkpoint(None, arrays, path="checkpoint-last.pth", inside={"epoch": 7})]
    )
