"""What a model was fed in training and in use: statistics of saved inputs, of both sides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from runvet.artifacts.grouping import SPLITS, words
from runvet.artifacts.model import Array, Artifacts, Item, UnreadableError, evenly
from runvet.evidence import Missing, provides
from runvet.evidence.parity import ONE, TWO
from runvet.run import FloatArray, Run

INPUT = frozenset(
    "image images img imgs input inputs pixel pixels rgb picture pictures frame frames x spectrogram mel waveform audio view views".split()
)
_BATCH = frozenset(
    "batch batches input inputs parity debug dump dumps preprocessed model probe sample fed tensors".split()
)
_USE = TWO | frozenset("val valid validation test eval evaluation infer".split())
_TRAIN = frozenset("train training trainer trn".split())
FILES = 16
CHANNELS = 4
FEWEST = 256  # values of one side


@dataclass(frozen=True, slots=True)
class Fed:
    """One side: mean, standard deviation, lowest and highest value, and means of channels (c,), empty where unknown."""

    where: str
    mean: float
    sd: float
    low: float
    high: float
    channels: FloatArray
    n: int


@dataclass(frozen=True, slots=True)
class Compared:
    """The same input in training and in use; `shift` the columns by which equal pictures are rolled, 0 for none."""

    name: str
    train: Fed
    use: Fed
    shift: int
    width: int


@dataclass(frozen=True, slots=True)
class FedInputs:
    """All inputs that are saved from both sides; never empty. `keys` are the names of arrays in each file of a pair."""

    all: tuple[Compared, ...]


@dataclass(frozen=True, slots=True)
class BatchKeys:
    """Names of the arrays that a saved batch of training holds, and one of use: (file, names) each; never empty."""

    pairs: tuple[tuple[str, frozenset[str], str, frozenset[str]], ...]


@provides
def fed_inputs(run: Run) -> FedInputs | Missing:
    found = list(_compared(run.artifacts)) if run.artifacts is not None else []
    if not found:
        return Missing("no inputs saved from both training and use", "save one batch of model inputs from each: train_batch.npz, inference_batch.npz", applicable=False)  # fmt: skip
    return FedInputs(tuple(found))


@provides
def batch_keys(run: Run) -> BatchKeys | Missing:
    found = []
    for one, two in _pairs(run.artifacts) if run.artifacts is not None else ():
        names = [frozenset(_plain(n) for n in _names(i)) for i in (one, two)]
        if all(len(n) >= 1 for n in names) and names[0] & names[1]:
            found.append((one.name, names[0], two.name, names[1]))
    return (
        BatchKeys(tuple(found))
        if found
        else Missing("no batches saved from both training and use", "", applicable=False)
    )


def _sides(item: Item) -> tuple[bool, bool, frozenset[str]]:
    """Whether a file is of training, of use, and the other words of its path."""
    told = [w for part in item.parts for w in words(part)]
    train, use = bool(_TRAIN & set(told)), bool(_USE & set(told))
    return train and not use, use and not train, frozenset(told) - _TRAIN - _USE - ONE - TWO - set(SPLITS)


def _pairs(artifacts: Artifacts) -> Iterator[tuple[Item, Item]]:
    """Files that hold a batch of each side: names that differ only in the word for the side."""
    sides: dict[frozenset[str], dict[str, Item]] = {}
    for item in artifacts.items:
        if item.peek is None or item.suffix != ".npz":
            continue
        train, use, rest = _sides(item)
        if (train or use) and rest & _BATCH:
            sides.setdefault(rest, {}).setdefault("train" if train else "use", item)
    both = [(p["train"], p["use"]) for p in sides.values() if len(p) == 2]
    yield from (pair for pair in evenly(both, FILES) if all(_names(i) for i in pair))


def _names(item: Item) -> frozenset[str]:
    """Names of the arrays of a file, none where it cannot be read."""
    try:
        return frozenset(item.peek()) if item.peek else frozenset()
    except UnreadableError:
        return frozenset()


def _plain(name: str) -> str:
    return "_".join(w for w in words(name) if w not in _TRAIN | _USE) or name


def _compared(artifacts: Artifacts) -> Iterator[Compared]:
    for one, two in _pairs(artifacts):
        try:
            a, b = (dict(artifacts.read(i).arrays) for i in (one, two))
        except UnreadableError:
            continue
        named = {_plain(n): n for n in b}
        for name, array in a.items():
            other = b.get(named.get(_plain(name), ""))
            if other is not None and set(words(name)) & INPUT and (made := _one(_plain(name), one.name, array, two.name, other)) is not None:  # fmt: skip
                yield made


def _one(name: str, first: str, a: Array, second: str, b: Array) -> Compared | None:
    if min(a.size, b.size) < FEWEST or any(x.dtype.kind not in "fiu" or x.ndim < 2 for x in (a, b)):
        return None
    if not (np.isfinite(a).any() and np.isfinite(b).any()):
        return None  # other rules tell of values that are not finite
    fed = [_fed(where, x) for where, x in ((first, a), (second, b))]
    return Compared(name, fed[0], fed[1], _rolled(a, b), a.shape[-1] if a.shape[-1] > CHANNELS else a.shape[-2]) if fed[0].sd > 0 else None  # fmt: skip


def _fed(where: str, array: Array) -> Fed:
    values = np.asarray(array, np.float64)
    flat = values[np.isfinite(values)]
    axis = _channel_axis(values.shape)
    channels = np.zeros(0)
    if axis is not None:
        rows = np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)
        channels = np.array([row[np.isfinite(row)].mean() if np.isfinite(row).any() else np.nan for row in rows])
    return Fed(where, float(flat.mean()), float(flat.std()), float(flat.min()), float(flat.max()), channels, len(array))


def _channel_axis(shape: tuple[int, ...]) -> int | None:
    """The axis of three colours of pictures (n, 3, h, w), (n, h, w, 3) or one of them."""
    if len(shape) >= 3 and shape[-1] == 3:
        return len(shape) - 1
    return len(shape) - 3 if len(shape) >= 3 and shape[-3] == 3 else None


def _rolled(a: Array, b: Array) -> int:
    """Columns by which `b` is rolled against `a` where that makes them equal and they are not; 0 otherwise."""
    if a.shape != b.shape:
        return 0
    width = -1 if a.shape[-1] > CHANNELS else -2
    x, y = (np.moveaxis(np.asarray(v, np.float64), width, -1).reshape(-1, v.shape[width])[:4096] for v in (a, b))
    if not (np.isfinite(x).all() and np.isfinite(y).all()) or x.shape[1] < 8:
        return 0
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((x**2).sum() * (y**2).sum()))
    if scale == 0:
        return 0
    product = np.fft.irfft((np.conj(np.fft.rfft(x, axis=1)) * np.fft.rfft(y, axis=1)).sum(axis=0), n=x.shape[1]) / scale
    at = int(product.argmax())
    return at if product[at] > 0.98 and product[0] < 0.9 else 0
