"""REG106 clipped-predictions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.predictions import Predictions, judged
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import percent
from runvet.run import Run


@rule("REG106", "clipped-predictions", level="warning", since="0.1")
def clipped_predictions(predictions: Predictions, *, piled: float = 0.1, beyond: float = 0.1) -> Sick | Unsure | None:
    """Many predictions equal one bound, and the truth goes beyond it.

    ## What it checks
    How many saved predictions of one output stack equal its highest or lowest value exactly, while at least as many
    true values lie beyond that value. A warning where both are above a tenth.
    ## Why it matters
    An activation or clamp cuts the answer off: no training can reach the truth behind it.
    ## What to do
    Remove the clamp, use a linear last layer, or normalise the targets into its range.
    ## When to ignore it
    The bound is a physical one and the truth is measured with noise.
    ## Known limits
    A soft saturation without equal values is not seen here (see `compressed-range`).
    ## References
    - A sigmoid head on unbounded targets: failure report of CrossViViT#5.
    """
    pairs = judged(predictions.pairs)
    if not pairs:
        return Unsure("fewer than 20 predictions whose truth varies", "save 100 or more predictions with their targets")
    for pair in pairs:
        for word, bound, over in (
            ("highest", pair.pred.max(), pair.true > pair.pred.max()),
            ("lowest", pair.pred.min(), pair.true < pair.pred.min()),
        ):
            equal, out = float(np.mean(pair.pred == bound)), float(np.mean(over))
            if equal > piled and out > beyond and pair.pred.max() > pair.pred.min():
                return Sick(
                    f"{percent(equal)} of the predictions of {pair.name} equal their {word} value {bound:.4g}, and {percent(out)} of the truth lies beyond it",
                    evidence=(
                        Measure(f"predictions equal to the {word} one", round(equal, 4), "share", pair.where),
                        Measure("true values beyond it", round(out, 4), "share"),
                        Measure(f"{word} prediction", float(bound)),
                    ),
                    innocent="the bound is physical and the truth is measured with noise",
                    actions=(
                        Action(
                            f"Remove the activation or clamp at {bound:.4g}, or normalise the targets into its range",
                            "a restart",
                            "repair",
                        ),
                    ),
                )
    return None


def sick() -> Iterator[Run]:
    """A clamp in the middle of the truth, a sigmoid's zero."""
    t = made.truth(200, 3, scale=2.0)
    yield made.with_files({"predictions.npz": {"pred": np.minimum(t, 0.5), "gt": t}})
    yield made.with_files({"predictions.npz": {"pred": np.maximum(t + 0.5, 0.0), "gt": t}})


def healthy() -> Iterator[Run]:
    """No bound; a bound that the truth has too."""
    t = made.truth(200, 3, scale=2.0)
    yield made.with_files({"predictions.npz": {"pred": t + made.truth(200, 3, scale=0.2, seed=3), "gt": t}})
    rain = np.maximum(t, 0.0)
    yield made.with_files({"predictions.npz": {"pred": np.maximum(t + 0.1, 0.0), "gt": rain}})
