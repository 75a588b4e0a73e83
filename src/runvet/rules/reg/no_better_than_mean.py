"""REG102 no-better-than-mean."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.predictions import Predictions, judged
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.run import Run


@rule("REG102", "no-better-than-mean", level="critical", since="0.1")
def no_better_than_mean(predictions: Predictions, *, r2: float = 0.02, shuffled: float = 1.05) -> Sick | Unsure | None:
    """Predictions are no better than the mean of the truth, and carry nothing of their inputs.

    ## What it checks
    R² of saved predictions against the mean of each output, and the error when predictions are paired with the truth
    of other samples. Critical where R² is at most 0.02 and shuffling makes the error at most 5 % larger.
    ## Why it matters
    A range that looks right proves nothing: only a prediction that depends on its input has learnt something.
    ## What to do
    Check by hand that inputs and targets belong together (order, identity, frame of reference, windows across
    recordings). Then overfit 64 samples: if that fails the model or optimiser is at fault, else the data.
    ## When to ignore it
    Targets that nobody can predict, as a baseline.
    ## Known limits
    The file must hold many different inputs; predictions of one scene repeated look the same to this check.
    ## References
    - Permutation tests: Good 2005, doi 10.1007/b138696.
    """
    pairs = judged(predictions.pairs, fewest=30)
    if not pairs:
        return Unsure("fewer than 30 predictions whose truth varies", "save 100 or more predictions with their targets")
    bad = [
        p for p in pairs if p.r2 <= r2 and p.shuffled <= shuffled and abs(p.correlation) < max(0.2, 3 / np.sqrt(p.n))
    ]
    if not bad:
        return None
    worst = min(bad, key=lambda p: p.r2)
    rmse, mean = float(np.sqrt(worst.error)), float(np.sqrt(worst.variance))
    cause = "not even the mean is learnt" if worst.r2 < -0.1 else "the mean is all that is learnt"
    return Sick(
        f"predictions of {worst.name} have R² {worst.r2:.3f} against the mean, and an error {worst.shuffled:.2f} times their own with shuffled inputs: {cause}",
        evidence=(
            Measure("R² against the mean", round(worst.r2, 4), None, worst.where),
            Measure("root mean squared error", round(rmse, 4), None, f"{worst.n} samples"),
            Measure("the same for the constant mean", round(mean, 4)),
            Measure("error with shuffled pairs over own error", round(worst.shuffled, 4)),
            Measure("correlation, median over outputs", round(worst.correlation, 4)),
        ),
        innocent="nothing in the inputs could tell these targets",
        actions=(
            Action("Check by hand that 20 inputs and targets belong together: order, identity, frame of reference, units", "minutes", "repair"),
            Action("Train on 64 samples until the error is near zero: if that fails the model or optimiser is at fault, if it works the data are", "minutes", "measure"),
        ),
    )  # fmt: skip


def sick() -> Iterator[Run]:
    """The mean for every input, predictions of other samples, a spread that looks right without any relation."""
    t = made.truth(300, 4, scale=10.0, offset=3.0)
    yield made.with_files(
        {
            "predictions.npz": {
                "pred": np.tile(t.mean(axis=0), (300, 1)) + made.truth(300, 4, scale=0.1, seed=4),
                "gt": t,
            }
        }
    )
    yield made.with_files({"results/predictions.json": {"pred": np.roll(t, 7, axis=0).tolist(), "target": t.tolist()}})


def healthy() -> Iterator[Run]:
    """Good, mediocre and offset predictions."""
    t = made.truth(300, 4, scale=10.0, offset=3.0)
    yield made.with_files({"predictions.npz": {"pred": t + made.truth(300, 4, scale=2.0, seed=1), "gt": t}})
    yield made.with_files({"predictions.npz": {"pred": 0.4 * t + made.truth(300, 4, scale=5.0, seed=1), "gt": t}})
    yield made.with_files({"predictions.npz": {"pred": t + 30.0, "gt": t}})
