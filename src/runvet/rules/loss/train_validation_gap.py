"""LOSS109 train-validation-gap."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.curves import TrainLoss, ValLoss
from runvet.evidence.nature import Nature
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import since
from runvet.rules.loss._common import collapsed, guilty, num, ratios, shared_axis
from runvet.run import Stage


@rule("LOSS109", "train-validation-gap", level="warning", since="0.1", explains=("LOSS108",))
def train_validation_gap(
    loss: TrainLoss,
    val: ValLoss,
    nature: Nature,
    *,
    first: float = 1.8,  # times the training loss, already at the first evaluation: not overfitting, which takes time
    later: float = 2.5,  # times, at the end
    closing: float = 0.2,  # a validation loss that gained a fifth is on its way
) -> Sick | Unsure | None:
    """The validation loss lies far above the training loss from the first evaluation on, and does not come down.

    ## What it checks
    The training loss in the interval before each evaluation (from step or epoch), against the validation loss: at least
    three evaluations, a ratio of 1.8 at the first and 2.5 at the last one, and less than 20 % gained by validation.
    ## Why it matters
    A gap that was there before anything could be memorised comes from somewhere else: other preprocessing, evaluation
    mode, another loss, or a domain that was never seen.
    ## What to do
    Put training samples through the validation code. If their loss is low, the data differ; if it is high, the code does.
    ## When to ignore it
    Validation on another domain on purpose, or a validation loss that is summed or weighted otherwise.
    ## Known limits
    Losses around zero have no ratio. Strong augmentation makes the training loss higher and can hide a gap.
    ## References
    - Failure reports: xinyu1205/recognize-anything#212, pytorch-pose#4, keras-team/keras#7265.
    """
    if nature.reinforcement or nature.adversarial:
        return Unsure("losses of reinforcement learning and of adversaries have no such gap")
    if nature.continued:
        return Unsure(f"the run goes on from earlier weights ({nature.continued}): the first evaluation is not early")
    if not loss.is_total:
        return Unsure("only terms of the training loss are logged", "log the total loss under the same name for both")
    series = val.lead
    if (series.role or "").endswith("perplexity") != (loss.lead.role or "").endswith("perplexity"):
        return Unsure(f"{series.name} and {loss.lead.name} are not the same quantity", "log the same loss for both")
    every = collapsed(series.finite())  # a resumed run is judged as a whole: the gap was there before and after
    if len(every) < 3:
        return Unsure("fewer than three evaluations", "log val/loss at every evaluation")
    trains = next((t for t in loss.series if t.role == "train_loss" and shared_axis(t, every) is not None), None)
    if trains is None or not (every.minimum > 0 and trains.finite().minimum > 0):
        return Unsure("training and validation losses share no axis, or are not positive")
    ratio, level = ratios(trains, every)
    if len(ratio) < 3 or not (ratio[0] >= first and ratio[-1] >= later and float(np.median(ratio)) >= later):
        return None
    v = every.value
    start, end = float(v[0]), float(np.median(v[-max(1, len(v) // 4) :]))
    if end < (1 - closing) * start:
        return None
    x = every.x()
    return Sick(
        f"{every.name} is {num(float(v.min()))} to {num(float(v.max()))} in {len(v)} evaluations, {ratio[0]:.1f} times the training loss at the"
        f" first and {ratio[-1]:.1f} times at the last one (training loss {num(level[0])} to {num(level[-1])}): validation never came near",
        (
            Measure(f"{every.name}, first and last", f"{num(start)}, {num(float(v[-1]))}", None, every.where(0)),
            Measure("training loss before them", f"{num(level[0])}, {num(level[-1])}", None, trains.where(0)),
            Measure("ratio at the first and last evaluation", f"{ratio[0]:.2f}, {ratio[-1]:.2f}"),
        ),
        since(every, float(x[0])),
        "validation on another domain on purpose, or a validation loss that is summed otherwise",
        (
            Action("Put training samples through the validation code and compare the losses", "minutes", "measure"),
            Action("Compare preprocessing, evaluation mode and loss terms of the two", "minutes", "measure"),
        ),
        guilty(every, float(x[0])),
    )


def sick() -> Iterator[Stage]:
    """A gap from the first evaluation on, with few and with many evaluations."""
    yield examples.stage(
        loss=examples.decay(800, start=22, end=4, power=0.4), val_loss=[44.1, 43.9, 41.2, 44.8, 42.0, 43.7]
    )
    yield examples.stage(loss=examples.decay(3000, start=2, end=0.5), val_loss=examples.level(40, 5.0))


def healthy() -> Iterator[Stage]:
    """A gap that opens slowly, one that closes, validation below training, no gap."""
    yield examples.stage(
        loss=examples.decay(800, start=4, end=0.1, power=0.3), val_loss=[2.4, 1.7, 1.5, 1.45, 1.5, 1.5]
    )
    yield examples.stage(loss=examples.decay(800, start=22, end=4), val_loss=[24.8, 18.0, 12.1, 8.0, 6.0, 4.6])
    yield examples.stage(loss=examples.decay(800), val_loss=examples.decay(8) * 0.8)
    yield examples.stage(loss=examples.decay(800), val_loss=examples.decay(8))
