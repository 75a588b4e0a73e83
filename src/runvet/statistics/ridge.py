"""Can anything predict the target? Ridge regression from cheap features, judged on held-out groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

PENALTIES = np.logspace(-3, 4, 15)  # of standardised features, per sample


@dataclass(frozen=True, slots=True)
class Probe:
    """R² against the training mean on held-out samples, over all outputs; `p` from shuffled targets; n samples, k features."""

    r2: float
    p: float
    n: int
    features: int


@dataclass(frozen=True, slots=True)
class Fold:
    """One part that is held out: masks, and the decomposition of the other part's standardised features."""

    held: npt.NDArray[np.bool_]
    u: Array
    s: Array
    vt: Array
    new: Array


def held_out_r2(x: Array, y: Array, groups: npt.NDArray[np.int64], *, folds: int = 5) -> float:
    """R² of ridge regression of `y` (n, m) on `x` (n, k), every group predicted by a fit that has not seen it.

    The penalty is chosen on the fitted part by generalised cross-validation (Golub, Heath, Wahba 1979,
    doi 10.1080/00401706.1979.10489751). The baseline is the mean of the fitted part, so that 0 means "no better than
    the mean", and a probe without any signal is a little below 0. NaN where the held-out targets do not vary.
    """
    return _r2(_parts(x, groups, folds), y)


def _parts(x: Array, groups: npt.NDArray[np.int64], folds: int) -> list[Fold]:
    names = np.unique(groups)
    fold_of = np.random.default_rng(0).permutation(len(names)) % min(folds, len(names))
    fold = fold_of[np.searchsorted(names, groups)]
    out = []
    for one in np.unique(fold):
        held = fold == one
        middle, scale = x[~held].mean(axis=0), x[~held].std(axis=0)
        scale = np.where(scale > 1e-12 * np.maximum(1.0, np.abs(middle)), scale, np.inf)
        u, s, vt = np.linalg.svd((x[~held] - middle) / scale, full_matrices=False)
        out.append(Fold(held, u, s, vt, (x[held] - middle) / scale))
    return out


def _r2(parts: list[Fold], y: Array) -> float:
    error = base = 0.0
    for part in parts:
        mean = y[~part.held].mean(axis=0)
        error += float(np.sum((y[part.held] - _fit(part, y[~part.held])) ** 2))
        base += float(np.sum((y[part.held] - mean) ** 2))
    return 1 - error / base if base > 0 else float("nan")


def _fit(part: Fold, y: Array) -> Array:
    """Predictions (p, m) of the held-out part by the ridge fit to `y` with the penalty of least generalised error."""
    mean, n = y.mean(axis=0), len(y)
    coordinates = part.u.T @ (y - mean)
    power = np.sum(coordinates**2, axis=1)
    best, chosen = np.inf, float(PENALTIES[-1])
    rest = float(np.sum((y - mean) ** 2) - power.sum())
    for penalty in PENALTIES * n / 100:
        shrink = part.s**2 / (part.s**2 + penalty)
        residual = rest + float(((1 - shrink) ** 2) @ power)
        left = 1 - (float(shrink.sum()) + 1) / n
        score = residual / left**2 if left > 0.01 else np.inf
        if score < best:
            best, chosen = score, float(penalty)
    weights = part.vt.T @ ((part.s / (part.s**2 + chosen))[:, None] * coordinates)
    return np.asarray(part.new @ weights + mean)


def probe(x: Array, y: Array, groups: npt.NDArray[np.int64] | None = None, *, shuffles: int = 39) -> Probe:
    """`held_out_r2` with a permutation test: `p` is the share of shuffled targets that are predicted as well.

    Groups (scenes, recordings) are held out together, and whole groups are shuffled where there are enough of them.
    """
    groups = np.arange(len(x)) if groups is None else groups
    parts = _parts(x, groups, 5)
    own = _r2(parts, y)
    rng = np.random.default_rng(1)
    better = sum(_r2(parts, y[_shuffled(groups, rng)]) >= own for _ in range(shuffles))
    return Probe(own, (1 + better) / (1 + shuffles), len(x), x.shape[1])


def _shuffled(groups: npt.NDArray[np.int64], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """An order in which blocks of neighbours (as long as a group is on average) change places, by a random rotation too."""
    n = len(groups)
    length = max(1, round(n / len(np.unique(groups))))
    by_group = np.argsort(groups, kind="stable")
    blocks = np.array_split(np.roll(by_group, int(rng.integers(n))), max(1, n // length))
    mixed = np.concatenate([blocks[int(i)] for i in rng.permutation(len(blocks))])
    out = np.empty(n, np.int64)
    out[by_group] = mixed
    return out
