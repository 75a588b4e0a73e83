"""Predictions beside the true values: arrays from files, and what they say about each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from runvet.artifacts import pairs
from runvet.artifacts.grouping import PREDICTION, words
from runvet.artifacts.model import Array, Artifacts, Item, UnreadableError, evenly
from runvet.evidence import Missing, provides
from runvet.evidence.artifact_groups import owner
from runvet.run import FloatArray, Run, Stage

FILES = 24  # files that are opened
ROWS = 20_000  # samples of one pair that are kept, evenly
VALUES = 4 << 20
LARGEST = 1e100  # larger values are damage, and their squares overflow
PEEKED = 64  # so few npz files are all looked into, whatever their names
_TABLES = (".csv", ".json", ".jsonl")
_PARITY = frozenset("parity".split())


@dataclass(frozen=True)
class Pair:
    """One output: `pred` and `true` of shape (n samples, k outputs), float64, finite; n and k at least 1.

    `shape` is what one sample had before it was flattened; `whole` says whether the truth is of whole numbers only.
    """

    name: str
    where: str
    pred: FloatArray
    true: FloatArray
    shape: tuple[int, ...]
    whole: bool = False

    @property
    def n(self) -> int:
        """How many samples."""
        return len(self.pred)

    @cached_property
    def error(self) -> float:
        """Mean squared error over all values."""
        return float(np.mean((self.pred - self.true) ** 2))

    @cached_property
    def variance(self) -> float:
        """Variance of the truth around the mean of each output: the error of the best constant."""
        return float(np.mean((self.true - self.true.mean(axis=0)) ** 2))

    @cached_property
    def r2(self) -> float:
        """1 - error / variance: 1 is perfect, 0 as good as the mean, negative worse. NaN for a constant truth."""
        return 1 - self.error / self.variance if self.variance > 0 else float("nan")

    @cached_property
    def spread(self) -> tuple[float, float]:
        """Median over outputs of the central 95 % range over samples, of predictions and of the truth."""
        low, high = np.quantile(self.pred, [0.025, 0.975], axis=0), np.quantile(self.true, [0.025, 0.975], axis=0)
        widths = (low[1] - low[0], high[1] - high[0])
        varied = widths[1] > 0
        return (
            (float(np.median(widths[0][varied])), float(np.median(widths[1][varied]))) if varied.any() else (0.0, 0.0)
        )

    @cached_property
    def correlation(self) -> float:
        """Median over outputs of the correlation of prediction and truth over samples; 0 where one is constant."""
        p, t = self.pred - self.pred.mean(axis=0), self.true - self.true.mean(axis=0)
        scale = np.sqrt((p**2).sum(axis=0) * (t**2).sum(axis=0))
        varied = (t**2).sum(axis=0) > 0
        if not varied.any():
            return 0.0
        with np.errstate(invalid="ignore", divide="ignore"):
            r = np.where(scale > 0, (p * t).sum(axis=0) / scale, 0.0)
        return float(np.median(r[varied]))

    @cached_property
    def slope(self) -> float:
        """Median over outputs of the regression of predictions on the truth: 1 is right, 0 carries nothing."""
        p, t = self.pred - self.pred.mean(axis=0), self.true - self.true.mean(axis=0)
        square = (t**2).sum(axis=0)
        varied = square > 0
        return float(np.median((p * t).sum(axis=0)[varied] / square[varied])) if varied.any() else 0.0

    @cached_property
    def shuffled(self) -> float:
        """Mean absolute error against other samples' truths over that against their own: 1 where inputs carry nothing."""
        order = np.random.default_rng(0).permutation(self.n)
        own = float(np.mean(np.abs(self.pred - self.true)))
        return float(np.mean(np.abs(self.pred[order] - self.true))) / own if own > 0 else float("inf")


@dataclass(frozen=True, slots=True)
class Predictions:
    """The pairs of a stage, never empty."""

    pairs: tuple[Pair, ...]


@provides
def predictions(run: Run, stage: Stage) -> Predictions | Missing:
    if run.artifacts is None:
        return Missing("no files beside the logs", applicable=False)
    kept = run.artifacts
    found = kept.memo("predictions", lambda: tuple(_pairs(kept)))
    mine = tuple(pair for pair in found if owner(pair.where, run.stages) is stage)
    if not mine:
        return Missing("no predictions beside the true values", "save pred and gt of the validation set: np.savez('predictions.npz', pred=…, gt=…)", applicable=False)  # fmt: skip
    return Predictions(mine)


def _pairs(artifacts: Artifacts) -> Iterator[Pair]:
    few = sum(i.suffix == ".npz" for i in artifacts.items) <= PEEKED
    candidates = [i for i in artifacts.items if _may_hold(i, few=few)]
    for item in evenly(candidates, FILES):
        arrays = _read(artifacts, item)
        for p, t, rest in pairs.matched(arrays):
            pair = _pair(rest or p, item.name, arrays[p], arrays[t])
            if pair is not None:
                yield pair
    known = {i.name: i for i in artifacts.items if i.suffix in (".npy", ".npz", ".json") and i.size < 64 << 20}
    for p, t in pairs.files(list(known))[:FILES]:
        pred, true = (_read(artifacts, known[n]) for n in (p, t))
        if len(pred) == 1 and len(true) == 1:
            pair = _pair(p.rpartition("/")[2].rpartition(".")[0], p, *pred.values(), *true.values())
            if pair is not None:
                yield pair


def _may_hold(item: Item, *, few: bool) -> bool:
    told = {w for part in item.parts for w in words(part)}
    if told & _PARITY:
        return False
    if item.suffix in _TABLES:
        return bool(set(words(item.parts[-1])) & PREDICTION) and item.size < 64 << 20
    if item.peek is None or item.suffix != ".npz":
        return False
    # A folder of samples or of the data holds thousands: only names that speak of predictions, or few files, are opened.
    if not few and not told & (PREDICTION | pairs.TRUE | pairs.PREDICTED | {"val", "test", "debug", "dump"}):
        return False
    try:
        return bool(pairs.matched(item.peek()))
    except UnreadableError:
        return False


def _read(artifacts: Artifacts, item: Item) -> dict[str, Array]:
    try:
        return dict(artifacts.read(item).arrays)
    except UnreadableError:
        return {}


def _pair(name: str, where: str, pred: Array, true: Array) -> Pair | None:
    """A pair of equal shapes as (n, k); trailing axes of length one are ignored. None where they do not fit."""
    pred, true = (a.reshape(a.shape[: -1 if a.ndim > 1 and a.shape[-1] == 1 else a.ndim]) for a in (pred, true))
    if (
        pred.shape != true.shape
        or not pred.size
        or not pred.ndim
        or any(a.dtype.kind not in "fiub" for a in (pred, true))
    ):
        return None
    n = len(pred)
    rows = np.unique(np.round(np.linspace(0, n - 1, min(n, ROWS, max(1, VALUES // max(1, pred[0].size))))).astype(int))
    p, t = (np.asarray(a[rows], np.float64).reshape(len(rows), -1) for a in (pred, true))
    good = np.isfinite(p).all(axis=1) & np.isfinite(t).all(axis=1)
    if not good.any() or max(np.abs(p[good]).max(), np.abs(t[good]).max()) > LARGEST:
        return None
    whole = bool(np.array_equal(t[good], np.round(t[good])))
    return Pair(name, where, p[good], t[good], pred.shape[1:], whole)


def judged(pairs_: Iterable[Pair], *, fewest: int = 20) -> list[Pair]:
    """The pairs of regression: enough samples, a truth that varies, and no class labels or token ids."""
    return [p for p in pairs_ if p.n >= fewest and p.variance > 0 and not _categories(p)]


def _categories(pair: Pair) -> bool:
    """Whether the truth names classes: few whole numbers, or whole numbers that are predicted as whole numbers."""
    if not pair.whole:
        return False
    return len(np.unique(pair.true)) <= 20 or bool(np.array_equal(pair.pred, np.round(pair.pred)))
