"""REG102 no-better-than-mean."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.predictions import Pair, Predictions, judged
from runvet.evidence.targets import Probes
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules.reg.compressed_range import TEST
from runvet.run import Run


@rule("REG102", "no-better-than-mean", level="critical", since="0.1")
def no_better_than_mean(
    predictions: Predictions, probes: Probes | None, *, r2: float = 0.02, shuffled: float = 1.05
) -> Sick | Unsure | None:
    """Predictions are no better than the mean of the truth, and carry nothing of their inputs.

    ## What it checks
    R² of saved predictions against the mean of each output, and the error when predictions are paired with the truth
    of other samples. Critical where R² is at most 0.02 and shuffling makes the error at most 5 % larger. Told beside it:
    the constant median, other outputs of the same model that do learn, and what a ridge probe from cheap features of
    the data reaches.
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
    alive = [p for p in pairs if p.where == worst.where and p.r2 > 0.3]
    return _report(worst, alive, probes)


def _report(worst: Pair, alive: list[Pair], probes: Probes | None) -> Sick:
    rmse, mean = float(np.sqrt(worst.error)), float(np.sqrt(worst.variance))
    cause = "not even the mean is learnt" if worst.r2 < -0.1 else "the mean is all that is learnt"
    others = f", while {alive[0].name} (R² {alive[0].r2:.2f}) learns from the same inputs" if alive else ""
    told = next((one for one in (probes.all if probes else ()) if one.pair is worst), None)
    if told is not None:
        reached = "cheap features predict them" if told.probe.r2 > 0.2 else "cheap features tell no more"
        others += (
            f"; a ridge probe from {', '.join(told.targets.features[:3])} has R² {told.probe.r2:.2f}, so {reached}"
        )
    middle = float(np.mean(np.abs(worst.true - np.median(worst.true, axis=0))))
    own = float(np.mean(np.abs(worst.pred - worst.true)))
    return Sick(
        f"predictions of {worst.name} have R² {worst.r2:.3f} against the mean, and an error {worst.shuffled:.2f} times their own with shuffled inputs: {cause}{others}",
        evidence=(
            Measure("R² against the mean", round(worst.r2, 4), None, worst.where),
            Measure("root mean squared error", round(rmse, 4), None, f"{worst.n} samples"),
            Measure("the same for the constant mean", round(mean, 4)),
            Measure("mean absolute error", round(own, 4)),
            Measure("the same for the constant median", round(middle, 4)),
            Measure("error with shuffled pairs over own error", round(worst.shuffled, 4)),
            Measure("correlation, median over outputs", round(worst.correlation, 4)),
            *((Measure("R² of a ridge probe from cheap features", round(told.probe.r2, 4), None, f"{told.targets.where}, p {told.probe.p:.3g}"),) if told else ()),
            *(Measure(f"R² of {p.name}", round(p.r2, 4), None, p.where) for p in alive[:3]),
        ),
        innocent="nothing in the inputs could tell these targets",
        actions=(
            Action(f"Look at the head of {worst.name} alone: its structure, the frame and scale of its targets, and whether gradients reach it", "minutes", "repair") if alive else
            Action("Check by hand that 20 inputs and targets belong together: order, identity, frame of reference, units", "minutes", "repair"),
            Action(TEST, "minutes", "separate"),
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
    noise = made.truth(300, 4, scale=2.0, seed=1)
    still = np.tile(t.mean(axis=0), (300, 1)) + made.truth(300, 4, scale=0.1, seed=4)
    yield made.with_files(
        {
            "predictions.npz": {
                "pred_depth": t + noise,
                "gt_depth": t,
                "pred_pose": still,
                "gt_pose": np.roll(t, 9, axis=0),
            }
        }
    )


def healthy() -> Iterator[Run]:
    """Good, mediocre and offset predictions."""
    t = made.truth(300, 4, scale=10.0, offset=3.0)
    yield made.with_files({"predictions.npz": {"pred": t + made.truth(300, 4, scale=2.0, seed=1), "gt": t}})
    yield made.with_files({"predictions.npz": {"pred": 0.4 * t + made.truth(300, 4, scale=5.0, seed=1), "gt": t}})
    yield made.with_files({"predictions.npz": {"pred": t + 30.0, "gt": t}})
