"""REG103 wrong-unit."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.predictions import Pair, Predictions, judged
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.run import Run

UNITS = {
    1000.0: "metres and millimetres, or kilo",
    100.0: "metres and centimetres, or per cent",
    255.0: "pictures in 0..1 and in 0..255",
    180 / math.pi: "radians and degrees",
    3.6: "m/s and km/h",
    0.3048: "metres and feet",
    2.54: "centimetres and inches",
}


@rule("REG103", "wrong-unit", level="critical", since="0.1", explains=("REG101", "REG102", "REG120", "REG121"))
def wrong_unit(predictions: Predictions, *, correlation: float = 0.9, near: float = 0.04) -> Sick | Unsure | None:
    """Predictions follow the truth at another unit's scale.

    ## What it checks
    Where predictions and truth correlate above 0.9 and the slope between them is, within 4 %, one of the factors
    between common units (1000, 100, 255, 57.3, 3.6, 0.3048, 2.54) or the standard deviation of the truth, up or down; or where the standard
    deviations of four outputs in five are those of targets that each output normalises by itself (never scaled back,
    or twice).
    ## Why it matters
    The model may be right and every number that is reported wrong; or a metric that scales back hides it.
    ## What to do
    Find the one place where units are changed, and where the normalisation of the targets is undone.
    ## When to ignore it
    The file holds predictions in their own unit on purpose.
    ## Known limits
    Factors near one (feet and yards aside) cannot be told from a model that shrinks its predictions.
    ## References
    - Metrics scaled back while predictions were not: qile2000/LAMDA-TALENT#89.
    """
    pairs = judged(predictions.pairs)
    if not pairs:
        return Unsure("fewer than 20 predictions whose truth varies", "save 100 or more predictions with their targets")
    for pair in pairs:
        if abs(pair.correlation) < correlation or not pair.slope:
            continue
        # The fit both ways bounds the true factor from below and above.
        factor = pair.slope / pair.correlation
        found = next(
            ((u, text) for u, text in _candidates(pair) for f in (u, 1 / u) if abs(factor / f - 1) < near), None
        )
        found = found or _of_each_output(pair)
        if found is not None:
            return _report(pair, factor, found[1])
    return None


def _candidates(pair: Pair) -> Iterator[tuple[float, str]]:
    yield from UNITS.items()
    scale = float(np.median(pair.true.std(axis=0)))
    if scale and abs(math.log(scale)) > math.log(2):
        yield scale, f"normalised and original values (the standard deviation of the truth is {scale:.3g})"


def _of_each_output(pair: Pair) -> tuple[float, str] | None:
    """Each output in units of its own standard deviation, or scaled back twice, where those differ by factors."""
    told, true = pair.pred.std(axis=0), pair.true.std(axis=0)
    varied = true > 0
    if varied.sum() < 4 or np.quantile(true[varied], 0.9) < 3 * np.quantile(true[varied], 0.1):
        return None
    scale = float(np.median(true[varied]))
    for expected, what in (
        (np.ones_like(true), "normalised outputs that were never scaled back"),
        (true**2, "outputs that were scaled back twice"),
    ):
        ratio = told[varied] / expected[varied]
        if np.mean((ratio > 0.6) & (ratio < 1.6)) >= 0.8:
            return (
                scale,
                f"{what} (standard deviations of the truth from {true[varied].min():.3g} to {true.max():.3g}, output by output)",
            )
    return None


def _report(pair: Pair, factor: float, text: str) -> Sick:
    return Sick(
        f"predictions of {pair.name} are {factor:.4g} times the truth with correlation {pair.correlation:.3f}: the factor between {text}",
        evidence=(
            Measure("scale of predictions over truth", round(factor, 6), None, pair.where),
            Measure("correlation, median over outputs", round(pair.correlation, 4), None, f"{pair.n} samples"),
            Measure("R² as it stands", round(pair.r2, 4)),
        ),
        innocent="the file keeps predictions in their own unit on purpose",
        actions=(
            Action(
                f"Bring predictions and truth to one unit before they are compared ({factor:.4g} apart), in the one place where units change",
                "config",
                "repair",
            ),
        ),
    )


def sick() -> Iterator[Run]:
    """Millimetres, radians, predictions left normalised."""
    t = made.truth(200, 3, scale=2.0, offset=5.0)
    noise = made.truth(200, 3, scale=0.1, seed=1)
    yield made.with_files({"predictions.npz": {"pred": 1000 * (t + noise), "gt": t}})
    yield made.with_files({"results/predictions.npz": {"pred": np.radians(t + noise), "target": t}})
    wide = made.truth(200, 3, scale=41.0, offset=90.0)
    yield made.with_files({"predictions.npz": {"pred": (wide - 90) / 41 + 0.1 * noise, "gt": wide}})
    steps = made.truth(200, 1) * np.linspace(0.4, 30, 24) + 0.02 * made.truth(200, 24, seed=2)
    yield made.with_files({"predictions.npz": {"pred": steps / steps.std(axis=0), "gt": steps}})


def healthy() -> Iterator[Run]:
    """The right unit, predictions shrunk to 0.8, no relation."""
    t = made.truth(200, 3, scale=2.0, offset=5.0)
    noise = made.truth(200, 3, scale=0.2, seed=1)
    yield made.with_files({"predictions.npz": {"pred": t + noise, "gt": t}})
    yield made.with_files({"predictions.npz": {"pred": 5 + 0.8 * (t - 5) + noise, "gt": t}})
