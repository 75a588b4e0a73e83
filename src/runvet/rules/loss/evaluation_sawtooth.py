"""LOSS110 evaluation-sawtooth."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.curves import TrainLoss, ValLoss
from runvet.evidence.nature import Nature
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import since
from runvet.rules.loss._common import collapsed, guilty, num, shared_axis
from runvet.run import FloatArray, Stage
from runvet.statistics import noise

AVERAGED = re.compile(r"avg|mean|running|smooth|ema|epoch|median", re.IGNORECASE)
WINDOW = 8  # points on either side of an evaluation, at least


@rule("LOSS110", "evaluation-sawtooth", level="warning", since="0.1")
def evaluation_sawtooth(
    loss: TrainLoss,
    val: ValLoss,
    nature: Nature,
    *,
    evaluations: float = 7.0,  # seven of one sign happen by chance once in 64
    agree: float = 0.9,  # share of the shifts with the same sign
    size: float = 0.03,  # of the level
    errors: float = 3.0,  # standard errors of a single shift
) -> Sick | Unsure | None:
    """The training loss jumps up after every evaluation and falls again until the next.

    ## What it checks
    Raw step losses just before and just after each of at least seven evaluations: the shift is up at nine of ten, by 3 % of the level and
    three standard errors, and is taken back between evaluations (the loss as a whole does not rise). Running averages,
    which reset at each epoch, are recognised by their noise and left alone.
    ## Why it matters
    Evaluation leaves something behind: evaluation mode, changed statistics, a reset optimiser or data order.
    ## What to do
    Call `model.train()` after each evaluation; restore the random state and the data position.
    ## When to ignore it
    Data that are sorted by difficulty within an epoch on purpose.
    ## Known limits
    Needs raw losses of single steps and the steps of the evaluations. Shifts down, as in every epoch of a model that memorises, are not told.
    ## References
    - Failure reports: wkentaro/pytorch-fcn#57, ServiceNow/LCFCN#20.
    """
    if nature.reinforcement or nature.adversarial:
        return Unsure("losses of reinforcement learning and of adversaries jump in healthy runs")
    series = next((s for s in loss.series if s.role == "train_loss" and not AVERAGED.search(s.name)), None)
    held = collapsed(val.lead.finite())
    if series is None or len(held) < evaluations:
        return Unsure("no raw step losses, or too few evaluations", "log the loss of every step")
    series = series.finite()
    axes = shared_axis(series, held)
    if axes is None or len(series) < 4 * WINDOW * evaluations:
        return Unsure("training loss and evaluations share no axis, or there are too few losses between them")
    x, at = axes
    shifts, drifts, calmer = _shifts(x, series.value, at)
    if len(shifts) < evaluations:
        return None
    level = abs(float(np.median(series.value)))
    middle = float(np.median(shifts))
    error = 1.2533 * noise(series.value) * np.sqrt(2.0 / WINDOW)
    back = float(np.median(drifts))
    if (
        float(np.mean(shifts > 0)) < agree
        or middle < max(size * level, errors * error)
        or back > -0.5 * middle
        or calmer
    ):
        return None
    ups = int(np.sum(shifts > 0))
    return Sick(
        f"{series.name} jumps up by {num(middle)} ({middle / level:.0%}) after {ups} of {len(shifts)} evaluations and falls by {num(-back)} until the next one",
        (
            Measure(
                "median shift at an evaluation",
                round(middle, 6),
                f"{middle / error if error > 0 else np.inf:.0f} standard errors",
            ),
            Measure("median change between evaluations", round(back, 6)),
            Measure("evaluations with a shift up", ups, f"of {len(shifts)}"),
        ),
        since(series, float(at[min(len(at) - 1, int(evaluations) - 1)])),
        "data that are sorted by difficulty within an epoch on purpose",
        (
            Action(
                "Call model.train() after each evaluation, and compare one epoch without evaluation",
                "minutes",
                "measure",
            ),
            Action(
                "Check that the data are shuffled and the optimiser is not built anew at each epoch",
                "minutes",
                "measure",
            ),
        ),
        guilty(series, float(x[0])),
    )


def _shifts(x: FloatArray, v: FloatArray, at: FloatArray) -> tuple[FloatArray, FloatArray, bool]:
    """Shifts at evaluations, drifts between them, and whether noise shrinks in between as a running average's does."""
    edges = np.searchsorted(x, at, side="right")
    shifts, drifts, early, late = [], [], [], []
    for k, edge in enumerate(edges.tolist()):
        after = edges[k + 1] if k + 1 < len(edges) else len(v)
        before = edges[k - 1] if k else 0
        width = max(WINDOW, (edge - before) // 10)
        if edge - before < 2 * width or after - edge < 2 * width:
            continue
        shifts.append(float(np.median(v[edge : edge + width]) - np.median(v[edge - width : edge])))
        drifts.append(float(np.median(v[after - width : after]) - np.median(v[edge : edge + width])))
        early.append(noise(v[edge : edge + width]))
        late.append(noise(v[after - width : after]))
    calmer = bool(early) and float(np.median(early)) > 2.5 * float(np.median(late))
    return np.asarray(shifts, np.float64), np.asarray(drifts, np.float64), calmer


def sick() -> Iterator[Stage]:
    """A loss that is thrown up by every evaluation."""
    n, every = 2000, 200
    teeth = 0.5 * np.exp(-(np.arange(n) % every) / 60)
    teeth[:every] = 0
    yield examples.stage(loss=examples.level(n, 1.5, noise=0.03) + teeth, val_loss=examples.decay(n // every))


def healthy() -> Iterator[Stage]:
    """No teeth, and the falling steps of a model that memorises."""
    yield examples.stage(loss=examples.decay(2000), val_loss=examples.decay(10))
    stairs = 2.0 - 0.15 * (np.arange(2000) // 200) + 0.0002 * (np.arange(2000) % 200)
    yield examples.stage(
        loss=stairs + 0.03 * np.random.default_rng(0).standard_normal(2000), val_loss=examples.decay(10)
    )
