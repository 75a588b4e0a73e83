"""Samples of several steps against data: which step is nearest, and how sure so few samples make it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from runvet.artifacts.grouping import step_of
from runvet.artifacts.measuring import One
from runvet.artifacts.profile import Profile
from runvet.run import FloatArray

FEW = 4  # samples of a step below which resampling them says nothing
DATA = 10  # items of the data that make a spread
RESAMPLES = 2_000
# What an item is like, on scales on which equal differences mean as much at small values as at large ones.
LOOKS: dict[str, tuple[Callable[[One], float], ...]] = {
    "grids": (lambda i: float(np.log(i.filled * np.prod(i.shape) + 0.5)), lambda i: i.whole),
    "other": (lambda i: i.mean, lambda i: float(np.log(i.sd + 1e-3))),
}


@dataclass(frozen=True, slots=True)
class StepSamples:
    """The samples of one step (or epoch, see `axis`): the distance of each to the data, shape (n,), in the unit of who measured it."""

    step: float
    axis: str
    distances: FloatArray

    @property
    def median(self) -> float:
        """The median distance."""
        return float(np.median(self.distances))

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 90 % interval of the median distance; None for fewer than four samples."""
        return median_interval(self.distances)


def median_interval(values: FloatArray) -> tuple[float, float] | None:
    """5 % and 95 % of the medians of 2,000 resamples of values (n,), always the same (percentile bootstrap); None for n < 4."""
    if len(values) < FEW:
        return None
    picks = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.quantile(np.median(values[picks], axis=1), [0.05, 0.95])
    return float(low), float(high)


def ranked(samples: Profile, data: Profile) -> tuple[StepSamples, ...]:
    """The steps that the samples' names tell, nearest to the data first; empty for one step or fewer than ten items of data."""
    by: dict[tuple[float, str], list[One]] = defaultdict(list)
    for item in samples.items:
        step, axis = step_of(item.name)
        if step is not None:
            by[step, axis].append(item)
    if len(by) < 2 or len(data.items) < DATA or samples.kind != data.kind:
        return ()
    looks = LOOKS.get(samples.kind, LOOKS["other"])
    known = _looks(data.items, looks)
    middle = np.nanmedian(known, axis=0)
    spread = np.maximum(1.4826 * np.nanmedian(np.abs(known - middle), axis=0), 0.25 * np.nanstd(known, axis=0))
    spread = np.maximum(spread, 0.01 * np.maximum(np.abs(middle), 1.0))  # where all of the data are alike
    out = []
    for (at, counted), items in by.items():
        apart = np.maximum(np.abs(_looks(items, looks) - middle) / spread - 1, 0)
        out.append(StepSamples(at, counted, np.sqrt(np.nanmean(apart**2, axis=1))))
    return tuple(sorted(out, key=lambda r: (r.median, -r.step)))


def _looks(items: Sequence[One], looks: tuple[Callable[[One], float], ...]) -> FloatArray:
    return np.array([[look(i) for look in looks] for i in items], np.float64)
