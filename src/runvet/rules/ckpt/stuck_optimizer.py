"""CKPT115 stuck-optimizer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.checkpoints.model import Checkpoint
from runvet.evidence.checkpoints import Checkpoints
from runvet.evidence.weights import optimizer
from runvet.rules import Action, Sick, Unsure, rule
from runvet.rules._phrases import num
from runvet.rules.ckpt._saves import table, told, unread
from runvet.run import Run, number

SECOND = ("exp_avg_sq", "square_avg", "v", "nu", "state2")


@rule("CKPT115", "stuck-optimizer", level="critical", since="0.1", explains=("CKPT108",))
def stuck_optimizer(checkpoints: Checkpoints) -> Sick | Unsure | None:
    """The optimizer does not advance: its step counter stands still, or it has never seen a gradient.

    ## What it checks
    The step counters within the optimizer's state of consecutive saves of the same name, and its second moments: a
    counter that is the same in two saves between which training went on, or second moments that are zero in every
    element. Critical where it holds for the newest save.
    ## Why it matters
    No update is made, whatever the loss curve shows.
    ## What to do
    Look whether the gradient scaler skips every step, whether `optimizer.step()` is reached, and whether the saved
    optimizer is the one that is stepped.
    ## When to ignore it
    A phase in which this model is held fixed, such as one of two models that take turns.
    ## Known limits
    Optimizers that keep neither counters nor second moments (plain gradient descent) are not judged.
    ## References
    - MIC-DKFZ/nnUNet#2350, horovod/horovod#861.
    """
    if checkpoints.unscanned:
        return unread(checkpoints)
    for family in checkpoints.families:
        pairs = [(a, b, _counter(a), _counter(b)) for a, b in family.pairs()]
        known = [(a, b, x, y) for a, b, x, y in pairs if x is not None and y is not None]
        still = [(a, b, x) for a, b, x, y in known if x == y]
        if still and len(known) > 1:
            a, b, count = still[-1]
            last = b is known[-1][1]
            return _sick(f"the optimizer's own counter stands at {num(count)} in {told(a)} and {told(b)} ({len(still)} of {len(known)} intervals)",
                         [s for pair in known for s in pair[:2]], a, last=last, what="optimizer's step counter", value=_counter)  # fmt: skip
        whole = [s for s in family.saves if s.values is not None]
        empty = [s for s in whole if _no_gradient(s)]
        if empty:
            share = f"{len(empty)} of {len(whole)} checkpoints"
            return _sick(f"the optimizer's second moments are zero in every element in {share}, {told(empty[-1])} the last: no gradient has reached it",
                         empty, empty[0], last=empty[-1] is whole[-1], what="second moments that are not zero", value=lambda _: 0)  # fmt: skip
    return None


def _sick(message: str, saves: list[Checkpoint], first: Checkpoint, *, last: bool, what: str, value: object) -> Sick:
    several = list({s.path: s for s in saves}.values())
    return Sick(
        message,
        evidence=table(several, what, value) if callable(value) else (),
        since_step=first.step,
        innocent="a phase in which this model is held fixed, such as one of two models that take turns",
        actions=(
            Action(
                "Stop and find out why no update is made: steps skipped for NaN gradients, or an optimizer that is never stepped",
                "minutes",
                "stop",
            ),
            Action("Log the gradient norm and the loss scale", "one line", "measure"),
        ),
        level=None if last else "warning",
    )


def _counter(save: Checkpoint) -> float | None:
    """The largest step counter within the optimizer's state; None where it keeps none."""
    values = save.values
    if values is None:
        return None
    counts = [
        float(values.maximum[i])
        for i in optimizer(save, "step").values()
        if save.tensors[i].elements == 1 and values.scanned[i]
    ]
    if not counts:
        plain = [v for k, v in save.plain.items() if k.rpartition(".")[2] == "step" and ".state." in f".{k}"]
        counts = [n for v in plain if (n := number(v)) is not None]
    return max(counts) if counts and np.isfinite(counts).all() else None


def _no_gradient(save: Checkpoint) -> bool:
    """Whether second moments are kept, none is above zero, and the optimizer has taken steps."""
    values = save.values
    places = [
        i
        for i in optimizer(save, *SECOND).values()
        if save.tensors[i].elements and values is not None and values.scanned[i]
    ]
    if values is None or not places or not (_counter(save) or 0) > 0:
        return False
    return all(int(values.zero[i]) == save.tensors[i].elements for i in places)


def _stuck(steps: tuple[int, ...], at: int) -> list[Checkpoint]:
    return [examples.checkpoint(s, examples.trained(at) | examples.adam(examples.trained(at), at)) for s in steps]


def sick() -> Iterator[Run]:
    """A counter that stands still; moments that are zero."""
    stage = examples.stage(loss=examples.decay(1000))
    yield examples.run(stage, checkpoints=[*examples.training((100, 200)), *_stuck((300, 400), 200)])
    arrays = {n: a * 0 if "exp_avg" in n else a for n, a in examples.adam(examples.trained(500), 500).items()}
    yield examples.run(stage, checkpoints=[examples.checkpoint(500, examples.trained(500) | arrays)])


def healthy() -> Iterator[Run]:
    """Counters that advance; that began anew at a restart; no optimizer at all; one at the very start."""
    stage = examples.stage(loss=examples.decay(1000))
    yield examples.run(stage, checkpoints=examples.training((200, 400, 600)))
    model = examples.trained(600)
    yield examples.run(
        stage, checkpoints=[*examples.training((200, 400)), examples.checkpoint(600, model | examples.adam(model, 10))]
    )
    yield examples.run(stage, checkpoints=[examples.checkpoint(s, examples.trained(s)) for s in (200, 400)])
    first = {n: a * 0 for n, a in examples.adam(examples.trained(0), 0).items()}
    yield examples.run(
        stage, checkpoints=[examples.checkpoint(0, examples.trained(0) | first), *examples.training((400, 800))]
    )
