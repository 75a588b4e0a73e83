"""Two sets side by side: samples against data, a new data set against an old one. Facts with their uncertainty, no verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from runvet.artifacts.measuring import One
from runvet.artifacts.profile import Profile
from runvet.run import FloatArray
from runvet.statistics.two_samples import mann_whitney


@dataclass(frozen=True, slots=True)
class Difference:
    """One measure of two sets: medians, counts, and the two-sided p-value of the Mann-Whitney test.

    `label` is the class that is compared, empty for all items. `smallest` is the smallest p that so few can give.
    """

    what: str
    label: str
    first: float
    second: float
    n: int
    m: int
    p: float

    @property
    def ratio(self) -> float:
        """First median over second; NaN where the second is zero."""
        return self.first / self.second if self.second else float("nan")


MEASURES: dict[str, Callable[[One], float]] = {
    "filled cells": lambda i: float(np.round(i.filled * float(np.prod(i.shape)))),
    "largest part's share": lambda i: i.whole,
    "mean": lambda i: i.mean,
    "standard deviation": lambda i: i.sd,
    "lowest value": lambda i: i.low,
    "highest value": lambda i: i.high,
}


def compare(first: Profile, second: Profile) -> tuple[Difference, ...]:
    """Every measure of two profiles, for all items and for each class that both have."""
    both = [label for label in first.labels if label in second.labels]
    out = []
    for label in ["", *(both if len(both) > 1 else [])]:
        parts = [[i for i in p.items if not label or i.label == label] for p in (first, second)]
        for what, measure in MEASURES.items():
            a, b = (_finite(part, measure) for part in parts)
            if len(a) and len(b):
                out.append(
                    Difference(
                        what, label, float(np.median(a)), float(np.median(b)), len(a), len(b), mann_whitney(a, b)
                    )
                )
    return tuple(out)


def _finite(items: list[One], measure: Callable[[One], float]) -> FloatArray:
    values = np.array([measure(i) for i in items], np.float64)
    return values[np.isfinite(values)]


def shared(first: Profile, second: Profile) -> tuple[tuple[str, str], ...]:
    """Items of the first set whose content the second holds too: (name, name)."""
    known = {i.digest: i.name for i in second.items}
    return tuple((i.name, known[i.digest]) for i in first.items if i.digest in known)
