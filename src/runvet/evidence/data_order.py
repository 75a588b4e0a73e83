"""In which order training data are visited: what the settings say, what the data hold, and what the loss shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from runvet.artifacts.grouping import words
from runvet.artifacts.measuring import One
from runvet.evidence import Missing, provides
from runvet.evidence.data_places import sided
from runvet.evidence.datasets import DataSets
from runvet.evidence.nature import given
from runvet.evidence.samplers import USE
from runvet.evidence.settings import name_of
from runvet.run import FloatArray, IntArray, Run, Series, Setting, Stage

SHUFFLE = frozenset(
    "shuffle shuffle_train train_shuffle shuffle_data shuffle_dataset do_shuffle shuffle_training data_shuffle shuffle_samples".split()
)
# Words of settings that say that something else than the loader mixes the data.
MIXED = frozenset(
    "sampler distributed ddp iterable streaming webdataset wds buffer reshuffle presharded preshuffled".split()
)
WORLD = frozenset("world_size num_gpus n_gpus gpus nproc_per_node num_processes devices num_nodes nodes".split())
FEWEST = 50  # items with a class
PHASES = (10, 20)  # parts of an epoch whose losses are compared: so many where twice as many points are logged
EPOCHS = 4
FEWER = 2.0  # standard deviations by which turning points are fewer than chance gives


@dataclass(frozen=True, slots=True)
class Sorted:
    """Training items in the order of their classes: where, how many items and classes, how often the class changes."""

    where: str
    items: int
    classes: int
    changes: int


@dataclass(frozen=True, slots=True)
class Sawtooth:
    """How the training loss depends on the place in the epoch.

    `share` of its variation within epochs is the same in every one; `swing` is the range of the means of the parts of
    an epoch over the epoch's mean; `blocks` says that the parts follow each other as blocks of items do.
    """

    series: Series
    length: float
    epochs: int
    share: float
    swing: float
    blocks: bool


@dataclass(frozen=True, slots=True)
class DataOrder:
    """The setting that turns shuffling off, data sorted by class (None: not, or not known), and the loss in an epoch."""

    setting: Setting
    mixed: str
    sorted: Sorted | None
    known: bool
    sawtooth: Sawtooth | None


@provides
def data_order(stage: Stage, run: Run, data: DataSets | None) -> DataOrder | Missing:
    settings = [*stage.settings, *run.settings]
    off = next((s for s in settings if _off(s)), None)
    if off is None:
        return Missing("no setting turns shuffling off", "", applicable=False)
    orders = [(p.name, *o) for p in data.profiles if (o := _order(p.items)) is not None] if data is not None else []
    found = next((Sorted(*o) for o in orders if _in_order(*o[1:])), None)
    saw = max(
        (w for s in stage.role("train_loss", "train_accuracy") if (w := sawtooth(s)) is not None),
        key=lambda w: w.share,
        default=None,
    )
    return DataOrder(off, _mixed(settings), found, bool(orders), saw)


def _off(setting: Setting) -> bool:
    """Whether a setting says that training data are not shuffled."""
    if name_of(setting) not in SHUFFLE or str(setting.value).lower() not in ("false", "0"):
        return False
    side = sided(setting)
    told = set(words(setting.key)) | set(words(setting.source))
    return side.split == "train" if side is not None else not told & USE


def _mixed(settings: Sequence[Setting]) -> str:
    """A setting by which the data may be mixed all the same; empty where there is none."""
    for s in settings:
        several = name_of(s) in WORLD and s.number is not None and s.number > 1
        told = given(s.value) and s.value not in ("sequential", "SequentialSampler")
        if several or (told and set(words(s.key)) & MIXED):
            return f"{s.key}: {s.value}"
    return ""


def _order(items: Sequence[One]) -> tuple[int, int, int] | None:
    """Items of training, their classes, and how often the class changes from one to the next; None where few are known."""
    labels = [i.label for i in items if i.split in ("", "train")]
    if len(labels) < FEWEST or not all(labels) or len(set(labels)) < 2:
        return None
    return len(labels), len(set(labels)), sum(a != b for a, b in pairwise(labels))


def _in_order(items: int, classes: int, changes: int) -> bool:
    return changes <= 1.5 * (classes - 1) and items >= 10 * classes


def sawtooth(series: Series) -> Sawtooth | None:
    """The part of the loss that every epoch repeats; None where epochs are unknown, few, or logged too rarely."""
    one = max(series.finite().segments(), key=len, default=None)
    if one is None or not (np.isfinite(one.step).all() and np.isfinite(one.epoch).all()) or len(one) < 60:
        return None
    whole = np.floor(one.epoch + 1e-6)
    starts = np.flatnonzero(np.r_[True, np.diff(whole) > 0])
    if len(starts) < EPOCHS + 2 or (np.diff(whole) < 0).any() or (np.diff(whole) > 1).any():
        return None
    slope, first = np.polyfit(np.arange(len(starts)), one.step[starts], 1)
    if not slope > 0:
        return None
    later = whole > whole[0]
    parts = PHASES[int(later.sum() >= 2 * PHASES[0] * (len(starts) - 1))]
    phase = np.clip(((one.step - first) / slope % 1.0 * parts).astype(int), 0, parts - 1)
    return _repeated(one, one.value[later], one.step[later], whole[later], phase[later], float(slope))


def _repeated(
    series: Series, value: FloatArray, step: FloatArray, epoch: FloatArray, phase: IntArray, length: float
) -> Sawtooth | None:
    parts = np.split(np.arange(len(value)), np.flatnonzero(np.diff(epoch)) + 1)
    rest = value - _trend(value, step, parts)
    counts = np.bincount(phase)
    if (counts < EPOCHS).any() or any(not rest[part].any() for part in parts):
        return None
    # Each epoch counts the same, however far the loss has fallen.
    alike = np.concatenate([rest[part] / rest[part].std() for part in parts])
    level = np.concatenate([rest[part] / max(abs(float(value[part].mean())), 1e-12) for part in parts])
    means, swing = (np.bincount(phase, weights=of) / counts for of in (alike, level))
    left = float(((alike - means[phase]) ** 2).sum() / (alike**2).sum())
    share = 1 - left * (len(alike) - 1) / max(1, len(alike) - len(counts))  # what chance explains taken off
    return Sawtooth(series, length, len(parts), share, float(np.ptp(swing)), _blocks(means))


def _blocks(means: FloatArray) -> bool:
    """Whether the means of the parts of an epoch (n,) turn far less often than numbers in random order do.

    A fixed order of mixed batches repeats itself, too, but neighbouring parts have nothing to do with each other. Of n
    random numbers 2 n / 3 are turning points, with the variance (16 n - 29) / 90 (Kendall and Stuart, vol. 3).
    """
    rises = np.diff(np.r_[means, means[:2]]) > 0
    n, turns = len(means), int(np.sum(rises[1:] != rises[:-1]))
    return bool(turns <= 2 * n / 3 - FEWER * np.sqrt((16 * n - 29) / 90))


def _trend(value: FloatArray, step: FloatArray, parts: Sequence[IntArray]) -> FloatArray:
    """Straight lines between the means of epochs: what falls all the time is no course within the epoch."""
    middles, means = ([float(of[part].mean()) for part in parts] for of in (step, value))
    return np.interp(step, middles, means)
