"""REG121 unlearnable-targets."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.artifacts.profile import jump_ratios
from runvet.evidence.targets import Learnability, Probes
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules._phrases import percent
from runvet.rules.reg.learnable_not_learnt import _records
from runvet.run import Run


@rule(
    "REG121",
    "unlearnable-targets",
    level="critical",
    since="0.1",
    explains=("REG101", "REG102", "LOSS104", "LOSS108", "DATA107"),
)
def unlearnable_targets(
    probes: Probes, *, dead: float = 0.02, torn: float = 1.2, share: float = 0.3
) -> Sick | Unsure | None:
    """Neither the model nor any cheap feature predicts the targets, and the targets themselves are implausible.

    ## What it checks
    Three things that must agree: saved predictions with R² at most 0.02 against the mean, a ridge probe from the
    data set's own features with R² at most 0.02, and target paths of which three in ten jump from point to point
    (change of a step over its length above 1.2; unrelated points give 1.7).
    ## Why it matters
    Then the data are at fault, not the optimiser: no learning rate, loss, initialisation or normalisation changes
    that, and a model that memorises such targets proves nothing.
    ## What to do
    Rebuild the target file: points of one identity, in one recording, sorted by time, in the frame of the sample.
    ## When to ignore it
    Targets that are random by nature.
    ## Known limits
    Where targets look plausible, a probe without skill says little: the answer may be in the pictures alone.
    ## References
    - Targets of the first object of each frame: CarpeDiemYanXiao/V2X.
    """
    with_model = [one for one in probes.all if one.pair is not None]
    if not with_model:
        return Unsure("no saved predictions of the probed targets", "save pred and gt of the validation set")
    unsure = None
    for one in with_model:
        pair = one.pair
        if pair is None or pair.r2 > dead or one.probe.r2 > dead:
            continue
        jumps = _jumps(one)
        if jumps is not None and float(np.mean(jumps > torn)) >= share:
            return _report(one, jumps)
        unsure = Unsure(f"neither the model (R² {pair.r2:.3f}) nor a ridge probe from {', '.join(one.targets.features[:3])} (R² {one.probe.r2:.3f}) predicts the targets, which look plausible",
                        "train on 64 samples, and put speed, class or text of each sample beside its target")  # fmt: skip
    return unsure


def _jumps(one: Learnability) -> np.ndarray[tuple[int], np.dtype[np.float64]] | None:
    y = one.targets.y
    return jump_ratios(y) if y.ndim == 3 and y.shape[1] >= 5 and y.shape[2] in (2, 3) else None


def _report(one: Learnability, jumps: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Sick:
    pair, target = one.pair, one.targets
    assert pair is not None
    torn = float(np.mean(jumps > 1.2))
    return Sick(
        f"the targets of {target.where} cannot be learnt: {percent(torn)} of the paths jump from point to point, a ridge probe from {', '.join(target.features[:3])} has R² {one.probe.r2:.3f}, and so has the model ({pair.r2:.3f})",
        (
            Measure("paths that jump", round(torn, 4), "share", target.where),
            Measure("R² of the ridge probe", round(one.probe.r2, 4), None, f"{one.probe.n} samples, {one.probe.features} features"),
            Measure("R² of the model against the mean", round(pair.r2, 4), None, pair.where),
            Measure("error with shuffled pairs over own error", round(pair.shuffled, 4), None, "1 where the inputs carry nothing"),
        ),
        innocent="the targets are random by nature",
        actions=(Action("Rebuild the target file before touching model, loss or learning rate: one identity and one recording a path, sorted by time", "the data set", "repair"),),
    )  # fmt: skip


def sick() -> Iterator[Run]:
    """Points of different cars, predicted by their mean."""
    records, paths = _records(240, torn=True)
    still = 0.5 * made.truth(240, 18, seed=3).reshape(paths.shape)
    yield made.with_files({"data/trajectories.json": records, "predictions.npz": {"pred": still, "gt": paths}})


def healthy() -> Iterator[Run]:
    """A model that learns; targets that a ridge cannot tell and the model can."""
    records, paths = _records(240)
    noise = made.truth(240, 18, seed=3).reshape(paths.shape)
    yield made.with_files({"data/trajectories.json": records, "predictions.npz": {"pred": paths + noise, "gt": paths}})
    blind = [
        {"id": r["id"], "weather": ("wet", "dry")[i % 2], "trajectory": r["trajectory"]} for i, r in enumerate(records)
    ]
    yield made.with_files({"data/trajectories.json": blind, "predictions.npz": {"pred": paths + noise, "gt": paths}})
