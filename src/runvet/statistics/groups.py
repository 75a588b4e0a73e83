"""Whether several groups differ in level: the Kruskal-Wallis statistic by permutation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

SHUFFLES = 5_000


def groups_p(values: npt.ArrayLike, labels: Sequence[str], *, seed: int = 0) -> float:
    """p that values (n,) of groups named by `labels` (n,) differ in rank no more than shuffled ones do.

    Kruskal and Wallis 1952, doi 10.1080/01621459.1952.10483441, with 5,000 shuffles that are always the same and
    p = (hits + 1) / 5,001, which needs no large groups and allows for ties. 1.0 where there are fewer than two groups.
    """
    _, group, count = np.unique(list(labels), return_inverse=True, return_counts=True)
    if len(count) < 2:
        return 1.0
    _, place, ties = np.unique(np.asarray(values, np.float64), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(ties) - (ties - 1) / 2)[place]
    dealt = np.tile(ranks, (SHUFFLES, 1))
    np.random.default_rng(seed).permuted(dealt, axis=1, out=dealt)
    chosen = (group[:, None] == np.arange(len(count))).astype(np.float64)

    def spread(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(((rows @ chosen) ** 2 / count).sum(axis=-1))

    hits = int((spread(dealt) >= spread(ranks[None]) - 1e-9).sum())
    return (hits + 1) / (SHUFFLES + 1)
