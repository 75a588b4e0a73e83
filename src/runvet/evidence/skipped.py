"""Optimiser steps that were skipped because gradients were not finite, as a count that the program logs."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from runvet.evidence import Missing, provides
from runvet.evidence.curves import measured
from runvet.run import FloatArray, Series, Stage

# `number of skipped iterations`, `skipped_steps`, DeepSpeed's `skipped`; `found_inf` is 0 or 1 a step.
NAMES = re.compile(r"(?:^|[^a-z])skip(?:ped)?_(?:iter(?:ation)?|step|update)s?$|^skipped$|(?:^|[^a-z])found_inf$")
FEWEST = 10  # points
SILENT = 0.5  # share of the fully skipped points that lack a loss, from which on the count is of each interval


@dataclass(frozen=True, slots=True)
class SkippedSteps:
    """`count` (n,): steps skipped since the point before, of `taken` (n,) steps; `series` is what the run logged."""

    series: Series
    count: FloatArray
    taken: FloatArray

    @property
    def share(self) -> FloatArray:
        """The share of the steps of each interval that was skipped, 0..1, shape (n,)."""
        return np.clip(self.count / self.taken, 0.0, 1.0)


@provides
def skipped_steps(stage: Stage) -> SkippedSteps | Missing:
    for series in stage.series:
        if NAMES.search(re.sub(r"[^a-z0-9/.]+", "_", series.name.lower())):
            found = _counted(stage, series)
            if found is not None:
                return found
    return Missing("no count of skipped steps", "log how many optimizer steps were skipped", applicable=False)


def _counted(stage: Stage, series: Series) -> SkippedSteps | None:
    """The count of the last uninterrupted part, taken apart into intervals where it is a running total."""
    part = measured(list(series.segments())[-1])
    if len(part) < FEWEST or part.axis != "step" or part.minimum < 0 or not (np.diff(part.step) > 0).all():
        return None
    gaps = np.diff(part.step)
    taken = np.concatenate([[float(np.median(gaps))], gaps])
    rises = np.concatenate([[part.value[0]], np.diff(part.value)])
    if (rises >= 0).all() and not _of_intervals(stage, part, taken):
        return SkippedSteps(part, rises, np.maximum(taken, rises))
    return SkippedSteps(part, part.value, taken) if (part.value <= taken * 1.01).all() else None


def _of_intervals(stage: Stage, part: Series, taken: FloatArray) -> bool:
    """Whether a count that never falls is one of each interval: no loss stands where all steps were skipped."""
    if (part.value > taken * 1.01).any():
        return False
    full = part.step[part.value >= taken]
    known = [s.step[np.isfinite(s.value)] for s in stage.role("train_loss", "grad_norm") if s.axis == "step"]
    if not len(full) or not known:
        return False
    return float(np.mean(~np.isin(full, np.concatenate(known)))) >= SILENT
