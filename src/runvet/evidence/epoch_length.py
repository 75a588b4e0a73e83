"""How many steps an epoch has, and where that changes."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from runvet.evidence import Missing, provides
from runvet.evidence.seams import lead_of
from runvet.run import FloatArray, Series, Stage, number

CHUNKS = 24
STEADY = 0.02  # lengths within this share of each other are the same
HELD_OUT = re.compile(r"(?<![a-z])(?:test|val|valid|validation|eval|evaluation|predict|sanity)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the run in which epochs have `steps` steps each. `x` is where it begins, NaN where unknown."""

    steps: float
    x: float
    where: str
    line: int = 0
    source: str = ""


@dataclass(frozen=True, slots=True)
class EpochLength:
    """The lengths of an epoch in the order of the log; neighbours differ. `counted`: the log itself counts them."""

    spans: tuple[Span, ...]
    counted: bool


@provides
def epoch_length(stage: Stage) -> EpochLength | Missing:
    told = [
        Span(steps, e.step if e.step is not None else np.nan, e.where, e.line, e.source)
        for e in stage.events
        if e.kind == "epoch-length" and (steps := _length(number(e.value))) and not HELD_OUT.match(e.text.strip())
    ]
    if told:
        return EpochLength(_folded(_one_loader(told)), True)
    lead = lead_of(stage)
    measured = [] if lead is None else _measured(lead)
    if measured:
        return EpochLength(_folded(measured), False)
    return Missing("the log does not tell how many steps an epoch has", "log step and epoch side by side")


def _length(steps: float | None) -> float:
    """A number of steps that an epoch can have, whole; 0 for any other."""
    return float(round(steps)) if steps is not None and 0 < steps < math.inf else 0.0


def _folded(spans: list[Span]) -> tuple[Span, ...]:
    out: list[Span] = []
    for one in spans:
        if not out or abs(one.steps - out[-1].steps) > STEADY * out[-1].steps:
            out.append(one)
    return tuple(out)


def _one_loader(spans: list[Span]) -> list[Span]:
    """Without the lengths of other loaders (validation): those that come and go, the shortest first."""
    while True:
        folded = _folded(spans)
        again = [s.steps for i, s in enumerate(folded) if any(_same(s.steps, o.steps) for o in folded[i + 2 :])]
        if not again or all(_same(s.steps, min(again)) for s in folded):
            return spans
        spans = [s for s in spans if not _same(s.steps, min(again))]


def _same(a: float, b: float) -> bool:
    return abs(a - b) <= STEADY * max(a, b)


def _measured(lead: Series) -> list[Span]:
    """Lengths from steps and epochs logged side by side: one change at most within each uninterrupted part."""
    out: list[Span] = []
    for part in lead.segments():
        step, epoch = part.step, part.epoch
        good = np.isfinite(step) & np.isfinite(epoch)
        if good.sum() < 4:
            continue
        index = np.flatnonzero(good)
        step, epoch = step[good], epoch[good]
        if np.array_equal(np.round(epoch), epoch):  # whole epochs: only their first points tell a length
            first = np.concatenate([[True], np.diff(epoch) > 0])
            step, epoch, index = step[first], epoch[first], index[first]
            if part.segment[0] > 0 and len(step):  # a resumed process starts within an epoch
                step, epoch, index = step[1:], epoch[1:], index[1:]
        for length, i in _steady(step, epoch):
            if steps := _length(length):
                out.append(Span(steps, float(step[i]), part.where(int(index[i]))))
    return out


def _steady(step: FloatArray, epoch: FloatArray) -> list[tuple[float, int]]:
    """Lengths of steady stretches with the index at which each begins: one, or two with a single change between."""
    if len(step) < 3:
        return []
    edge = np.unique(np.linspace(0, len(step) - 1, min(CHUNKS, len(step) - 1) + 1).astype(np.int64))
    rise, run = np.diff(step[edge]), np.diff(epoch[edge])
    good = (run > 0) & (rise > 0)
    lengths, at = rise[good] / run[good], edge[:-1][good]
    if len(lengths) < 2:
        return []
    slack = np.maximum(STEADY, 2.5 * _digit(epoch) / run[good])  # an epoch printed with two decimals is no finer
    if _even(lengths, slack):
        return [(float(np.median(lengths)), int(at[0]))]
    for cut in range(2, len(lengths) - 1):
        skip = cut if _even(lengths[cut:], slack[cut:]) else cut + 1  # one chunk may hold the change
        if len(lengths) - skip >= 2 and _even(lengths[:cut], slack[:cut]) and _even(lengths[skip:], slack[skip:]):
            early, late = _slope(step, epoch, at[0], at[cut]), _slope(step, epoch, at[skip], edge[-1])
            return [(early, int(at[0])), (late, int(at[cut]))]
    return []


def _slope(step: FloatArray, epoch: FloatArray, low: np.int64, high: np.int64) -> float:
    return float((step[high] - step[low]) / (epoch[high] - epoch[low]))


def _digit(epoch: FloatArray) -> float:
    """The unit of the last decimal that epochs were written with; 0 for more than four."""
    for digits in range(5):
        if np.allclose(epoch * 10.0**digits, np.round(epoch * 10.0**digits), rtol=0, atol=1e-6):
            return 0.0 if digits == 0 else 10.0**-digits
    return 0.0


def _even(lengths: FloatArray, slack: FloatArray) -> bool:
    middle = float(np.median(lengths))
    return bool(np.all(np.abs(lengths - middle) <= np.maximum(slack * middle, 1.0)))
