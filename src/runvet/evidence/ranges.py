"""Debug lines that print the range of the truth beside the range of the predictions."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from runvet.artifacts.pairs import side
from runvet.evidence import Missing, provides
from runvet.run import Event, FloatArray, Stage

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(
    rf"([A-Za-z][\w ]{{0,30}}?)\s*[:=]?\s*[\[(]\s*({_NUMBER})\s*(?:,|\s|\.\.|to|~)\s*({_NUMBER})\s*[\])]"
)
_SPAN = re.compile(r"(?i)\brange|\bmin\b.{0,6}\bmax\b|\bspan\b|\bbounds?\b")


@dataclass(frozen=True, slots=True)
class RangeLines:
    """Ranges that a log prints, as (n, 2) of lowest and highest: of the truth and of the predictions, line by line."""

    true: FloatArray
    pred: FloatArray
    events: tuple[Event, ...]

    @property
    def ratio(self) -> FloatArray:
        """Width of the predictions' range over the truth's, shape (n,)."""
        return (self.pred[:, 1] - self.pred[:, 0]) / (self.true[:, 1] - self.true[:, 0])


@provides
def range_lines(stage: Stage) -> RangeLines | Missing:
    true, pred, events = [], [], []
    for event in stage.events:
        found = ranges_in(event.text) if event.kind == "range" and _SPAN.search(event.text) else None
        if found is not None:
            true.append(found[0])
            pred.append(found[1])
            events.append(event)
    if not events:
        told = _from_series(stage)
        if told is not None:
            return told
        return Missing(
            "no line prints the ranges of truth and prediction",
            "print min and max of predictions and targets",
            applicable=False,
        )
    return RangeLines(np.array(true), np.array(pred), tuple(events))


def _from_series(stage: Stage) -> RangeLines | None:
    """Ranges from curves named `pred_min`, `pred_max`, `gt_min`, `gt_max`, or `pred_std` and `gt_std` (two of them wide)."""
    found = {side(s.name): s for s in stage.series if side(s.name)[0] and len(s.finite()) == len(s) > 0}
    for low, high in (("min", "max"), ("std", "std"), ("sd", "sd")):
        four = [found.get((which, (edge,))) for which in ("true", "pred") for edge in (low, high)]
        known = [s for s in four if s is not None]
        if len(known) < 4 or len({len(s) for s in known}) > 1:
            continue
        sign = -1.0 if low == high else 1.0
        true, pred = (np.column_stack([sign * a.value, b.value]) for a, b in (known[:2], known[2:]))
        keep = true[:, 1] > true[:, 0]
        if keep.any():
            first = known[2]
            events = tuple(
                Event("range", first.name, first.files[int(first.file[i])], int(first.line[i]), float(first.step[i]))
                for i in np.flatnonzero(keep)
            )
            return RangeLines(true[keep], pred[keep], events)
    return None


def ranges_in(text: str) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """(truth, prediction) of one line such as `[Range] GT: [-137.3, 54.0] | Pred: [-10.1, 20.2]`, or None."""
    told: dict[str, tuple[float, float]] = {}
    for name, low, high in _RANGE.findall(text):
        which = side(name)[0]
        if which and float(low) <= float(high):
            told.setdefault(which, (float(low), float(high)))
    if len(told) < 2 or not told["true"][1] > told["true"][0]:
        return None
    return told["true"], told["pred"]
