"""A profile of a data set: what was read, classes, ranges, empty, constant, repeated and broken items."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from runvet.artifacts.grids import grids_of, main_array, parts
from runvet.artifacts.grouping import Entry
from runvet.artifacts.labels import labelled
from runvet.artifacts.model import Array, Artifacts, UnreadableError, evenly

Kind: TypeAlias = Literal["grids", "pictures", "arrays", "records"]
FILES = 2_000  # files of one data set that are read, evenly over all
BYTES = 128 << 20  # bytes of files that are read
ITEMS = 20_000  # items (files, or entries of files that stack many)
LABELS = ("label", "labels", "class", "classes", "y", "target", "targets", "category")
CLASSES = 1_000
CONNECTED = 200_000  # cells of the largest grid whose connected parts are counted


@dataclass(frozen=True, slots=True)
class One:
    """One item of a data set: a digest of its content and the numbers that a profile needs."""

    name: str
    label: str
    split: str
    shape: tuple[int, ...]
    digest: bytes
    low: float
    high: float
    mean: float
    sd: float
    non_finite: int
    filled: float  # share of cells that do not hold the most frequent value; NaN for floats
    whole: float = float("nan")  # share of the filled cells in the largest connected part; NaN where not computed


@dataclass(frozen=True)
class Profile:
    """What a data set holds. Counts are over the items that were read; `files` counts all there are.

    `unreadable` maps file names to reasons. Every list of names holds at most what was found; nothing is repeated.
    """

    name: str
    kind: Kind
    files: int
    read: int
    items: tuple[One, ...]
    unreadable: dict[str, str] = field(default_factory=dict)
    remedy: str = ""

    @property
    def labels(self) -> dict[str, int]:
        """Items of each class, the largest first; empty where no class is told."""
        found = Counter(i.label for i in self.items if i.label)
        return (
            dict(found.most_common())
            if 1 < len(found) <= CLASSES or (len(found) == 1 and all(i.label for i in self.items))
            else {}
        )

    @property
    def splits(self) -> dict[str, int]:
        """Items of each split."""
        return dict(Counter(i.split for i in self.items if i.split))

    @property
    def shapes(self) -> dict[tuple[int, ...], int]:
        """Items of each shape, the most frequent first."""
        return dict(Counter(i.shape for i in self.items).most_common())

    @property
    def constant(self) -> tuple[One, ...]:
        """Items all of whose values are the same."""
        return tuple(i for i in self.items if i.sd == 0 and not i.non_finite and int(np.prod(i.shape)) > 1)

    @property
    def broken(self) -> tuple[One, ...]:
        """Items with NaN or infinite values."""
        return tuple(i for i in self.items if i.non_finite)

    @property
    def repeated(self) -> tuple[tuple[One, ...], ...]:
        """Groups of items with the same content, the largest first."""
        groups: dict[bytes, list[One]] = defaultdict(list)
        for item in self.items:
            groups[item.digest].append(item)
        return tuple(sorted((tuple(g) for g in groups.values() if len(g) > 1), key=lambda g: -len(g)))

    @property
    def overlap(self) -> tuple[tuple[One, One], ...]:
        """Items of val or test whose content train holds too: (held out, training)."""
        train = {i.digest: i for i in self.items if i.split == "train"}
        return tuple((i, train[i.digest]) for i in self.items if i.split in ("val", "test") and i.digest in train)

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest finite value of all items, NaN where there is none."""
        low = [i.low for i in self.items if np.isfinite(i.low)]
        high = [i.high for i in self.items if np.isfinite(i.high)]
        return (min(low), max(high)) if low else (float("nan"), float("nan"))

    @property
    def background(self) -> float:
        """Mean share of an item's cells that hold its most frequent value; NaN for floats."""
        shares = [1 - i.filled for i in self.items if np.isfinite(i.filled)]
        return float(np.mean(shares)) if shares else float("nan")


def profile(artifacts: Artifacts, name: str, entries: Sequence[Entry]) -> Profile | None:
    """The profile of files that belong together; None where no file holds anything to profile.

    At most 2,000 files and about 128 MiB are read, evenly over all of them, always the same ones.
    """
    typical = float(np.mean([e.item.size for e in evenly(entries, 50)])) if entries else 0.0
    chosen = labelled(artifacts, evenly(entries, max(20, min(FILES, int(BYTES / max(1.0, typical))))))
    items: list[One] = []
    unreadable: dict[str, str] = {}
    kinds: Counter[Kind] = Counter()
    remedy = ""
    for entry in chosen:
        try:
            contents = artifacts.read(entry.item)
        except UnreadableError as error:
            unreadable[entry.item.name] = str(error)
            remedy = remedy or error.remedy
            if error.remedy and len(unreadable) == len(chosen[: len(unreadable)]) and len(unreadable) >= 3:
                break  # every file needs the same library
            continue
        if contents.problems:
            unreadable[entry.item.name] = f"in part: {contents.problems[0]}"
        kind, made = _items(entry, contents.arrays)
        kinds[kind] += 1
        items += made
        if len(items) >= ITEMS:
            break
    if not items and not unreadable:
        return None
    kind = kinds.most_common(1)[0][0] if kinds else "arrays"
    return Profile(name, kind, len(entries), len(chosen), tuple(items[:ITEMS]), unreadable, remedy)


def _items(entry: Entry, arrays: Mapping[str, Array]) -> tuple[Kind, list[One]]:
    held = {k: v for k, v in arrays.items() if v.dtype.kind in "iufb" and v.size and v.ndim}
    if list(held) == ["image"]:
        return "pictures", [_one(entry.item.name, entry, held["image"], filled=False)]
    grids = grids_of(held)
    if grids:
        several = len(grids) > 1
        return "grids", [
            _one(f"{entry.item.name}[{i}]" if several else entry.item.name, entry, g, filled=True)
            for i, g in enumerate(grids)
        ]
    return _stacked(entry, held)


def _stacked(entry: Entry, held: dict[str, Array]) -> tuple[Kind, list[One]]:
    """Files that stack many items along the first axis (`x` with `y`), else one item a file."""
    numeric = {k: v for k, v in held.items() if v.dtype.kind in "iufb" and v.size and v.ndim}
    main = main_array(numeric)
    if main is None:
        return "arrays", []
    labels = next(
        (
            v
            for k, v in numeric.items()
            if k.lower() in LABELS and v.ndim == 1 and v is not main and len(v) == len(main)
        ),
        None,
    )
    table = all(v.ndim >= 1 and len(v) == len(main) for v in numeric.values()) and (
        len(numeric) > 1 or entry.item.suffix in (".json", ".jsonl", ".csv")
    )
    if main.ndim >= 2 and (labels is not None or table or (len(main) >= 20 and entry.item.suffix == ".npy")):
        names = _class_names(labels)
        return "records", [
            _one(f"{entry.item.name}[{i}]", entry, row, filled=False, label=names[i] if names else "")
            for i, row in enumerate(main[:ITEMS])
        ]
    return "arrays", [_one(entry.item.name, entry, main, filled=False)]


def _class_names(labels: Array | None) -> list[str]:
    if labels is None or len(np.unique(labels)) > CLASSES or not np.array_equal(labels, np.round(labels)):
        return []
    return [str(int(v)) for v in labels]


def _one(name: str, entry: Entry, array: Array, *, filled: bool, label: str | None = None) -> One:
    flat = np.ascontiguousarray(array)
    with np.errstate(all="ignore"):
        return _measured(name, entry, flat, filled=filled, label=label)


def _measured(name: str, entry: Entry, flat: Array, *, filled: bool, label: str | None) -> One:
    finite = flat[np.isfinite(flat)] if flat.dtype.kind == "f" else flat
    digest = hashlib.blake2b(f"{flat.shape}".encode() + flat.tobytes(), digest_size=16).digest()
    share = whole = float("nan")
    if filled:
        values, counts = np.unique(flat, return_counts=True)
        share = 1 - float(counts.max()) / flat.size
        if 0 < share <= 0.5 and flat.size <= CONNECTED:
            whole = parts(flat != values[counts.argmax()]).share
    numbers = (
        (float(finite.min()), float(finite.max()), float(finite.mean()), float(finite.std()))
        if finite.size
        else (float("nan"),) * 4
    )
    return One(
        name,
        entry.label if label is None else label,
        entry.split,
        flat.shape,
        digest,
        *numbers,
        int(flat.size - finite.size),
        share,
        whole,
    )


def jumps(path: Array) -> float:
    """How much consecutive steps of paths (n, t, k) disagree: median over paths of |second| over |first differences|.

    Smooth motion is far below 1, a random walk gives 1.4, points that have nothing to do with each other 1.7.
    """
    return float(np.median(jump_ratios(path)))


def jump_ratios(path: Array) -> Array:
    """The ratio of `jumps` for each path, shape (n,); 0 for paths that stand still."""
    first = np.diff(np.asarray(path, np.float64), axis=1)
    second = np.diff(first, axis=1)
    speed, change = (np.median(np.linalg.norm(d, axis=-1), axis=1) for d in (first, second))
    return np.asarray(np.divide(change, speed, out=np.zeros_like(speed), where=speed > 0))


def paths_in(arrays: Iterable[tuple[str, Array]]) -> Iterator[tuple[str, Array]]:
    """The arrays (n, t, 2 or 3) whose names speak of motion."""
    words = ("traj", "path", "future", "waypoint", "motion", "track", "position", "gt", "target")
    for name, array in arrays:
        if (
            array.ndim == 3
            and array.shape[1] >= 5
            and array.shape[2] in (2, 3)
            and array.dtype.kind in "fi"
            and any(w in name.lower() for w in words)
        ):
            good = array[np.isfinite(np.asarray(array, np.float64)).all(axis=(1, 2))]
            if len(good) >= 20:
                yield name, good
