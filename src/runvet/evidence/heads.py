"""The heads of a model that predicts several things, each by its own loss term or error, apart from the total."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from runvet.evidence import Missing, provides
from runvet.roles import words
from runvet.run import Series, Stage
from runvet.statistics import flat_from_start

# What a head predicts. Regularisers, adversarial terms and the like may well stay where they are.
HEAD = frozenset(
    "pose poses trans translation rot rotation quat quats quaternion orientation heading yaw depth disparity scale mask masks seg"
    " segmentation semantic box bbox boxes giou cls class classification obj objectness keypoint keypoints kpt heatmap offset"
    " offsets velocity vel speed traj trajectory waypoint waypoints path flow normal normals occupancy age height width landmark"
    " landmarks center centre size dim angle steering brake throttle position location regression".split()
)
NOT = frozenset(
    "reg regularization regulariser kl kld adv gan gen disc commit commitment entropy penalty aux balance smooth smoothness tv"
    " weight weights norm lr time mem gt target std var sigma temperature count num ratio prior".split()
)


@dataclass(frozen=True, slots=True)
class Head:
    """One head's curve; `start` and `end` are medians of its first and last tenth, `flat` whether it never moved."""

    series: Series
    start: float
    end: float
    flat: bool

    @property
    def fell(self) -> float:
        """The share of its start that it lost; negative where it grew."""
        return 1 - self.end / self.start if self.start > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Heads:
    """All heads of a stage: at least two, all positive."""

    heads: tuple[Head, ...]


@provides
def heads(stage: Stage) -> Heads | Missing:
    found = [h for s in stage.series if _is_head(s) and (h := _head(s)) is not None]
    if len(found) < 2:
        return Missing(
            "fewer than two heads log a loss or error of their own", "log the loss of each head", applicable=False
        )
    return Heads(tuple(found))


def _is_head(series: Series) -> bool:
    told = set(words(series.name))
    kind = series.role or ""
    return bool(told & HEAD) and not told & NOT and (kind.endswith(("loss_term", "error", "_loss")) or kind == "error")


def _head(series: Series) -> Head | None:
    one = series.finite()
    if len(one) < 12 or one.minimum <= 0 or len(np.unique(one.segment)) > 8:
        return None
    tenth = max(3, len(one) // 10)
    first = max(1, min(tenth, len(one) // 50 or 1))
    flat = flat_from_start(one.x(), one.value, relative=0.03)
    return Head(one, float(np.median(one.value[:first])), float(np.median(one.value[-tenth:])), flat is not None)
