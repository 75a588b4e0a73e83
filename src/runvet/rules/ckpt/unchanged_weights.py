"""CKPT108 unchanged-weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from runvet import examples
from runvet.checkpoints.model import Checkpoint
from runvet.evidence.checkpoints import Checkpoints, Family
from runvet.evidence.curves import LearningRate
from runvet.evidence.weights import learning_rate, listed, module, moved, optimizer, trained
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import num
from runvet.rules.ckpt._saves import table, told, unread
from runvet.run import Run


@dataclass(frozen=True, slots=True)
class Interval:
    """Two saves, one after the other: weights that moved and that did not, and the largest learning rate between."""

    before: Checkpoint
    after: Checkpoint
    moved: frozenset[str]
    equal: frozenset[str]
    rate: float | None  # None: unknown
    trains: bool  # the learning rate is not zero, nor negligible beside its peak


@rule("CKPT108", "unchanged-weights", level="critical", since="0.1")
def unchanged_weights(
    checkpoints: Checkpoints, lr: LearningRate | None, *, negligible: float = 1e-3
) -> Sick | Unsure | None:
    """Weights are equal bit by bit in two saves between which training went on.

    ## What it checks
    The digests of all weights of the model in consecutive saves of the same name: all equal while the learning rate
    between them was above zero (and above `negligible` of its peak). Critical where it holds to the newest save.
    A warning where the learning rate is unknown or weights moved later, and where a whole module stays as it is
    although the optimizer keeps a state for each of its weights. Running statistics are left out.
    ## Why it matters
    Every optimizer step was skipped or went to another object: the run pays for steps that change nothing.
    ## What to do
    Look at the gradients (NaN that a scaler skips), at what the optimizer was given (`requires_grad`, wrapped or copied
    modules), and at which object is saved.
    ## When to ignore it
    Warm-up phases without updates, such as filling a replay buffer; a module frozen by a learning rate of zero.
    ## Known limits
    Updates smaller than the precision of the weights leave them equal, too: then keep them in float32.
    ## References
    - MIC-DKFZ/nnUNet#2350, unslothai/unsloth#1811, horovod/horovod#861.
    """
    if checkpoints.unscanned:
        return unread(checkpoints)
    for family in checkpoints.families:
        intervals = _intervals(family, lr, negligible)
        still = [i for i in intervals if i.equal and not i.moved and i.trains]
        if still:
            return _whole(intervals, still)
        parts = _modules(intervals)
        if parts:
            return _part(intervals, parts)
    return None


def _intervals(family: Family, lr: LearningRate | None, negligible: float) -> list[Interval]:
    pairs = family.pairs()
    gaps = [(b.step or 0) - (a.step or 0) for a, b in pairs]
    usual = float(np.median(gaps)) if gaps else 0.0
    out = []
    for (a, b), gap in zip(pairs, gaps, strict=True):
        if a.finite is False or b.finite is False or gap < 0.5 * usual:
            continue  # a last save soon after the one before may come before the next update
        changed, equal = moved(a, b)
        rates = learning_rate(lr, a, b)
        rate, peak = rates if rates is not None else (None, 0.0)
        out.append(
            Interval(
                a,
                b,
                frozenset(changed),
                frozenset(equal),
                rate,
                rate is None or (rate > 0 and rate >= negligible * peak),
            )
        )
    return out


def _whole(intervals: list[Interval], still: list[Interval]) -> Sick:
    last = first = still[-1]
    for earlier in reversed(still):  # the uninterrupted standstill that ends with the last one
        if earlier.after is first.before:
            first = earlier
    lasts = last is intervals[-1]
    known = last.rate is not None
    rate = f"the learning rate was up to {num(last.rate)}" if last.rate is not None else "the learning rate is unknown"
    return Sick(
        f"all {len(last.equal)} weights are equal bit by bit in {told(first.before)} and {told(last.after)}"
        f" ({len(still)} of {len(intervals)} intervals without any change), while {rate}",
        evidence=(
            Measure("intervals without a change", len(still), f"of {len(intervals)}"),
            Measure("largest learning rate between the saves", last.rate),
            *table([i.after for i in intervals], "weights that moved", lambda c: next(len(i.moved) for i in intervals if i.after is c), "tensors"),
        ),
        since_step=first.after.step,
        innocent="a phase without updates, such as filling a replay buffer, or a stage that only evaluates",
        actions=(
            Action("Stop and look why no update arrives: skipped steps (NaN gradients), parameters the optimizer was not given, or the wrong object saved", "minutes", "stop"),
            Action("After the repair take one step and compare the weights before and after it", "minutes", "measure"),
        ),
        level=None if lasts and known else "warning",
    )  # fmt: skip


def _modules(intervals: list[Interval]) -> list[str]:
    """Modules that never moved while others did, and for each of whose weights the optimizer keeps a state."""
    seen = [i for i in intervals if i.moved and i.trains]
    if len(seen) < 2:
        return []
    ever = {module(n) for i in seen for n in i.moved}
    never = sorted({module(n) for i in seen for n in i.equal} - ever)
    last = seen[-1].after
    states = optimizer(last, "exp_avg", "momentum_buffer")
    weights = {t.name: t.shape for _, t in trained(last)}
    # Frozen weights have no state. Only where there is one for every weight of the model are they meant to be trained.
    if not states or len(states) < len(weights):
        return []
    return [m for m in never if sum(module(n) == m for n in weights) >= 2]


def _part(intervals: list[Interval], parts: list[str]) -> Sick:
    names = [n for n in intervals[-1].equal if module(n) in parts]
    total = len(names) + len(intervals[-1].moved)
    return Sick(
        f"{len(names)} of {total} weights never moved over {len(intervals)} intervals between saves, though the optimizer keeps a state for them: {listed(parts)}",
        evidence=(
            Measure("weights that never moved", len(names), f"of {total}", intervals[-1].after.path),
            Measure("modules", listed(parts, 8)),
            Measure("intervals", len(intervals)),
        ),
        since_step=intervals[0].after.step,
        innocent="a module frozen on purpose by a learning rate of zero in its parameter group",
        actions=(
            Action(
                f"Look at the gradients of {parts[0]}: cut off (detach, no_grad), zero, or a learning rate of zero",
                "minutes",
                "change",
            ),
        ),
        level="warning",
    )


def _same(steps: tuple[int, ...], at: int) -> list[Checkpoint]:
    """Saves whose weights are those of step `at`, while the optimizer's state goes on."""
    frozen = examples.trained(at)
    return [examples.checkpoint(s, frozen | examples.adam(frozen, s)) for s in steps]


def sick() -> Iterator[Run]:
    """Nothing moves; nothing moves any more; a module with optimizer state stays."""
    stage = examples.stage(loss=examples.decay(1000), lr=examples.cosine(1000))
    yield examples.run(stage, checkpoints=_same((200, 400, 600), 0))
    yield examples.run(stage, checkpoints=[*examples.training((100, 200)), *_same((300, 400, 500), 200)])
    stuck = []
    for step in (200, 400, 600):
        arrays = examples.trained(step)
        arrays |= {n: examples.trained(0)[n] for n in arrays if "encoder" in n}
        stuck.append(examples.checkpoint(step, arrays | examples.adam(arrays, step)))
    yield examples.run(stage, checkpoints=stuck)


def healthy() -> Iterator[Run]:
    """Moving weights; a frozen backbone without optimizer state; a rate of zero at the end; copies; running statistics."""
    stage = examples.stage(loss=examples.decay(1000), lr=examples.cosine(1000))
    yield examples.run(stage, checkpoints=examples.training((200, 400, 600)))
    frozen = []
    for step in (200, 400, 600):
        arrays = examples.trained(step)
        head = {n: a for n, a in arrays.items() if "head" in n}
        frozen.append(examples.checkpoint(step, {**examples.trained(0), **head, **examples.adam(head, step)}))
    yield examples.run(stage, checkpoints=frozen)
    ended = np.where(np.arange(1000) < 450, 1e-3, 0.0)
    over = examples.stage(loss=examples.decay(1000), lr=ended)
    yield examples.run(over, checkpoints=[*examples.training((200, 400)), *_same((600, 800), 450)])
    last = examples.checkpoint(600, path="checkpoints/last.pt")
    yield examples.run(stage, checkpoints=[*examples.training((200, 400, 600)), last])
    statistics = [
        examples.checkpoint(s, examples.trained(s) | {"model.bn.running_mean": np.zeros(4, np.float32)})
        for s in (200, 400, 600)
    ]
    yield examples.run(stage, checkpoints=statistics)
