"""Measures with the references that give them meaning: copying, marginals, the uniform guess, true actions."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Labels: TypeAlias = npt.NDArray[np.integer]


def psnr(made: npt.NDArray[np.floating], truth: npt.NDArray[np.floating]) -> float:
    """Peak signal-to-noise ratio in dB of pictures in 0 .. 1, from the squared error over all of them."""
    error = float(np.mean((made.astype(np.float64) - truth) ** 2))
    return 10 * math.log10(1 / max(error, 1e-10))


def entropy(labels: Labels) -> float:
    """Entropy in nats of how often each label occurs."""
    share = np.unique(labels, return_counts=True)[1] / labels.size
    return float(-(share * np.log(share)).sum()) + 0.0  # no negative zero


def nmi(one: Labels, other: Labels) -> float:
    """Mutual information over the mean of both entropies: 0 unrelated, 1 the same up to names; 0 where one is constant."""
    table = contingency(one, other) / one.size
    rows, columns = table.sum(1, keepdims=True), table.sum(0, keepdims=True)
    seen = table > 0
    shared = float((table[seen] * np.log(table[seen] / (rows @ columns)[seen])).sum())
    mean = (entropy(one) + entropy(other)) / 2
    return max(shared / mean, 0.0) if mean > 0 else 0.0


def ari(one: Labels, other: Labels) -> float:
    """Rand index adjusted for chance (Hubert and Arabie, 1985): 0 by chance, 1 the same partition."""
    table = contingency(one, other)
    together, rows, columns = (float((n * (n - 1) / 2).sum()) for n in (table, table.sum(1), table.sum(0)))
    chance = rows * columns / (one.size * (one.size - 1) / 2)
    most = (rows + columns) / 2
    return (together - chance) / (most - chance) if most != chance else 0.0


def contingency(one: Labels, other: Labels) -> npt.NDArray[np.float64]:
    """How often each pair of labels occurs together."""
    rows, columns = np.unique(one, return_inverse=True)[1], np.unique(other, return_inverse=True)[1]
    table = np.zeros((rows.max() + 1, columns.max() + 1))
    np.add.at(table, (rows, columns), 1)
    return table


def visible_ceiling(actions: Labels, visible: npt.NDArray[np.bool_]) -> float:
    """The NMI with the true actions of somebody who reads every move off the picture, and takes the others for noop."""
    return nmi(np.where(visible, actions, 0), actions)


def codes_of(codes: Labels, actions: Labels, visible: npt.NDArray[np.bool_], names: int) -> list[int]:
    """For each true action the latent code that stands for it most purely, among codes that occur with it.

    Purity is the share of the code's frames with this action, shrunk for codes that are rare.
    """
    seen = visible | (actions == 0)
    table = np.zeros((names, int(codes.max()) + 1))
    np.add.at(table, (actions[seen], codes[seen]), 1)
    share = table / table.sum(1, keepdims=True).clip(1)
    return [int(row) for row in (share / (share.sum(0) + 0.02)).argmax(1)]
