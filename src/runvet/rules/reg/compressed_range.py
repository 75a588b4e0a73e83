"""REG101 compressed-range."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples
from runvet import examples_artifacts as made
from runvet.evidence.predictions import Pair, Predictions, judged
from runvet.evidence.ranges import RangeLines
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import num, percent
from runvet.run import Run, Stage

NORMALISED = (
    "normalize_targets",
    "normalise_targets",
    "target_mean",
    "target_std",
    "coord_scale",
    "output_scale",
    "label_std",
    "y_std",
)


@rule("REG101", "compressed-range", level="critical", since="0.1", explains=("REG102", "LOSS104", "LOSS108"))
def compressed_range(
    stage: Stage,
    predictions: Predictions | None,
    lines: RangeLines | None,
    *,
    narrow: float = 0.5,
    critical: float = 0.33,
    weak: float = 0.5,
) -> Sick | Unsure | None:
    """Predictions span a small part of the range of the truth.

    ## What it checks
    The central 95 % range of predictions over samples against the truth's, per output, from saved predictions; or the
    ranges that debug lines print. Critical below a third with R² below one half. The causes are told apart: order
    right and scale wrong (correlation), an output layer that saturates, a model that does not even give the mean
    (R² well below zero: scale of outputs, learning rate or loss), one that gives the mean only (R² near zero: the
    targets may not be predictable from the inputs).
    ## Why it matters
    Such a model has not learnt the task, however calm its loss looks.
    ## What to do
    Where the predictions do not follow the truth, separate data from optimiser first: 64 samples must be learnt to zero
    error. Only if they cannot, normalise the targets by their mean and standard deviation, initialise the last layer to
    that scale and check the learning rate of the head; if they can, check by hand that targets belong to their inputs.
    ## When to ignore it
    Targets that are mostly noise: a good model then predicts a narrow range, with R² equal to the ratio of variances.
    ## Known limits
    Ranges from debug lines are those of single batches; they count only where at least five lines agree.
    ## References
    - Failure report: lzx551402/Time-series-prediction#3; regression to the mean: Galton 1886.
    """
    pairs = judged(predictions.pairs) if predictions else []
    sick = [
        p
        for p in pairs
        if p.spread[1] > 0 and p.spread[0] < narrow * p.spread[1] and p.r2 < weak and not _calibrated(p)
    ]
    if sick:
        return _from_pairs(min(sick, key=lambda p: p.spread[0] / p.spread[1]), stage, lines, critical)
    if pairs:
        return None
    if lines is None:
        return Unsure(
            "too few saved predictions, and no ranges in the log", "save 100 or more predictions with their targets"
        )
    if len(lines.events) < 5:
        return Unsure(f"{len(lines.events)} lines print ranges", "print the ranges of at least five batches")
    ratio = float(np.median(lines.ratio))
    late = float(np.median(lines.ratio[len(lines.ratio) // 2 :]))
    return _from_lines(lines, ratio, stage, critical) if max(ratio, late) < critical else None


def _calibrated(pair: Pair) -> bool:
    """Whether the predictions are as narrow as their own skill allows: ratio of variances near a clearly positive R²."""
    ratio = float(np.mean(pair.pred.var(axis=0)) / pair.variance)
    return bool(pair.r2 > 0.05 and 0.5 < ratio / pair.r2 < 2.0)


TEST = (
    "Train on 64 samples until the loss is near zero, before any remedy: if predictions cannot reach even these, the model or"
    " optimiser is at fault (scale of the output, learning rate); if they can, the targets do not belong to the inputs"
)


def _cause(pair: Pair) -> tuple[str, str, bool]:
    """What the numbers say about the cause, what to do about it, and whether that is certain without a test."""
    low, high = pair.pred.min(), pair.pred.max()
    edge = 1e-3 * (high - low)
    at_edge = float(np.mean((pair.pred <= low + edge) | (pair.pred >= high - edge)))
    if high == low:
        return (
            "every prediction is the same",
            "Repair the output first: every prediction is the same number; look for a dead last layer or a learning rate of zero",
            True,
        )
    if pair.correlation > 0.7:
        return (
            f"they follow the truth (correlation {pair.correlation:.2f}) at the wrong scale",
            f"Repair the scale of the output: predictions follow the truth with slope {pair.slope:.2g}; undo the normalisation, or train longer",
            True,
        )
    if at_edge > 0.2:
        return (
            f"{percent(at_edge)} of them lie at their own extremes",
            "Repair the last layer: its activation or clamp cannot reach the range of the targets; normalise the targets into it",
            True,
        )
    if pair.r2 < -0.1:
        return (
            f"they are worse than the constant mean (R² {pair.r2:.2f}) and do not follow the truth (correlation {pair.correlation:.2f})",
            "If 64 samples cannot be learnt: normalise the targets (mean 0, standard deviation 1, undone at prediction) and give the head a"
            " learning rate that reaches their scale; not even the mean was learnt",
            False,
        )
    return (f"they are no better than the mean (R² {pair.r2:.3f})",
            "Check the targets against the inputs by hand before changing the model: predictions near the mean are what unpredictable targets give", False)  # fmt: skip


def _from_pairs(pair: Pair, stage: Stage, lines: RangeLines | None, critical: float) -> Sick:
    said, do, certain = _cause(pair)
    ratio = pair.spread[0] / pair.spread[1]
    whole = [float(v) for v in (pair.pred.min(), pair.pred.max(), pair.true.min(), pair.true.max())]
    scale = float(np.sqrt(pair.variance))
    unscaled = stage.setting(*NORMALISED) is None and max(abs(whole[2]), abs(whole[3])) >= 10
    return Sick(
        f"predictions span [{whole[0]:.4g}, {whole[1]:.4g}], the truth [{whole[2]:.4g}, {whole[3]:.4g}]: {ratio:.2f} of its central range; {said}",
        evidence=(
            Measure("lowest prediction", round(whole[0], 6), None, pair.where),
            Measure("highest prediction", round(whole[1], 6), None, pair.where),
            Measure("lowest true value", round(whole[2], 6), None, pair.where),
            Measure("highest true value", round(whole[3], 6), None, pair.where),
            Measure("central 95 % range, predictions over truth", round(ratio, 4), None, f"median over outputs, {pair.n} samples"),
            Measure("R² against the mean", round(pair.r2, 4)),
            Measure("slope of predictions on the truth", round(pair.slope, 4)),
            Measure("error with shuffled pairs over own error", round(pair.shuffled, 4), None, "1 where the inputs carry nothing"),
            Measure("standard deviation of the truth", round(scale, 4), None, "no setting names a normalisation" if unscaled else None),
            *((Measure("ranges printed in the log, ratio", round(float(np.median(lines.ratio)), 4), None, lines.events[0].where),) if lines else ()),
        ),
        innocent="the targets are mostly noise, and a narrow range is the best that can be predicted",
        actions=(
            Action(TEST, "minutes", "measure" if certain else "separate"),
            Action(do, "a restart" if certain or pair.r2 < -0.1 else "minutes", "repair"),
        ),
        level=None if ratio < critical else "warning",
    )  # fmt: skip


def _from_lines(lines: RangeLines, ratio: float, stage: Stage, critical: float) -> Sick:  # noqa: ARG001
    t, p, last = lines.true, lines.pred, lines.events[-1]
    unscaled = stage.setting(*NORMALISED) is None
    return Sick(
        f"predictions span [{num(float(p[:, 0].min()))}, {num(float(p[:, 1].max()))}], the truth [{num(float(t[:, 0].min()))}, {num(float(t[:, 1].max()))}]:"
        f" a median of {ratio:.2f} of its range over {len(lines.events)} printed lines",
        evidence=(
            Measure("lowest prediction", float(p[:, 0].min()), None, lines.events[int(p[:, 0].argmin())].where),
            Measure("highest prediction", float(p[:, 1].max()), None, lines.events[int(p[:, 1].argmax())].where),
            Measure("lowest true value", float(t[:, 0].min()), None, lines.events[int(t[:, 0].argmin())].where),
            Measure("highest true value", float(t[:, 1].max()), None, lines.events[int(t[:, 1].argmax())].where),
            Measure("range of predictions over range of truth, median", round(ratio, 4), None, last.where),
        ),
        since_step=lines.events[0].step,
        innocent="the printed batches hold outliers that no model should follow",
        actions=(
            Action("Normalise the targets to mean 0 and standard deviation 1 and undo it at prediction; initialise the last layer to their scale"
                   if unscaled else "Check that predictions are brought back from normalised units before they are compared", "a restart", "repair"),
            Action("Save predictions with their targets and look at R² against the mean before training on", "minutes", "measure"),
        ),
    )  # fmt: skip


def sick() -> Iterator[Run]:
    """Predictions near zero, the right order at a tenth of the scale, a saturating head, ranges in debug lines only."""
    t = made.truth(240, 9, scale=40.0, offset=-50.0)
    noise = made.truth(240, 9, scale=4.0, seed=1)
    yield made.with_files({"predictions.npz": {"pred": noise, "gt": t}})
    yield made.with_files({"eval/predictions.npz": {"pred": 0.1 * t + 0.1 * noise, "gt": t}})
    yield made.with_files({"preds.npy": {"array": np.tanh(t / 40) * 5}, "targets.npy": {"array": t}})
    text = "[Range] GT: [-137.3, {}.0] | Pred: [-10.1, 20.2] | Loss: 66.8"
    events = [examples.event("range", text.format(50 + i), line=i) for i in range(8)]
    yield examples.run(examples.stage(loss=examples.decay(100), events=events, console=True))


def healthy() -> Iterator[Run]:
    """Good predictions, noisy targets predicted as well as can be, classes, ranges that fit."""
    t = made.truth(240, 9, scale=40.0, offset=-50.0)
    noise = made.truth(240, 9, scale=4.0, seed=1)
    yield made.with_files({"predictions.npz": {"pred": t + noise, "gt": t}})
    signal = made.truth(400, 1, scale=1.0)
    yield made.with_files({"predictions.npz": {"pred": signal, "gt": signal + made.truth(400, 1, scale=2.5, seed=2)}})
    events = [examples.event("range", f"[Range] GT: [-1.3, {i}.0] | Pred: [-1.1, {i}.2]", line=i) for i in range(8)]
    yield examples.run(examples.stage(loss=examples.decay(100), events=events, console=True))
