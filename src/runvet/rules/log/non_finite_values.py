"""LOG101 non-finite-values."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet.evidence.curves import GradNorm, TrainLoss
from runvet.rules import BACK, Action, Measure, Sick, rule
from runvet.rules.log.never_a_number import unmeasured
from runvet.run import IntArray, Series, Stage


@rule(
    "LOG101",
    "non-finite-values",
    level="critical",
    since="0.1",
    explains=("LOSS101", "LOSS102", "LOSS103", "LOSS119", "LOG109"),
)
def non_finite_values(stage: Stage, loss: TrainLoss | None, grads: GradNorm | None) -> Iterator[Sick]:
    """A loss, gradient norm or metric became NaN or infinite.

    ## What it checks
    Every logged number. Critical where a training loss or a validation metric stays non-finite to its end; a warning
    where it was finite again later. Gradient norms that are infinite while a gradient scaler searches its scale,
    a validation metric that is infinite before its first finite value, and NaN at the points between evaluations, are left alone;
    metrics that never were a number: see `never-a-number`.
    ## Why it matters
    A NaN in the weights never leaves again: everything trained after that step is lost.
    ## What to do
    Go back to the last checkpoint before the first non-finite value; look at what rose before it (gradient norm,
    learning rate, loss scale); lower the learning rate or clip the gradient.
    ## When to ignore it
    A metric that is undefined for some batches (a correlation of constants), logged as NaN on purpose.
    ## Known limits
    Some trainers replace NaN losses by zeros before they log them: see `masked-loss`.
    ## References
    - Failure reports: huggingface/trl#6702, Time-MoE/Time-MoE#31.
    """
    important = {s.name for part in (loss, grads) if part for s in part.series} | {
        s.name for s in stage.series if (s.role or "").startswith(("val_", "test_"))
    }
    for series in stage.series:
        if not series.non_finite:
            continue
        bad = np.flatnonzero(~np.isfinite(series.value))
        good = np.flatnonzero(np.isfinite(series.value))
        if unmeasured(series, stage) or _between_evaluations(series, bad, good):
            continue
        undefined_at_first = not len(bad) or not len(good) or good[0] > bad[-1]
        if undefined_at_first and (len(good) or series.name not in important or len(bad) < 2):
            continue
        first = int(bad[np.searchsorted(bad, good[0])]) if len(good) and good[0] < bad[-1] else int(bad[0])
        ended = bool(bad[-1] == len(series) - 1)
        scaler = series.role == "grad_norm" and not ended and len(bad) <= max(10, 0.01 * len(series))
        if scaler or (series.name not in important and not ended):
            continue
        step = float(series.x()[first])
        stays = ended and bool(np.all(~np.isfinite(series.value[first:])))
        yield Sick(
            f"{series.name} is {series.value[first]:g} from {series.axis} {step:,.0f} on"
            + ("" if stays else f" in {series.non_finite} of {series.total} points"),
            evidence=(
                Measure(f"first non-finite {series.name}", str(series.value[first]), None, series.where(first)),
                Measure("non-finite points", series.non_finite, "points"),
            ),
            since_step=step if series.axis == "step" else None,
            innocent="a metric that is undefined for some batches and is logged as NaN on purpose",
            actions=(
                Action(f"Go back to the last checkpoint before {series.axis} {step:,.0f}", BACK, "stop"),
                Action("Lower the learning rate or clip the gradient norm before that step", "config"),
            ),
            level=None if stays and series.name in important else "warning",
        )


def _between_evaluations(series: Series, bad: IntArray, good: IntArray) -> bool:
    """A metric that is NaN but for every so many-th point, to the end: it was not evaluated at the others."""
    gaps = np.diff(good)
    if len(gaps) < 2 or series.role == "train_loss" or not np.isnan(series.value[bad]).all():
        return False
    period = int(gaps.max())
    edges = good[0] < period and len(series) - good[-1] <= period
    return bool(period > 1 and edges and np.mean(gaps == period) >= 0.8)


def sick() -> Iterator[Stage]:
    """Losses that become NaN and stay so."""
    broken = examples.decay(400)
    broken[300:] = np.nan
    yield examples.stage(train_loss=broken)
    exploded = examples.decay(400)
    exploded[395:] = np.inf
    yield examples.stage(loss=exploded, grad_norm=examples.level(400))
    val = examples.decay(40)
    val[35:] = np.nan
    yield examples.stage(loss=examples.decay(400), val_loss=val)


def healthy() -> Iterator[Stage]:
    """Finite runs, a scaler's search at the start, and a best value that begins at infinity."""
    yield examples.stage(loss=examples.decay(400))
    norms = examples.level(400)
    norms[:4] = np.inf
    yield examples.stage(loss=examples.decay(400), grad_norm=norms)
    best = examples.decay(40)
    best[0] = np.inf
    absent = np.full(40, np.nan)
    yield examples.stage(loss=examples.decay(400), val__loss=examples.decay(40), val__cer_ctc=absent)
    sparse = np.full(40, np.nan)
    sparse[4::5] = np.linspace(0.4, 0.8, 8)
    yield examples.stage(loss=examples.decay(40), val__acc=sparse)
    yield examples.stage(loss=examples.decay(400, start=-1.0, end=-4.0), val_loss=best)
