"""REG120 learnable-not-learnt."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.targets import Learnability, Probes
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.run import FloatArray, Run


@rule(
    "REG120", "learnable-not-learnt", level="critical", since="0.1", explains=("REG101", "REG102", "LOSS104", "LOSS108")
)
def learnable_not_learnt(
    probes: Probes, *, dead: float = 0.02, learnable: float = 0.2, sure: float = 0.05
) -> Sick | Unsure | None:
    """The targets can be predicted from cheap features, and the model predicts no more than their mean.

    ## What it checks
    A ridge regression from cheap features of the data set (numbers, words, mean colours of pictures) to its targets,
    on held-out groups, with a permutation test. Critical where it reaches R² above 0.2 (p at most 0.05) and saved
    predictions of the model at most 0.02: the data are learnable, the model or its optimiser is at fault.
    ## Why it matters
    Both a broken target file and a broken optimiser give predictions near the mean. This separates them in a second,
    without training.
    ## What to do
    Leave the data alone. Overfit 64 samples; compare the scale of outputs with that of targets and learning rate;
    look for a frozen or detached part.
    ## When to ignore it
    The features of the table tell the answer, and the model does not get them.
    ## Known limits
    Needs 80 samples with numbers, words or pictures beside their targets.
    ## References
    - Hoerl, Kennard 1970, doi 10.1080/00401706.1970.10488634; permutation tests: Good 2005, doi 10.1007/b138696.
    """
    with_model = [one for one in probes.all if one.pair is not None]
    if not with_model:
        return Unsure("no saved predictions of the probed targets", "save pred and gt of the validation set")
    for one in with_model:
        pair = one.pair
        if pair is not None and pair.r2 <= dead and one.probe.r2 > learnable and one.probe.p <= sure:
            return _report(one)
    return None


def _report(one: Learnability) -> Sick:
    pair, target = one.pair, one.targets
    assert pair is not None
    low, high = np.quantile(pair.pred, [0.025, 0.975])
    t_low, t_high = np.quantile(pair.true, [0.025, 0.975])
    reach = float((high - low) / (t_high - t_low)) if t_high > t_low else float("nan")
    small = reach < 0.3
    return Sick(
        f"the model has R² {pair.r2:.3f} where a ridge regression from {', '.join(target.features[:3])} has {one.probe.r2:.2f} on held-out {'groups' if target.grouped else 'samples'}: the targets can be learnt, the model or its optimiser does not"
        + (f"; its outputs span {reach:.2g} of the targets' range" if small else ""),
        (
            Measure("R² of the model against the mean", round(pair.r2, 4), None, pair.where),
            Measure("R² of the ridge probe", round(one.probe.r2, 4), None, f"{target.where}, {one.probe.n} samples, {one.probe.features} features"),
            Measure("p of the probe (shuffled targets)", round(one.probe.p, 4)),
            Measure("error with shuffled pairs over own error", round(pair.shuffled, 4), None, "1 where the inputs carry nothing"),
            Measure("central 95 % range, predictions over truth", round(reach, 4)),
        ),
        innocent="the table's features tell the answer, and the model does not get them",
        actions=(
            Action("Repair the training, not the data: normalise the targets and raise the learning rate of the head until outputs reach the targets' scale" if small else
                   "Repair the training, not the data: check that inputs reach the head (frozen or detached parts, pairing of inputs and targets in the loader)", "a restart", "repair"),
            Action("Train on 64 samples until the error is near zero before any long run", "minutes", "measure"),
        ),
    )  # fmt: skip


def _records(n: int, seed: int = 0, *, torn: bool = False) -> tuple[list[dict[str, object]], FloatArray]:
    """Records with intent and speed beside a path that follows from them (`torn`: from nothing); and the paths (n, 9, 2)."""
    rng = np.random.default_rng(seed)
    t = np.arange(1, 10) / 2
    speed, turn = rng.uniform(2, 14, n), rng.integers(-1, 2, n)
    bend = 0.15 * turn[:, None] * t
    paths = np.stack([speed[:, None] * t * np.cos(bend), speed[:, None] * t * np.sin(bend)], -1)
    paths += rng.normal(0, 1, paths.shape) * 0.2
    if torn:
        paths = rng.uniform(-60, 60, paths.shape)
    names = ("turn right", "keep lane", "turn left")
    made_ = [{"id": i, "intent": names[int(turn[i]) + 1], "speed": float(speed[i]), "trajectory": paths[i].tolist()} for i in range(n)]  # fmt: skip
    return made_, paths


def sick() -> Iterator[Run]:
    """A head that stays near zero; the mean for every input, whose table has words only."""
    records, paths = _records(240)
    still = 0.2 * made.truth(240, 18, seed=3).reshape(paths.shape)
    yield made.with_files({"data/trajectories.json": records, "predictions.npz": {"pred": still, "gt": paths}})
    mean = paths.mean(axis=0) + still
    words = [{"text": f"a car at {round(float(r['speed']))} m/s, {r['intent']}", "trajectory": r["trajectory"]} for r in records]  # type: ignore[arg-type]  # fmt: skip
    yield made.with_files({"dataset/train.json": words, "predictions.npz": {"pred": mean, "gt": paths}})


def healthy() -> Iterator[Run]:
    """A model that learns; one that is weak where features say as little."""
    records, paths = _records(240)
    noise = made.truth(240, 18, seed=3).reshape(paths.shape)
    yield made.with_files({"data/trajectories.json": records, "predictions.npz": {"pred": paths + noise, "gt": paths}})
    weak = 0.5 * (paths + paths.mean(axis=0)) + 3 * noise
    yield made.with_files({"data/trajectories.json": records, "predictions.npz": {"pred": weak, "gt": paths}})
