"""LOSS120 unstable-validation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.curves import TrainLoss, ValLoss
from runvet.evidence.nature import Nature
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import since
from runvet.rules.loss._common import collapsed, ends, guilty, num, place
from runvet.run import Stage


@rule("LOSS120", "unstable-validation", level="warning", since="0.1")
def unstable_validation(
    loss: TrainLoss,
    val: ValLoss,
    nature: Nature,
    *,
    times: float = 3.0,  # the validation loss over its own start, in its last third
    calm: float = 1.1,  # the training loss over its own start: more would be a divergence of both
    jump: float = 1.35,  # typical factor between neighbouring evaluations
) -> Sick | Unsure | None:
    """The validation loss jumps about, far above its start, while the training loss stays calm.

    ## What it checks
    At least eight evaluations: in the last third the median validation loss is three times its first value, and neighbouring evaluations
    typically differ by a third or more; the training loss has not risen.
    ## Why it matters
    Outputs explode as soon as the model is evaluated: running statistics of normalisation layers are off, or inputs differ in scale.
    ## What to do
    Evaluate once in training mode. If that is calm, the running statistics are the cause: batch size, momentum, shared layers.
    ## When to ignore it
    Validation sets of a few samples.
    ## Known limits
    A steady rise is told by `overfitting`. Losses around zero are not judged.
    ## References
    - Ioffe and Szegedy, Batch Normalization, 2015; bearpaw/pytorch-pose#4.
    """
    if nature.reinforcement or nature.adversarial:
        return Unsure("losses of reinforcement learning and of adversaries jump in healthy runs")
    series, train = collapsed(val.lead.finite()), loss.lead.finite()
    if len(series) < 8 or len(train) < 8 or not loss.is_total or not (series.minimum > 0 and train.minimum > 0):
        return Unsure("fewer than eight evaluations, or losses around zero", "log val/loss at every evaluation")
    v = series.value
    start, late = float(v[0]), float(np.median(v[-max(3, len(v) // 3) :]))
    first, last = ends(train.value)
    typical = float(np.exp(np.median(np.abs(np.diff(np.log(v))))))
    if late < times * start or typical < jump or last > calm * first:
        return None
    x, top = series.x(), int(np.argmax(v))
    return Sick(
        f"{series.name} goes from {num(start)} to {num(late)} in the last third, up to {num(float(v[top]))} at {place(series, float(x[top]))}, and changes by a factor of"
        f" {typical:.2f} from one evaluation to the next, while {train.name} goes from {num(first)} to {num(last)}",
        (
            Measure(f"first {series.name}", start, None, series.where(0)),
            Measure(f"largest {series.name}", float(v[top]), None, series.where(top)),
            Measure("typical factor between evaluations", round(typical, 3)),
        ),
        since(series, float(x[int(np.argmax(v > times * start))])),
        "a validation set of a few samples",
        (
            Action("Evaluate once in training mode and compare", "minutes", "measure"),
            Action(
                "Look at the running statistics of normalisation layers and the scale of validation inputs",
                "minutes",
                "measure",
            ),
        ),
        guilty(series, float(x[int(np.argmax(v > times * start))])),
    )


def sick() -> Iterator[Stage]:
    """Validation that explodes beside a calm training loss."""
    wild = 0.69 * np.array([1, 3, 9, 5, 2.8, 7.5, 4, 9.4, 6, 3.9, 8, 5, 2.9, 6.4, 3.3, 8.8])
    yield examples.stage(loss=examples.level(320, 0.693, noise=0.002), val_loss=wild)


def healthy() -> Iterator[Stage]:
    """Noisy but level, falling, and a wild start that calms down."""
    yield examples.stage(loss=examples.decay(320), val_loss=examples.level(16, 1.0, noise=0.3))
    yield examples.stage(loss=examples.decay(320), val_loss=examples.decay(16, noise=0.2))
    yield examples.stage(
        loss=examples.decay(320), val_loss=np.concatenate([[2.3, 9.0, 30.0, 4.0], examples.decay(16, start=2.0)])
    )
