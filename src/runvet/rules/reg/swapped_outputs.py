"""REG105 swapped-outputs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.predictions import Pair, Predictions, judged
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.run import FloatArray, Run

MOST = 8  # outputs along the last axis for which all orders are compared


@rule("REG105", "swapped-outputs", level="critical", since="0.1", explains=("REG101", "REG102"))
def swapped_outputs(predictions: Predictions, *, follows: float = 0.7, own: float = 0.3) -> Sick | Unsure | None:
    """Outputs follow the truth of another output, or their own with the sign turned.

    ## What it checks
    The last axis of saved predictions (x, y, z …): each output is compared with each output of the truth. Critical
    where outputs correlate above 0.7 with another one's truth while below 0.3 with their own, or below -0.7 with
    their own.
    ## Why it matters
    The model is right in another frame: swapped axes, another handedness, another order of columns.
    ## What to do
    Compare the order and sign of the axes of data and targets, and of the code that computes the metric.
    ## When to ignore it
    Targets that mirror each other by nature.
    ## Known limits
    A rotation that is no exchange of axes is not recognised.
    ## References
    - Frames and signs: kwea123/nerf_pl#135, kwea123/ngp_pl#120.
    """
    pairs = [p for p in judged(predictions.pairs, fewest=30) if p.shape and 2 <= p.shape[-1] <= MOST]
    if not pairs:
        return Unsure("no saved predictions of 2 to 8 outputs", "save pred and gt with the outputs along the last axis")
    for pair in pairs:
        table = _correlations(pair)
        best = np.abs(table).argmax(axis=1)
        swapped = [
            i for i in range(len(table)) if best[i] != i and abs(table[i, best[i]]) > follows and abs(table[i, i]) < own
        ]
        turned = [i for i in range(len(table)) if table[i, i] < -follows]
        if len(swapped) >= 2 or turned:
            return _report(pair, table, swapped, turned)
    return None


def _correlations(pair: Pair) -> FloatArray:
    """Correlation of each output (rows) with the truth of each (columns), over samples and leading axes, (k, k)."""
    k = pair.shape[-1]
    p, t = pair.pred.reshape(-1, k), pair.true.reshape(-1, k)
    p, t = p - p.mean(axis=0), t - t.mean(axis=0)
    scale = np.sqrt((p**2).sum(axis=0))[:, None] * np.sqrt((t**2).sum(axis=0))[None]
    return np.asarray(np.divide(p.T @ t, scale, out=np.zeros((k, k)), where=scale > 0))


def _report(pair: Pair, table: FloatArray, swapped: list[int], turned: list[int]) -> Sick:
    shown = [
        f"output {i} follows the truth of output {int(np.abs(table[i]).argmax())} (correlation {table[i, np.abs(table[i]).argmax()]:.2f})"
        for i in swapped
    ]
    shown += [f"output {i} follows its own truth with the sign turned (correlation {table[i, i]:.2f})" for i in turned]
    return Sick(
        f"in {pair.name} {'; '.join(shown[:3])}",
        evidence=tuple(
            Measure(f"correlation of output {i} with its own truth", round(float(table[i, i]), 4), None, pair.where)
            for i in (swapped + turned)[:4]
        ),
        innocent="outputs that mirror each other by nature",
        actions=(
            Action(
                "Compare order and sign of the axes in the data, the targets and the metric's code: they differ",
                "config",
                "repair",
            ),
        ),
    )


def sick() -> Iterator[Run]:
    """x and y exchanged, one axis turned."""
    t = made.truth(200, 3, scale=2.0)
    noise = made.truth(200, 3, scale=0.3, seed=1)
    yield made.with_files({"predictions.npz": {"pred": t[:, [1, 0, 2]] + noise, "gt": t}})
    yield made.with_files({"predictions.npz": {"pred": t * np.array([1.0, -1.0, 1.0]) + noise, "gt": t}})


def healthy() -> Iterator[Run]:
    """Good predictions, outputs that are alike, predictions without any relation."""
    t = made.truth(200, 3, scale=2.0)
    noise = made.truth(200, 3, scale=0.3, seed=1)
    yield made.with_files({"predictions.npz": {"pred": t + noise, "gt": t}})
    alike = np.hstack([t[:, :1], t[:, :1] + noise[:, :1]])
    yield made.with_files({"predictions.npz": {"pred": alike + noise[:, :2], "gt": alike}})
