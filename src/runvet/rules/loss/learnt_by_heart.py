"""LOSS125 learnt-by-heart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from runvet import examples
from runvet.evidence.curves import TrainLoss, ValLoss
from runvet.evidence.diversity import BATCH
from runvet.evidence.environments import Environments
from runvet.evidence.epoch_length import EpochLength
from runvet.evidence.nature import Nature
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules.loss._common import collapsed, num, ratios, shared_axis
from runvet.run import FloatArray, Stage

GATHERED = ("gradient_accumulation_steps", "accumulate_grad_batches", "grad_accum_steps", "accum_steps", "accum_iter")


@rule("LOSS125", "learnt-by-heart", level="warning", since="0.1", explains=("LOSS109", "LOSS119"))
def learnt_by_heart(
    stage: Stage,
    loss: TrainLoss,
    val: ValLoss,
    epochs: EpochLength,
    nature: Nature,
    where: Environments | None,
    *,
    few: float = 300,  # items that are trained on
    passes: float = 20,  # over them
    gap: float = 3.0,  # validation over training loss at the end
    opened: float = 2.0,  # times what it was after the first tenth
) -> Sick | Unsure | None:
    """A few training items were seen so often that the training loss leaves the validation loss behind.

    ## What it checks
    Items (steps of an epoch, times batch size, processes and accumulation): at most 300, each seen 20 times or more. And the
    validation loss over the training loss before it: 3 or more at the end, at least twice what it was after the first
    tenth of the evaluations. The validation loss need not rise.
    ## Why it matters
    The training loss then says how well these items are known, and nothing about any other.
    ## What to do
    Train on more items. Until then judge by validation alone, and compare with a predictor that looks at nothing.
    ## When to ignore it
    A test that the model can overfit at all, or a subject that is to be learnt by heart (personalisation).
    ## Known limits
    Where neither the log nor the configuration tells steps of an epoch and batch size, items are not counted.
    ## References
    - Zhang et al., Understanding deep learning requires rethinking generalization, 2017 (arXiv 1611.03530).
    """
    if nature.reinforcement or nature.adversarial or not loss.is_total:
        return Unsure("the losses do not measure fit to fixed items", applicable=False)
    batch = stage.setting(*BATCH)
    if batch is None or batch.number is None:
        return Unsure("no batch size in the configuration", "keep the configuration beside the log")
    worlds = [r.world_size for r in where.records if r.world_size] if where else []
    steps = epochs.spans[-1].steps
    gathered = stage.setting(*GATHERED)
    times = gathered.number or 1.0 if gathered is not None else 1.0
    items = steps * batch.number * max([1.0, *worlds]) * max(1.0, times)
    if items > few:
        return None
    every = collapsed(val.lead.finite())
    trains = next((t for t in loss.series if t.role == "train_loss" and shared_axis(t, every) is not None), None)
    if len(every) < 8 or trains is None or not (every.minimum > 0 and trains.finite().minimum > 0):
        return Unsure("fewer than eight evaluations beside the training loss, or losses that are not positive",
                      "log val/loss at every epoch")  # fmt: skip
    ratio, level = ratios(trains, every)
    seen = float(np.nanmax(trains.step)) / steps if np.isfinite(trains.step).any() else 0.0
    if len(ratio) < 8 or seen < passes:
        return None
    tenth, quarter = max(1, len(ratio) // 10), max(2, len(ratio) // 4)
    before, after = float(np.median(ratio[:tenth])), float(np.median(ratio[-quarter:]))
    if after < gap or after < opened * before:
        return None
    end = float(np.median(every.value[-quarter:]))
    return Sick(
        f"about {items:,.0f} training items were each seen {seen:,.0f} times: the training loss fell to {num(float(level[-1]))}, while"
        f" {every.name} stays at {num(end)}, {after:.1f} times as much ({before:.1f} times at first): learnt by heart",
        (
            Measure("training items", round(items), "items", f"{epochs.spans[-1].where}; {batch.key} in {batch.source}"),
            Measure("passes over them", round(seen, 1)),
            Measure("validation over training loss, first and last", f"{before:.2f}, {after:.2f}", None, every.where(len(every) - 1)),
        ),
        innocent="a test that the model can overfit, or a subject that is to be learnt by heart",
        actions=(
            Action("Train on more items before changing model or optimiser; check that nothing filters the data set", "the data set", "repair"),
        ),
    )  # fmt: skip


def _stage(val: FloatArray, items: int, *, passes: int = 100, batch: int = 8) -> Stage:
    steps = items // batch
    made = examples.stage(
        loss=examples.decay(passes * steps, start=3, end=0.1, power=0.5), val_loss=val, settings={"batch_size": batch}
    )
    event = examples.event("epoch-length", "Train", value=steps)
    return replace(made, events=(*made.events, event))


def sick() -> Iterator[Stage]:
    """32 items a hundred times: validation stays, or goes on falling slowly."""
    yield _stage(np.asarray(examples.decay(50, start=1.9, end=0.67)), 32)
    yield _stage(np.asarray(examples.level(40, 1.4)), 64)


def healthy() -> Iterator[Stage]:
    """The same gap on many items; few items and no gap; few passes."""
    yield _stage(np.asarray(examples.decay(50, start=1.9, end=0.67)), 4000, passes=30, batch=40)
    yield _stage(np.asarray(examples.decay(50, start=3, end=0.15)), 32)
    yield _stage(np.asarray(examples.level(10, 2.5)), 160, passes=10)
