"""LOSS117 decoupled-validation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.curves import ValLoss
from runvet.evidence.nature import Nature
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import since
from runvet.rules.loss._common import guilty, num, place, shared_axis
from runvet.run import FloatArray, Series, Stage
from runvet.statistics import spearman

ROLES = ("val_error", "test_error", "error")


@rule("LOSS117", "decoupled-validation", level="warning", since="0.1")
def decoupled_validation(
    stage: Stage,
    val: ValLoss,
    nature: Nature,
    *,
    fewest: float = 5.0,  # evaluations that have both
    gain: float = 0.15,  # share that the validation loss must have lost over them
    follows: float = 0.5,  # rank correlation from which on the error does follow the loss
) -> Sick | Unsure | None:
    """The validation loss falls, yet the error that counts does not.

    ## What it checks
    Errors (MAE, RMSE, roll-out or generation errors) at evaluations that also have a validation loss, for instance at each new best
    checkpoint: the loss fell by 15 % over them, while at least half of the errors end no better than they began and do
    not follow the loss in rank.
    ## Why it matters
    The checkpoint is chosen by a number that says nothing about its use: one-step losses do not measure roll-outs, denoising
    losses do not measure samples.
    ## What to do
    Choose checkpoints by the error itself; train on what is evaluated (longer roll-outs, scheduled sampling).
    ## When to ignore it
    Errors of a few samples, which are mostly noise.
    ## Known limits
    Only errors, lower being better; at least five evaluations.
    ## References
    - Bengio et al., Scheduled Sampling for Sequence Prediction, 2015.
    """
    if nature.reinforcement or nature.adversarial:
        return Unsure("validation losses of reinforcement learning and of adversaries measure no quality")
    errors = [s for s in stage.role(*ROLES) if s.total >= fewest and s.split != "train"]
    if not errors:
        return Unsure("no errors beside the validation loss", "log the roll-out or sample error at every evaluation")
    told: list[tuple[Series, FloatArray, FloatArray]] = []
    for one in errors:
        loss, error = _together(val.lead, one)
        if len(loss) >= fewest and (loss > 0).all() and (error > 0).all() and len(loss) <= 200:
            told.append((one, loss, error))
    if not told:
        return Unsure("errors and validation loss have too few evaluations in common")
    apart = []
    for one, loss, error in told:
        start, end = float(np.median(loss[:2])), float(np.median(loss[-2:]))
        rho, _ = spearman(loss, error)
        if (
            end < (1 - gain) * start
            and float(np.median(error[-2:])) >= 0.99 * float(np.median(error[:2]))
            and not rho > follows
        ):
            apart.append((one, loss, error))
    if not apart or 2 * len(apart) < len(told):
        return None
    one, loss, error = max(apart, key=lambda t: t[2][-1] / t[2][0])
    x = one.x()
    more = ", ".join(f"{s.name} {num(float(e[0]))} to {num(float(e[-1]))}" for s, _, e in apart if s is not one)
    return Sick(
        f"{val.lead.name} falls from {num(float(loss[0]))} to {num(float(loss[-1]))} over {len(loss)} evaluations, yet {one.name} goes from {num(float(error[0]))}"
        f" to {num(float(error[-1]))} (worst {num(float(error.max()))})"
        + (f"; {more}" if more else "")
        + ": the loss says nothing about this error",
        (
            Measure(f"{val.lead.name} there, first and last", f"{num(float(loss[0]))}, {num(float(loss[-1]))}"),
            *(
                Measure(f"{s.name}, first and last", f"{num(float(e[0]))}, {num(float(e[-1]))}", None, s.where(0))
                for s, _, e in apart[:4]
            ),
        ),
        since(one, float(x[min(len(x) - 1, int(fewest) - 1)])),
        "errors of a few samples, which are mostly noise",
        (
            Action(f"Choose checkpoints by {one.name}, not by {val.lead.name}", "config", "change"),
            Action(
                f"Evaluate the error on more samples; its best so far is at {place(one, float(x[int(np.argmin(one.value))]))}",
                "minutes",
                "measure",
            ),
        ),
        guilty(one, float(x[0])),
    )


def _together(loss: Series, error: Series) -> tuple[FloatArray, FloatArray]:
    """Values of the two at the places that both have, shape (k,) each."""
    axes = shared_axis(loss, error)
    if axes is None:
        return np.empty(0), np.empty(0)
    xl, xe = axes
    gaps = np.diff(xl)
    near = 0.51 * float(np.median(gaps[gaps > 0])) if (gaps > 0).any() else 0.5
    pairs = []
    for at, value in zip(xe.tolist(), error.value.tolist(), strict=True):
        k = int(np.argmin(np.abs(xl - at)))
        if abs(float(xl[k]) - at) <= near and np.isfinite(loss.value[k]) and np.isfinite(value):
            pairs.append((float(loss.value[k]), value))
    table = np.asarray(pairs, np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def sick() -> Iterator[Stage]:
    """A one-step loss that falls while the roll-out error grows."""
    yield examples.stage(
        loss=examples.decay(400),
        val_loss=[0.05, 0.046, 0.044, 0.042, 0.04, 0.037],
        rollout_mae=[221, 222, 248, 288, 240, 262],
    )


def healthy() -> Iterator[Stage]:
    """Errors that follow the loss, with noise, and too small a change of the loss to tell."""
    yield examples.stage(
        loss=examples.decay(400), val_loss=[0.05, 0.046, 0.044, 0.042, 0.04], val_mae=[221, 200, 190, 195, 170]
    )
    yield examples.stage(
        loss=examples.decay(400), val_loss=[0.50, 0.49, 0.485, 0.48, 0.478], val_mae=[2.0, 2.1, 1.9, 2.0, 2.05]
    )
