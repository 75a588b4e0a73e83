"""REG109 abnormal-horizon-error."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.horizons import Horizon, Horizons
from runvet.rules import Action, Measure, Sick, rule
from runvet.rules._phrases import num
from runvet.run import FloatArray, Run


@rule("REG109", "abnormal-horizon-error", level="critical", since="0.1")
def abnormal_horizon_error(
    horizons: Horizons, *, skilled: float = 0.5, lost: float = -0.5, leap: float = 4.0, power: float = 3.5
) -> Iterator[Sick]:
    """The error of a predicted future grows with the distance ahead as no motion's error does.

    ## What it checks
    The error at each step ahead, from saved predictions or from metrics such as `L2@2.5s`. Critical where the first
    steps have skill (R² above 0.5 against the mean) and the last are far worse than the mean (below -0.5): a rollout
    that drifts away. Warnings: the median error leaps to four times that of the step before while the truth does not
    (padding, a seam between chunks); the first steps are far worse than the mean while the last are not (an offset,
    a shift by some steps); the error falls with the distance, or grows faster than its power 3.5.
    ## Why it matters
    One number over all steps hides where the prediction breaks, and definitions (error at a time, mean up to a time)
    that are mixed under one name differ by two to three times.
    ## What to do
    Draw error against steps ahead beside that of the mean and of constant velocity. Drift: train on the model's own
    predictions. A leap: look at what the targets hold at that step. A bad start: check the shift and the origin.
    ## When to ignore it
    A later step is easier by nature (a fixed end point, a daily period).
    ## Known limits
    Needs four steps in saved predictions, or three distances among the metrics.
    ## References
    - Bengio et al. 2015, arXiv 1506.03099 (drift of free-running models); definitions: hustvl/VAD#47.
    """
    for one in horizons.all:
        found = (
            _drift(one, skilled, lost) or _start(one, skilled) or _leap(one, leap)
            if len(one.skill)
            else _told(one, power)
        )
        if found is not None:
            yield found


def _curve(one: Horizon, *more: Measure) -> tuple[Measure, ...]:
    unit = f" {one.unit}" if one.unit else ""
    picked = sorted({0, len(one.ahead) // 2, len(one.ahead) - 1})
    return (
        *(Measure(f"error at {num(float(one.ahead[i]))}{unit}", float(f"{one.error[i]:.5g}"), None, one.where) for i in picked),
        *more,
    )  # fmt: skip


def _drift(one: Horizon, skilled: float, lost: float) -> Sick | None:
    tail = max(1, len(one.skill) // 6)
    first, last = float(one.skill[0]), float(np.median(one.skill[-tail:]))
    if not (first > skilled and last < lost and one.typical[-1] > 2 * one.typical[0]):
        return None
    at = int(np.argmax(one.skill < 0))
    return Sick(
        f"{one.name} is good at first and drifts away: R² against the mean is {first:.2f} at step 1, below 0 from step {at + 1}, {last:.2f} at the end",
        _curve(one, Measure("R² at the first step", round(first, 4)), Measure("R² at the last steps", round(last, 4)), Measure("first step worse than the mean", at + 1)),
        innocent="a chaotic system beyond its horizon, for which the mean is the best forecast",
        actions=(
            Action(f"Use no more than {at} steps of a prediction until this is repaired", "none", "keep"),
            Action("Train on the model's own predictions over several steps, or with noise on its inputs", "a restart", "change"),
        ),
    )  # fmt: skip


def _start(one: Horizon, skilled: float) -> Sick | None:
    first, last = float(one.skill[0]), float(one.skill[-1])
    if not (first < -1.0 and last > skilled and one.size[-1] > 0 and one.typical[0] > 0.5 * one.typical[-1]):
        return None
    return Sick(
        f"{one.name} is worse at its first step than the mean (R² {first:.2f}), and good at its last ({last:.2f}): the error hardly grows, from a median of {num(float(one.typical[0]))} to {num(float(one.typical[-1]))}",
        _curve(one, Measure("R² at the first step", round(first, 4)), Measure("R² at the last step", round(last, 4))),
        innocent="errors of the near steps are far below what matters for the use",
        actions=(Action("Check the origin of the paths and a shift by a few steps between prediction and truth", "minutes", "measure"),),
        level="warning",
    )  # fmt: skip


def _leap(one: Horizon, leap: float) -> Sick | None:
    error, size = one.typical, np.maximum(one.size, 1e-12)
    ratio = error[2:] / np.maximum(error[1:-1], 1e-12)
    own = size[2:] / size[1:-1]
    usual = np.quantile(error[1:-1] / np.maximum(error[:-2], 1e-12), 0.9)
    at = int(ratio.argmax())
    if not (ratio[at] > leap and ratio[at] > 2 * own[at] and ratio[at] > 2 * usual and error[at + 2] > 0.1 * size[-1]):
        return None
    step = at + 3
    return Sick(
        f"the median error of {one.name} leaps from {num(float(error[at + 1]))} at step {step - 1} to {num(float(error[at + 2]))} at step {step} of {len(error)}, while the truth goes on evenly",
        _curve(one, Measure("error over that of the step before", round(float(ratio[at]), 3), None, f"step {step}")),
        innocent="the truth changes its nature at that step",
        actions=(Action(f"Look at step {step} of ten targets and predictions: padding, a repeated last point, or a seam between chunks", "minutes", "repair"),),
        level="warning",
    )  # fmt: skip


def _told(one: Horizon, power: float) -> Sick | None:
    falls = bool(one.error[-1] < 0.9 * one.error[0]) and bool((np.diff(one.error) < 0).mean() > 0.6)
    with np.errstate(all="ignore"):
        grown = np.log(one.error[-1] / one.error[0]) / np.log(one.ahead[-1] / max(one.ahead[0], 1e-9))
    if not falls and not (one.ahead[0] > 0 and one.ahead[-1] >= 1.5 * one.ahead[0] and grown > power):
        return None
    unit = f" {one.unit}" if one.unit else ""
    what = "falls with the distance ahead" if falls else f"grows with the power {grown:.1f} of the distance ahead"
    return Sick(
        f"{one.name} {what}: {num(float(one.error[0]))} at {num(float(one.ahead[0]))}{unit}, {num(float(one.error[-1]))} at {num(float(one.ahead[-1]))}{unit}",
        _curve(one),
        innocent="later times are easier by nature, or these are no times",
        actions=(Action("Check the definition (error at a time, or mean up to it) and that each number comes from its own steps", "minutes", "measure"),),
        level="warning",
    )  # fmt: skip


def _paths(n: int, seed: int = 0) -> FloatArray:
    rng = np.random.default_rng(seed)
    t = np.linspace(0.3, 4.5, 15)[None, :, None]
    return np.asarray(rng.uniform(-14, 14, (n, 1, 2)) * t + rng.normal(0, 0.4, (n, 1, 2)) * t**2)


def sick() -> Iterator[Run]:
    """A rollout that drifts away, a last point of padding, an offset at the start, metrics that fall with time."""
    paths, t = _paths(200), np.arange(1, 16)[None, :, None]
    noise = made.truth(200, 2, seed=1)[:, None]
    drift = 0.02 * noise * np.exp(t / 1.6)
    yield made.with_files({"predictions.npz": {"pred": paths + drift, "gt": paths}})
    padded = paths + 0.1 * t * noise
    padded[:, -1] = 0
    yield made.with_files({"predictions.npz": {"pred": padded, "gt": paths}})
    yield made.with_files({"predictions.npz": {"pred": paths + 9 * noise, "gt": paths}})
    yield made.with_files({"eval/metrics.json": {"L2@2.5s": 3.1, "L2@3.5s": 2.4, "L2@4.5s": 2.0}})


def healthy() -> Iterator[Run]:
    """Errors that grow with the time, in predictions and in metrics; a shrunk prediction; a flat error of a place."""
    paths, t = _paths(200), np.arange(1, 16)[None, :, None]
    noise = made.truth(200, 2, seed=1)[:, None]
    yield made.with_files({"predictions.npz": {"pred": paths + 0.1 * t**1.3 * noise, "gt": paths}})
    yield made.with_files({"eval/metrics.json": {"l2": {"2.5s": 1.09, "3.5s": 1.12, "4.5s": 1.42}}})
    yield made.with_files({"predictions.npz": {"pred": 0.8 * paths + 0.3 * t * noise, "gt": paths}})
    yield made.with_files({"eval/metrics.json": {"hits@1": 0.4, "hits@3": 0.3, "recall@10": 0.2}, "predictions.npz": {"pred": paths + 40 + noise, "gt": paths + 40}})  # fmt: skip
