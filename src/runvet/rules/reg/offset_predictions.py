"""REG107 offset-predictions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.predictions import Predictions, judged
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.run import Run


@rule("REG107", "offset-predictions", level="warning", since="0.1")
def offset_predictions(
    predictions: Predictions, *, offset: float = 0.5, correlation: float = 0.7
) -> Sick | Unsure | None:
    """Predictions follow the truth at a constant distance.

    ## What it checks
    Saved predictions that correlate above 0.7 with the truth at the right scale (slope 0.5 to 2), and whose mean
    error is more than half of a standard deviation of the truth and ten times its standard error.
    ## Why it matters
    Removing a constant is free; until then every metric is dominated by it.
    ## What to do
    Check the mean that is subtracted from the targets and added back, and the frame of reference.
    ## When to ignore it
    The validation set has another mean on purpose.
    ## Known limits
    Offsets that differ from sample to sample are not told.
    ## References
    - Normalisation undone with other statistics: SimpleTuner#211, deepsensor#28.
    """
    pairs = judged(predictions.pairs)
    if not pairs:
        return Unsure("fewer than 20 predictions whose truth varies", "save 100 or more predictions with their targets")
    for pair in pairs:
        error = pair.pred - pair.true
        size = error.mean(axis=0) / np.maximum(pair.true.std(axis=0), 1e-12)
        sure = np.abs(error.mean(axis=0)) > 10 * error.std(axis=0) / np.sqrt(pair.n)
        middle = float(np.median(np.where(sure, size, 0.0)))
        if pair.correlation > correlation and 0.5 < pair.slope < 2 and abs(middle) > offset:
            raw = float(np.median(error.mean(axis=0)))
            return Sick(
                f"predictions of {pair.name} lie {raw:+.4g} from the truth on average, {abs(middle):.2g} of its standard deviations, while they follow it (correlation {pair.correlation:.2f})",
                evidence=(
                    Measure("mean error, median over outputs", round(raw, 6), None, pair.where),
                    Measure("in standard deviations of the truth", round(middle, 4)),
                    Measure("R² as it stands", round(pair.r2, 4)),
                    Measure("correlation", round(pair.correlation, 4), None, f"{pair.n} samples"),
                ),
                innocent="the validation set has another mean on purpose",
                actions=(
                    Action(
                        f"Check the mean and the frame of reference that are taken off the targets and added back: {raw:+.4g} is missing",
                        "config",
                        "repair",
                    ),
                ),
            )
    return None


def sick() -> Iterator[Run]:
    """A constant on all outputs; the mean of the targets not added back."""
    t = made.truth(200, 3, scale=2.0, offset=9.0)
    yield made.with_files({"predictions.npz": {"pred": t + 3.0, "gt": t}})
    yield made.with_files({"predictions.npz": {"pred": t - 9.0 + made.truth(200, 3, scale=0.4, seed=2), "gt": t}})


def healthy() -> Iterator[Run]:
    """No offset, a small one, one that few samples cannot tell."""
    t = made.truth(200, 3, scale=2.0, offset=9.0)
    noise = made.truth(200, 3, scale=0.4, seed=2)
    yield made.with_files({"predictions.npz": {"pred": t + noise, "gt": t}})
    yield made.with_files({"predictions.npz": {"pred": t + 0.3 + noise, "gt": t}})
