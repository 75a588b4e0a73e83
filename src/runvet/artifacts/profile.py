"""A profile of a data set: what was read, classes, ranges, empty, constant, repeated and broken items."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from runvet.artifacts import near
from runvet.artifacts.grids import main_array, stored_grids
from runvet.artifacts.grouping import Entry
from runvet.artifacts.labels import labelled
from runvet.artifacts.measuring import Kind, Measurer, One, Waiting
from runvet.artifacts.model import Array, Artifacts, Contents, UnreadableError, evenly
from runvet.artifacts.paths import jump_ratios, jumps, paths_in
from runvet.artifacts.pictures import pictures_of
from runvet.artifacts.texts import records_of, texts_of
from runvet.artifacts.units import Guess, guesses

__all__ = ["Kind", "One", "Profile", "jump_ratios", "jumps", "paths_in", "profile"]

FILES = 10_000  # files of one data set that are read, evenly over all
BYTES = 128 << 20  # bytes of files that are read
MANY, SMALL = 20, 4096  # files of a data set, and values of one, from which and up to which each file is one sample
ITEMS = 20_000  # items (files, or entries of files that stack many)
LABELS = ("label", "labels", "class", "classes", "y", "target", "targets", "category")
TABLES = (".csv", ".jsonl", ".json", ".parquet")
FINE = 3  # columns of measurements that make two equal rows one and the same item
CLASSES = 1_000
SAME = 0.02  # of the standard deviation, by which means and deviations of near arrays differ at most


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
    units: tuple[Guess, ...] = ()  # guesses, with what they rest on

    def _repr_html_(self) -> str:
        """The profile in a notebook, without script."""
        from runvet.render import notebook

        return notebook.profile(self)

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

    @cached_property
    def _near(self) -> list[tuple[One, One]]:
        """Pairs of near items that are no exact copies; sounds have no sketches."""
        held = [i for i in self.items if i.sketch and i.sd > 0]
        if len(held) < 2:
            return []
        sketches = np.frombuffer(b"".join(i.sketch for i in held), np.uint8).reshape(len(held), -1)
        shared = near.ALIKE if self.kind == "texts" else near.SHARED
        found = near.pairs(sketches, pictures=self.kind not in ("grids", "texts"), shared=shared)
        pairs = [(held[a], held[b]) for a, b in found.tolist() if held[a].digest != held[b].digest]
        return pairs if self.kind not in ("arrays", "records") else [p for p in pairs if _same_size(*p)]

    @property
    def near_copies(self) -> tuple[tuple[One, ...], ...]:
        """Groups of items that are near each other, and not all equal; the largest first."""
        place = {id(item): n for n, item in enumerate(self.items)}
        found = np.array([(place[id(a)], place[id(b)]) for a, b in self._near], np.int64).reshape(-1, 2)
        return tuple(tuple(self.items[i] for i in group) for group in near.groups(len(self.items), found))

    @property
    def near_overlap(self) -> tuple[tuple[One, One], ...]:
        """Items of val or test that are near an item of train, and not equal to one: (held out, training), one each."""
        exact = {id(held) for held, _ in self.overlap}
        found: dict[int, tuple[One, One]] = {}
        for pair in self._near:
            for held, other in (pair, pair[::-1]):
                if held.split in ("val", "test") and other.split == "train" and id(held) not in exact:
                    found.setdefault(id(held), (held, other))
        return tuple(found.values())

    @property
    def near_in_train(self) -> float:
        """Share of the training items that are near another training item: how alike items are by nature."""
        train = {id(i) for i in self.items if i.split == "train"}
        close = {id(i) for a, b in self._near if id(a) in train and id(b) in train for i in (a, b)}
        return len(close) / len(train) if train else 0.0

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


def _same_size(a: One, b: One) -> bool:
    """Whether two arrays of like course have the same level and spread: parallel paths are no copies."""
    return a.shape == b.shape and abs(a.mean - b.mean) <= SAME * a.sd and abs(a.sd - b.sd) <= SAME * a.sd


def profile(artifacts: Artifacts, name: str, entries: Sequence[Entry]) -> Profile | None:
    """The profile of files that belong together; None where no file holds anything to profile.

    At most 10,000 files and about 128 MiB are read, evenly over all of them, always the same ones.
    """
    typical = float(np.mean([e.item.size for e in evenly(entries, 50)])) if entries else 0.0
    chosen = labelled(artifacts, evenly(entries, max(20, min(FILES, int(BYTES / max(1.0, typical))))))
    measurer = Measurer()
    unreadable: dict[str, str] = {}
    kinds: Counter[Kind] = Counter()
    ranges: dict[str, tuple[float, float]] = {}
    remedy = ""
    read = artifacts.read_ahead([e.item for e in chosen])
    for entry, (_, contents) in zip(chosen, read, strict=True):
        if isinstance(contents, UnreadableError):
            unreadable[entry.item.name] = str(contents)
            remedy = remedy or contents.remedy
            if contents.remedy and len(unreadable) == len(chosen[: len(unreadable)]) and len(unreadable) >= 3:
                break  # every file needs the same library
            continue
        if contents.problems and not all(" read" in p for p in contents.problems):
            unreadable[entry.item.name] = f"in part: {contents.problems[0]}"
        kind, made = items_of(entry, contents, each=len(entries) >= MANY)
        kinds[kind] += 1
        if kind not in ("grids", "texts", "sounds"):
            _widen(ranges, contents.arrays)
        for one in made[: ITEMS - len(measurer)]:
            measurer.add(one)
        if len(measurer) >= ITEMS:
            break
    if not len(measurer) and not unreadable:
        return None
    kind = kinds.most_common(1)[0][0] if kinds else "arrays"
    units = guesses(ranges, pictures=kind == "pictures")
    return Profile(name, kind, len(entries), len(chosen), tuple(measurer.items()), unreadable, remedy, units)


def _widen(ranges: dict[str, tuple[float, float]], arrays: Mapping[str, Array]) -> None:
    """Lowest and highest finite value of each array of numbers so far; bytes need no guess."""
    for name, array in arrays.items():
        if array.dtype.kind not in "iuf" or array.dtype == np.uint8 or not array.size or len(ranges) > 200:
            continue
        held = array[np.isfinite(array)] if array.dtype.kind == "f" else array
        if held.size:
            low, high = ranges.get(name, (np.inf, -np.inf))
            ranges[name] = (min(low, float(held.min())), max(high, float(held.max())))


def items_of(entry: Entry, contents: Contents, *, each: bool = False) -> tuple[Kind, list[Waiting]]:
    """What one file holds: pictures, grids, sounds, texts, rows of a table, or one array.

    `each`: the data set has so many files that small arrays are one sample a file.
    """
    held = {k: v for k, v in contents.arrays.items() if v.dtype.kind in "iufb" and v.size and v.ndim}
    if list(held) == ["sound"]:
        return "sounds", _each("sounds", entry, [held["sound"]])
    pictures = pictures_of(held)
    if pictures:
        return "pictures", _each("pictures", entry, pictures, _class_names(_labels(held, len(pictures))))
    grids = stored_grids(held, maybe_pictures=False)
    if grids:
        return "grids", _each("grids", entry, grids, _class_names(_labels(held, len(grids))))
    records = records_of(contents) if entry.split and entry.item.suffix in TABLES and _rows(held) is None else []
    if records:
        return "texts", _each("texts", entry, [_bytes(t) for t in records], _class_names(_labels(held, len(records))))
    if not held:
        texts = texts_of(contents)
        return ("texts" if texts else "arrays"), _each("texts", entry, [_bytes(t) for t in texts])
    return _stacked(entry, held, each=each)


def _bytes(text: str) -> Array:
    return np.frombuffer(text.encode("utf-8", "replace") or b" ", np.uint8)


def _each(kind: Kind, entry: Entry, arrays: Sequence[Array], labels: Sequence[str] = ()) -> list[Waiting]:
    """One item for each array of a file: `name[3]` where there are several."""
    name, many = entry.item.name, len(arrays) > 1
    return [
        Waiting(f"{name}[{i}]" if many else name, labels[i] if labels else entry.label, entry.split, array, kind)
        for i, array in enumerate(arrays)
    ]


def _labels(held: Mapping[str, Array], count: int) -> Array | None:
    """The array of class labels beside `count` items."""
    return next((v for k, v in held.items() if k.lower() in LABELS and v.ndim == 1 and len(v) == count > 1), None)


def _stacked(entry: Entry, held: dict[str, Array], *, each: bool) -> tuple[Kind, list[Waiting]]:
    """Files that stack many items along the first axis (`x` with `y`), else one item a file."""
    rows = _rows(held) if entry.split and entry.item.suffix in TABLES else None
    if rows is not None:
        return "records", _each("records", entry, list(rows[:ITEMS]), _class_names(_labels(held, len(rows))))
    main = main_array(held)
    if main is None:
        return "arrays", []
    labels = _labels({k: v for k, v in held.items() if v is not main}, len(main))
    table = all(len(v) == len(main) for v in held.values()) and (
        len(held) > 1 or entry.item.suffix in (".json", ".jsonl", ".csv", ".parquet")
    )
    if each and labels is None and entry.item.suffix == ".npy" and main.size <= SMALL:
        return "arrays", _each("arrays", entry, [main])
    if main.ndim >= 2 and (labels is not None or table or (len(main) >= 20 and entry.item.suffix in (".npy", ".h5", ".hdf5"))):  # fmt: skip
        return "records", _each("records", entry, list(main[:ITEMS]), _class_names(labels))
    return "arrays", _each("arrays", entry, [main])


def _rows(held: Mapping[str, Array]) -> Array | None:
    """The rows of a table (n, columns) without what only numbers them; None where chance could make two rows alike."""
    columns = {k: v for k, v in held.items() if v.ndim == 1 and np.issubdtype(v.dtype, np.number)}
    if len({len(v) for v in columns.values()}) != 1:
        return None
    kept, fine = [], 0
    for name, column in columns.items():
        distinct = len(np.unique(column)) / max(1, len(column))
        whole = bool(np.all(column == np.round(column)))
        if name.lower() in LABELS or (whole and distinct == 1.0):
            continue  # a label, or a number of the row
        kept.append(column)
        fine += not whole and distinct > 0.5
    return np.stack(kept, axis=1) if fine >= FINE else None


def _class_names(labels: Array | None) -> list[str]:
    if labels is None or len(np.unique(labels)) > CLASSES or not np.array_equal(labels, np.round(labels)):
        return []
    return [str(int(v)) for v in labels]
