"""Predictions that were made again with one input taken from other samples, or taken away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from runvet.artifacts import pairs
from runvet.artifacts.grouping import words
from runvet.artifacts.model import Artifacts, UnreadableError, evenly
from runvet.evidence import Missing, provides
from runvet.evidence.artifact_groups import owner
from runvet.run import FloatArray, Run, Stage

WITHOUT = frozenset("shuffled permuted without zeroed blanked ablated swapped".split())
FILES = 12
FEWEST = 50
MOST = 4_000  # samples, evenly


@dataclass(frozen=True, slots=True)
class Ablation:
    """One input of one file: mean errors over samples, and their differences (n,), error without minus error with.

    `same` tells that not a single predicted number differs; `constant` is the error of the mean of the truth.
    """

    where: str
    name: str
    input: str
    error: float
    without: float
    constant: float
    difference: FloatArray
    same: bool


@dataclass(frozen=True, slots=True)
class Ablations:
    """All of a stage; never empty."""

    all: tuple[Ablation, ...]


@provides
def ablations(run: Run, stage: Stage) -> Ablations | Missing:
    kept = run.artifacts
    found = kept.memo("ablations", lambda: tuple(_found(kept))) if kept is not None else ()
    mine = tuple(a for a in found if owner(a.where, run.stages) is stage)
    if not mine:
        return Missing("no predictions with one input shuffled",
                       "predict again with one input of other samples: np.savez(…, pred=…, gt=…, shuffled_images=…)", applicable=False)  # fmt: skip
    return Ablations(mine)


def _found(artifacts: Artifacts) -> Iterator[Ablation]:
    candidates = []
    for item in artifacts.items:
        if item.suffix == ".npz" and item.peek is not None:
            try:
                told = any(WITHOUT & set(words(name)) for name in item.peek())
            except UnreadableError:
                continue
            candidates += [item] if told else []
    for item in evenly(candidates, FILES):
        try:
            arrays = artifacts.read(item).arrays
        except UnreadableError:
            continue
        for predicted, true, _ in pairs.matched(name for name in arrays if not WITHOUT & set(words(name)))[:1]:
            pred, gt = np.asarray(arrays[predicted]), np.asarray(arrays[true])
            if (
                pred.shape != gt.shape
                or pred.ndim < 1
                or len(pred) < FEWEST
                or {pred.dtype.kind, gt.dtype.kind} - {"f"}
            ):
                continue
            for name, array in arrays.items():
                if WITHOUT & set(words(name)) and array.shape == pred.shape and array.dtype.kind == "f":
                    rest = " ".join(w for w in words(name) if w not in WITHOUT)
                    yield _one(item.name, predicted, rest or name, pred, gt, np.asarray(array))


def _one(where: str, name: str, which: str, pred: FloatArray, gt: FloatArray, without: FloatArray) -> Ablation:
    n = len(pred)
    rows = np.unique(np.round(np.linspace(0, n - 1, min(n, MOST))).astype(int))
    p, t, w = (np.asarray(a[rows], np.float64).reshape(len(rows), -1) for a in (pred, gt, without))
    own, other = np.abs(p - t).mean(axis=1), np.abs(w - t).mean(axis=1)
    constant = float(np.abs(t - t.mean(axis=0)).mean())
    same = bool(np.array_equal(p, w))
    return Ablation(where, name, which, float(own.mean()), float(other.mean()), constant, other - own, same)
