"""RES108 best-by-median."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from runvet import examples
from runvet.evidence.declared_best import DeclaredBest
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import num, place, since
from runvet.run import FloatArray, Series, Stage


@rule("RES108", "best-by-median", level="warning", since="0.1", explains=("LOSS105",))
def best_by_median(
    stage: Stage,
    best: DeclaredBest,
    *,
    worse: float = 0.05,  # share of the best mean: less is a matter of taste
    fewest: float = 4,  # evaluations
) -> Sick | Unsure | None:
    """The best checkpoint was chosen by the median of the batches, and is not the best by their mean.

    ## What it checks
    Logs of the kind `loss: median (mean)`: where the value declared as the best stands in the curve of medians and not
    in that of means, the mean at this point against the best mean: told where it is 5 % worse, with at least four
    evaluations.
    ## Why it matters
    A median does not see the batches that go wrong: a few scenes on which the model fails can get worse and worse while
    the checkpoint is called the best.
    ## What to do
    Choose by the mean over samples; look at the batches that pull the mean up.
    ## When to ignore it
    The batches that pull the mean up are known to be broken.
    ## Known limits
    Needs both curves and the declared value.
    ## References
    - DUSt3R and MapAnything print and choose by such medians (naver/dust3r, croco/utils/misc.py).
    """
    found = list(_pairs(stage))
    if not found:
        return Unsure("no held-out curve of medians beside its means")
    for middle, mean in found:
        if min(len(middle), len(mean)) < fewest or len(middle) != len(mean):
            continue
        digits = len(f"{best.value:.12g}".partition(".")[2])
        here = np.flatnonzero(np.abs(middle.value - best.value) <= 0.51 * 10.0**-digits)
        if not len(here) or np.any(np.abs(mean.value - best.value) <= 0.51 * 10.0**-digits):
            continue
        at, top = int(here[-1]), int(np.argmin(mean.value))
        if mean.value[at] - mean.value[top] > worse * abs(mean.value[top]):
            return _report(middle, mean, at, top, best)
    return None


def _pairs(stage: Stage) -> Iterator[tuple[Series, Series]]:
    """Held-out curves of medians with those of means."""
    by_name = {s.name: s.finite() for s in stage.series}
    for name, series in by_name.items():
        other = by_name.get(f"{name} (mean)") or (
            by_name.get(name.replace("median", "mean")) if "median" in name else None
        )
        if other is not None and other.role in ("val_loss", "test_loss"):
            yield series, other


def _report(middle: Series, mean: Series, at: int, top: int, best: DeclaredBest) -> Sick:
    then, true = (place(mean.axis, float(mean.x()[i])) for i in (at, top))
    return Sick(
        f"the best model is declared at a median of {num(best.value)} ({then}), where the mean of {middle.name} is"
        f" {num(float(mean.value[at]))}; the best mean is {num(float(mean.value[top]))} at {true}",
        (
            Measure("median declared as the best", best.value, None, best.event.where),
            Measure("mean there", float(mean.value[at]), None, mean.where(at)),
            Measure("best mean", float(mean.value[top]), None, mean.where(top)),
        ),
        since(mean, float(mean.x()[at])),
        "the batches that pull the mean up are known to be broken",
        (
            Action(
                "Look at the held-out batches with the largest loss before choosing: the batch in the middle improves while"
                " the mean gets worse, which a few broken labels or items of another kind do",
                "minutes",
                "measure",
            ),
            Action(f"If those batches count, use the checkpoint nearest to {true}", "minutes", "keep"),
        ),
    )


def _stage(medians: FloatArray, means: FloatArray, declared: float) -> Stage:
    event = examples.event("best", f"New best model: {declared:g}", value=declared)
    made = examples.stage(loss=examples.decay(200), val_loss=means, events=[event], console=True)
    held = next(s for s in made.series if s.role == "val_loss")
    twin = replace(held, name="val_loss", value=medians, role="metric")
    rest = tuple(replace(s, name="val_loss (mean)") if s is held else s for s in made.series)
    return replace(made, series=(*rest, twin))


def sick() -> Iterator[Stage]:
    """The mean rises while the median falls."""
    falling = np.round(np.linspace(0.9, 0.3, 10), 4)
    yield _stage(falling, np.round(np.linspace(1.0, 2.0, 10), 4), 0.3)
    yield _stage(falling, np.concatenate([np.linspace(2.0, 1.0, 5), np.linspace(1.1, 1.6, 5)]).round(4), 0.3)


def healthy() -> Iterator[Stage]:
    """Both fall; chosen by the mean; nearly the same."""
    falling = np.round(np.linspace(0.9, 0.3, 10), 4)
    yield _stage(falling, np.round(falling + 0.11, 4), 0.3)
    yield _stage(falling, np.round(np.linspace(1.0, 2.0, 10), 4), 1.0)
    yield _stage(falling, np.append(np.linspace(2.0, 1.0, 9), 1.02).round(4), 0.3)
