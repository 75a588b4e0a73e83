"""REG123 absolute-frame-targets."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from runvet import examples_artifacts as made
from runvet.evidence.predictions import Pair, Predictions, judged
from runvet.rules import Action, Measure, Sick, Unsure, rule
from runvet.rules.reg._paths import turned
from runvet.run import FloatArray, Run


@rule("REG123", "absolute-frame-targets", level="critical", since="0.1", explains=("REG101", "REG102", "REG108"))
def absolute_frame_targets(
    predictions: Predictions, *, skilled: float = 0.3, motion: float = 0.05, place: float = 0.8, around: float = 0.25
) -> Sick | Unsure | None:
    """Paths are told in the frame of the world, and the model knows the place at best, not the motion.

    ## What it checks
    Saved paths of x and y (and z). Where begins make up 80 % of the variance of the truth: R² of the positions and R²
    of the motion (each path from its own first point) are told apart; critical where positions are below 0.3 and
    motion at most 0.05. Where paths begin at the origin: the directions at their end; critical where they point all
    around (circular concentration below 0.25) and R² is at most 0.05, which targets that are turned by the heading
    (with the right sign) do not.
    ## Why it matters
    Nothing in an image tells a position in the world: the model learns which place it is at, its range looks right
    (0.9 of the truth's), and it fails at every new place. No change to loss or learning rate helps.
    ## What to do
    Subtract each sample's own position, turn by minus its heading from the pose, and add both back at the end.
    ## When to ignore it
    Position and heading are among the inputs; motion that goes anywhere by nature (pedestrians, particles).
    ## Known limits
    Judged on saved predictions; the data alone do not tell what the model is given.
    ## References
    - Measured: site means explain 98.6 % of such targets' variance. Frames of agents: Gao et al. 2020, arXiv 2005.04259.
    """
    pairs = [
        p
        for p in judged(predictions.pairs, fewest=50)
        if len(p.shape) == 2 and p.shape[0] >= 4 and p.shape[1] in (2, 3)
    ]
    if not pairs:
        return Unsure("no 50 saved paths of two or three coordinates", "save pred and gt as (samples, steps, 2)")
    for pair in pairs:
        pred, true = (a.reshape(pair.n, *pair.shape) for a in (pair.pred, pair.true))
        found = _placed(pair, pred, true, skilled, motion, place) or _headed(pair, true, motion, around)
        if found is not None:
            return found
    return None


def _r2(pred: FloatArray, true: FloatArray) -> float:
    rest = float(np.mean((true - true.mean(axis=0)) ** 2))
    return 1 - float(np.mean((pred - true) ** 2)) / rest if rest > 0 else float("nan")


def _placed(pair: Pair, pred: FloatArray, true: FloatArray, skilled: float, motion: float, place: float) -> Sick | None:
    begin = float(np.mean(np.var(true[:, 0], axis=0)))
    share = begin / pair.variance
    moved = float(np.median(np.linalg.norm(true[:, -1] - true[:, 0], axis=-1)))
    if share < place or pair.r2 >= skilled or moved <= 0 or np.sqrt(begin) < moved:
        return None
    own = _r2(pred - pred[:, :1], true - true[:, :1])
    if not own <= motion:
        return None
    low, high = pair.spread
    return Sick(
        f"the targets of {pair.name} are positions in the world: where paths begin makes {share:.2f} of their variance (beginnings spread by {np.sqrt(begin):.3g}, paths are {moved:.3g} long), and the model predicts neither place (R² {pair.r2:.3f}) nor motion (R² {own:.3f})",
        (
            Measure("variance of the beginnings over that of the targets", round(share, 4), None, pair.where),
            Measure("R² of the positions", round(pair.r2, 4), None, f"{pair.n} paths"),
            Measure("R² of the motion from each path's own begin", round(own, 4)),
            Measure("length of a path, median", float(f"{moved:.4g}")),
            Measure("central 95 % range, predictions over truth", round(low / high, 4) if high else None, None, "looks right where only places are learnt"),
        ),
        innocent="position is among the inputs, and the model has not learnt to use it yet",
        actions=(Action("Build the targets in the frame of each sample: subtract its position and turn by minus its heading; add both back after prediction", "a restart", "repair"),),
    )  # fmt: skip


def _headed(pair: Pair, true: FloatArray, motion: float, around: float) -> Sick | None:
    if pair.r2 > motion:
        return None
    size = np.linalg.norm(true[..., :2], axis=-1)
    moving = size[:, -1] > 0.1 * np.quantile(size[:, -1], 0.9)
    if moving.sum() < 50 or np.median(size[:, 0]) > 0.35 * np.median(size[:, -1]):
        return None
    steps = np.linalg.norm(np.diff(true, axis=1), axis=-1).sum(axis=1)[moving]
    straight = float(np.median(size[moving, -1] / np.maximum(steps + size[moving, 0], 1e-12)))
    angle = np.arctan2(true[moving, -1, 1], true[moving, -1, 0])
    concentration = float(np.abs(np.mean(np.exp(1j * angle))))
    if concentration > around or straight < 0.7:
        return None
    return Sick(
        f"the targets of {pair.name} begin at each sample's own place and point all around (circular concentration {concentration:.2f}; 1 is all ahead), and the model is no better than the mean (R² {pair.r2:.3f}): they are not turned by the heading, or with the wrong sign",
        (
            Measure("circular concentration of the directions", round(concentration, 4), None, pair.where),
            Measure("paths that move", int(moving.sum()), None, f"of {pair.n}"),
            Measure("R² against the mean", round(pair.r2, 4)),
            Measure("distance over length of the path, median", round(straight, 4), None, "1 is straight"),
        ),
        innocent="the motion goes anywhere by nature, and the inputs do not tell where to",
        actions=(Action("Turn each target by minus its sample's heading (from the pose, not from the first step), and check that most then point ahead", "a restart", "repair"),),
    )  # fmt: skip


def _paths(n: int, seed: int = 0) -> tuple[FloatArray, FloatArray]:
    """Paths ahead of a vehicle (n, 12, 2), and headings (n,)."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0.4, 4.5, 12)
    angle = rng.normal(0, 0.15, (n, 1)) * t
    far = rng.uniform(3, 14, (n, 1)) * t
    return np.stack([far * np.cos(angle), far * np.sin(angle)], -1), rng.uniform(-np.pi, np.pi, n)


def sick() -> Iterator[Run]:
    """Positions in the world with the wrong site; paths that keep the heading of the world."""
    paths, heading = _paths(240)
    sites = np.random.default_rng(2).uniform(-300, 300, (8, 2))
    which = np.random.default_rng(3).integers(0, 8, (2, 240))
    world = turned(paths, heading) + sites[which[0]][:, None]
    guess = np.repeat(sites[which[1]][:, None], 12, axis=1) + made.truth(240, 24, scale=2.0).reshape(paths.shape)
    yield made.with_files({"predictions.npz": {"pred": guess, "gt": world}})
    noise = made.truth(240, 24, scale=0.5, seed=4).reshape(paths.shape)
    yield made.with_files({"predictions.npz": {"pred": noise, "gt": turned(paths, heading)}})


def healthy() -> Iterator[Run]:
    """Good predictions in both frames; a model in the world's frame that knows its place."""
    paths, heading = _paths(240)
    noise = made.truth(240, 24, scale=1.0, seed=4).reshape(paths.shape)
    yield made.with_files({"predictions.npz": {"pred": paths + noise, "gt": paths}})
    yield made.with_files({"predictions.npz": {"pred": turned(paths, heading) + noise, "gt": turned(paths, heading)}})
    sites = np.random.default_rng(2).uniform(-300, 300, (240, 1, 2))
    yield made.with_files({"predictions.npz": {"pred": paths + sites + 3 * noise, "gt": paths + sites}})
