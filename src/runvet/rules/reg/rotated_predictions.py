"""REG110 rotated-predictions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.predictions import Pair, Predictions, judged
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules.reg._paths import turned
from runvet.run import FloatArray, Run
from runvet.statistics.rotations import Alignment, align, turned_each


@rule("REG110", "rotated-predictions", level="critical", since="0.1", explains=("REG101", "REG102", "REG108"))
def rotated_predictions(
    predictions: Predictions, *, wrong: float = 0.3, right: float = 0.75, spread: float = 0.5
) -> Sick | Unsure | None:
    """Predictions are right in another frame: one rotation, or one for each sample, makes them fit.

    ## What it checks
    Saved vectors or paths of two or three coordinates. One orthogonal map is fitted over all samples (Procrustes):
    critical where R² is below 0.3 as saved and above 0.75 after it. For plane paths also one rotation per sample:
    critical where the lengths of the paths are predicted, the directions are not, and the angles between are spread
    all around (circular concentration below 0.5).
    ## Why it matters
    A fixed rotation is a change of axes that one side missed. Directions that are lost sample by sample are targets
    in an absolute frame (or turned by the wrong heading): nothing in the input tells them, and no training can.
    ## What to do
    Compare the frame of targets and predictions; turn each target by its own heading, with the sign that brings the
    motion in front of the vehicle.
    ## When to ignore it
    Directions that truly cannot be told (rotation-invariant targets).
    ## Known limits
    An exchange or mirror of axes is told by `swapped-outputs`. Paths are turned about the origin.
    ## References
    - Schönemann 1966, doi 10.1007/BF02289451; Umeyama 1991, doi 10.1109/34.88573.
    """
    pairs = [p for p in judged(predictions.pairs, fewest=30) if p.shape and p.shape[-1] in (2, 3)]
    if not pairs:
        return Unsure(
            "no saved predictions of 2 or 3 coordinates", "save pred and gt with x, y (and z) along the last axis"
        )
    for pair in pairs:
        k = pair.shape[-1]
        fitted = align(pair.pred.reshape(-1, k), pair.true.reshape(-1, k))
        if fitted.before < wrong and fitted.after > right and not _exchange(fitted.matrix):
            return _all(pair, fitted)
        if k == 2 and len(pair.shape) == 2 and pair.shape[0] >= 3:
            found = _each(pair, wrong, right, spread)
            if found is not None:
                return found
    return None


def _exchange(matrix: FloatArray) -> bool:
    """Whether a map is an exchange of axes with signs, within about 8 degrees."""
    return bool((np.abs(matrix).max(axis=1) > 0.99).all())


def _all(pair: Pair, fitted: Alignment) -> Sick:
    kind = "a mirror and a rotation" if fitted.mirrored else f"a rotation of {fitted.angle:.4g} degrees"
    return Sick(
        f"predictions of {pair.name} fit the truth after {kind}: R² {fitted.before:.3f} as saved, {fitted.after:.3f} after it",
        (
            Measure("R² as saved", round(fitted.before, 4), None, pair.where),
            Measure("R² after one rotation of all", round(fitted.after, 4), None, f"{pair.n} samples"),
            Measure("angle", round(fitted.angle, 3), "degrees"),
        ),
        innocent="predictions are kept in another frame on purpose, and turned before use",
        actions=(Action(f"Find the rotation ({fitted.angle:.4g} degrees) that is applied to one side only: targets, predictions or the metric", "config", "repair"),),
    )  # fmt: skip


def _each(pair: Pair, wrong: float, right: float, spread: float) -> Sick | None:
    pred, true = pair.pred.reshape(pair.n, -1, 2), pair.true.reshape(pair.n, -1, 2)
    angle, turned = turned_each(pred, true)
    ends = [np.linalg.norm(x, axis=-1).max(axis=1) for x in (pred, true)]
    if min(float(e.std()) for e in ends) == 0:
        return None
    lengths = float(np.corrcoef(*ends)[0, 1])
    concentration = float(np.abs(np.mean(np.exp(1j * angle))))
    after = 1 - float(np.mean((turned - true) ** 2)) / pair.variance
    if pair.r2 >= wrong or after < right or lengths < 0.7 or concentration > spread:
        return None
    return Sick(
        f"{pair.name}: how far the paths go is predicted (correlation {lengths:.2f}), where to is not: R² {pair.r2:.3f}, and {after:.3f} once each path is turned by its own angle",
        (
            Measure("R² as saved", round(pair.r2, 4), None, pair.where),
            Measure("R² with each path turned by its own angle", round(after, 4), None, f"{pair.n} paths"),
            Measure("correlation of predicted and true lengths", round(lengths, 4)),
            Measure("circular concentration of the angles", round(concentration, 4), None, "1 all alike, 0 all around"),
        ),
        innocent="the direction cannot be told from the inputs by nature",
        actions=(Action("Bring the targets into the frame of each sample: subtract its position and turn by minus its heading, taken from the pose and not from the first step", "a restart", "repair"),),
    )  # fmt: skip


def _paths(n: int, seed: int = 0) -> FloatArray:
    """Plane paths ahead of the vehicle with various speeds and bends, (n, 12, 2)."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0.4, 4.5, 12)
    angle = rng.normal(0, 0.25, (n, 1)) * t / 4
    far = rng.uniform(3, 14, (n, 1)) * t
    return np.asarray(np.stack([far * np.cos(angle), far * np.sin(angle)], -1))


def sick() -> Iterator[Run]:
    """All turned by 50 degrees; three axes turned; targets that keep the heading of the world."""
    t = made.truth(200, 3, scale=2.0)
    q = np.linalg.qr(np.random.default_rng(5).standard_normal((3, 3)))[0]
    yield made.with_files({"predictions.npz": {"pred": t @ q + 0.1 * made.truth(200, 3, seed=1), "gt": t}})
    paths = _paths(200)
    centred = paths - paths.mean(axis=0)
    yield made.with_files({"predictions.npz": {"pred": turned(centred, np.full(200, np.radians(75))), "gt": centred}})
    heading = np.random.default_rng(2).uniform(-np.pi, np.pi, 200)
    yield made.with_files({"predictions.npz": {"pred": paths + 0.3 * made.truth(200, 24, seed=3).reshape(paths.shape), "gt": turned(paths, heading)}})  # fmt: skip


def healthy() -> Iterator[Run]:
    """Good paths, weak ones, vectors without any relation."""
    paths = _paths(200)
    noise = made.truth(200, 24, seed=3).reshape(paths.shape)
    yield made.with_files({"predictions.npz": {"pred": paths + noise, "gt": paths}})
    yield made.with_files({"predictions.npz": {"pred": 0.5 * (paths + paths.mean(axis=0)) + 2 * noise, "gt": paths}})
    t = made.truth(200, 3, scale=2.0)
    yield made.with_files({"predictions.npz": {"pred": 0.6 * t + made.truth(200, 3, seed=1), "gt": t}})
