"""LOG109 never-a-number."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from runvet import examples
from runvet.evidence.curves import TrainLoss, ValMetrics
from runvet.roles import GENERIC, kind
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.run import Series, Stage

TERMS = frozenset({"loss_term", "val_loss_term", "test_loss_term", "kl"})
# Metrics of decoded output: trainers log NaN for them while they do not decode.
DECODED = re.compile(r"(?:^|_)(?:wer|cer|ter|per|bleu\d*|chrf|rouge\w*|meteor|cider|exact_match|em)(?:_|$)")


def never(series: Series) -> bool:
    """Whether a series has points, and every one of them is NaN."""
    return len(series) > 0 and series.non_finite == series.total and bool(np.isnan(series.value).all())


def unmeasured(series: Series, stage: Stage) -> bool:
    """Whether a series that is always NaN says nothing of the weights: a metric, a term, or a norm beside a finite loss."""
    if not never(series):
        return False
    if series.role == "grad_norm":
        return _learns(stage)
    if series.role in TERMS:
        totals = stage.role("train_loss")
        return bool(totals) and not any(s.non_finite for s in totals)
    return "loss" not in (series.role or "")


@rule("LOG109", "never-a-number", level="warning", since="0.1")
def never_a_number(
    stage: Stage,
    loss: TrainLoss | None,
    metrics: ValMetrics | None,
    *,
    fewest: float = 3.0,  # points: one or two may be of a start
) -> Iterator[Sick] | Unsure | None:
    """A metric, a term of the loss or the gradient norm was NaN each time it was logged.

    ## What it checks
    Metrics of evaluations, rewards, terms of a finite loss and gradient norms beside a finite loss whose every point is NaN.
    ## Why it matters
    The number was never measured: nothing can be chosen by it, and no rule can judge it. A term that is NaN is
    no part of the finite total that it stands beside.
    ## What to do
    Look for a division by zero: one class alone in the batch, an empty mask, a mean of nothing, a constant prediction.
    ## When to ignore it
    The metric is not computed in this run, and its logger writes NaN for it.
    ## Known limits
    One of several classes or sizes (the others are numbers), metrics of decoded texts, metrics of training and of a
    test that is not run are named as not checked only: there, NaN usually says that nothing was there to measure.
    ## References
    - scikit-learn documentation, `roc_auc_score`: undefined where only one class is present.
    """
    found = [s for s in stage.series if len(s) >= fewest and unmeasured(s, stage)]
    judged = {s.name for part in (loss, metrics) if part for s in part.series}
    told = [s for s in found if _telling(s, judged) and not _by_design(s, found, stage)]
    if told:
        return iter([_report(told)])
    if found:
        return Unsure(
            f"{', '.join(s.name for s in found[:4])} {'was' if len(found) == 1 else 'were'} NaN at every point:"
            " probably not computed in this run",
            "log it only where it is computed",
        )
    return None


def _learns(stage: Stage) -> bool:
    """Whether a training loss is finite to its end and changes: its gradients cannot have been NaN."""
    for one in stage.role("train_loss", "loss_term"):
        v = one.value
        if len(v) >= 10 and np.isfinite(v[-5:]).all() and np.any(v[-5:] != 0.0):
            part = max(3, len(v) // 5)
            first, last = float(np.nanmedian(v[:part])), float(np.nanmedian(v[-part:]))
            if last < first - 0.02 * abs(first):
                return True
    return False


def _telling(series: Series, judged: set[str]) -> bool:
    role = series.role or ""
    return (
        series.name in judged or role in TERMS or role in ("grad_norm", "reward") or role.startswith(("val_", "test_"))
    ) and series.split != "train"


def _kind(series: Series) -> tuple[str, ...]:
    """The words of a name that say what was measured, without its split."""
    return tuple(w for w in kind(series.name) if w not in GENERIC)


def _by_design(series: Series, found: Sequence[Series], stage: Stage) -> bool:
    """Whether a logger has a reason to write NaN: see the page's known limits."""
    mine = _kind(series)
    if DECODED.search("_".join(mine)):
        return True
    if series.role in TERMS or "loss" in mine:  # a branch of the model that is off: its loss and its metric
        own = set(mine) - {"loss"}
        return any(own & set(_kind(s)) and _kind(s) != mine for s in found if s is not series)
    if series.role in ("grad_norm", "reward"):
        return False
    numbers = [s for s in stage.series if s.non_finite < s.total and "loss" not in (s.role or "") and s.role]
    if any(_kind(s) == mine and s.split != series.split for s in numbers):
        return series.split in ("test", None)
    return any(set(mine) & set(_kind(s)) for s in numbers)


def _report(told: Sequence[Series]) -> Sick:
    worst = max(told, key=lambda s: (s.role == "reward", (s.role or "").startswith("val_"), s.total))
    names = ", ".join(s.name for s in told if s is not worst)
    term = worst.role in TERMS
    return Sick(
        f"{worst.name} is NaN at each of its {worst.total:,} points"
        + (f"; so {'is' if len(told) == 2 else 'are'} {names}" if names else "")
        + (", while the total loss is finite: it is no part of it" if term else ": it was never measured"),
        tuple(Measure(f"NaN points of {s.name}", s.non_finite, "points", s.where(0)) for s in told[:4]),
        since_step=float(worst.x()[min(2, len(worst) - 1)]) if worst.axis == "step" else None,
        innocent="it is not computed in this run, and the logger writes NaN for it",
        actions=(
            Action(f"Compute {worst.name} by hand on one batch: look for one class alone, an empty mask or a mean of nothing", "minutes", "measure"),
            Action(f"Choose no checkpoint by {worst.name}", "config", "change"),
        ),
    )  # fmt: skip


def sick() -> Iterator[Stage]:
    """An evaluation metric, a reward, a term of a finite loss and a gradient norm that never were numbers."""
    absent = np.full(40, np.nan)
    base = examples.decay(400)
    yield examples.stage(loss=base, val__loss=examples.decay(40), val__acc=np.linspace(0.3, 0.8, 40), val__auc=absent)
    yield examples.stage(loss=base, ep_rew_mean=np.full(400, np.nan))
    yield examples.stage(loss=base, loss_aux=np.full(400, np.nan), loss_cls=0.8 * base)
    yield examples.stage(loss=base, grad_norm=np.full(400, np.nan))


def healthy() -> Iterator[Stage]:
    """All numbers, also where the first evaluation was none."""
    base, rise = examples.decay(400), np.linspace(0.3, 0.8, 40)
    yield examples.stage(loss=base, val__auc=rise)
    yield examples.stage(loss=base, val__auc=np.concatenate([[np.nan], rise[1:]]))
