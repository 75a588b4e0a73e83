"""The files beside the logs, as rules see them: names now, contents when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
T = TypeVar("T")
CACHE = 256 << 20  # bytes of arrays that are kept once read


class UnreadableError(Exception):
    """A file that could not be read: the message says why. `remedy` says what would help, if anything does."""

    def __init__(self, why: str, remedy: str = "") -> None:
        super().__init__(why)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Contents:
    """The arrays of one file by their names, and what of it could not be read.

    `plain` is the value of a JSON file (dicts, lists, numbers, texts), None for others.
    """

    arrays: Mapping[str, Array]
    problems: tuple[str, ...] = ()
    plain: Any = None

    @property
    def size(self) -> int:
        """Bytes of all arrays."""
        return sum(a.nbytes for a in self.arrays.values())


@dataclass(frozen=True, slots=True)
class Item:
    """One file that may hold a sample, data or predictions; `name` is relative to the run's folder.

    `load` reads it and raises UnreadableError; `peek` (npz and npy) gives names, shapes and types of the arrays
    without reading them.
    """

    name: str
    size: int
    load: Callable[[], Contents] = field(repr=False)
    peek: Callable[[], Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]]] | None = field(default=None, repr=False)

    @property
    def suffix(self) -> str:
        """The lower-case suffix with its dot."""
        stem, dot, suffix = self.name.rpartition(".")
        return dot + suffix.lower() if dot and "/" not in suffix and stem else ""

    @property
    def parts(self) -> tuple[str, ...]:
        """Folders and file name."""
        return tuple(self.name.split("/"))


@dataclass(frozen=True, slots=True)
class Listing:
    """All files of a folder that could be artifacts, in the order of their names; `note` says what was left out."""

    items: tuple[Item, ...]
    note: str = ""


class Artifacts:
    """The files of a run beside its logs. Nothing is listed before the first use, nothing is opened before `read`."""

    def __init__(self, find: Callable[[], Listing]) -> None:
        self._find = find
        self._listing: Listing | None = None
        self._read: dict[str, Contents | UnreadableError] = {}
        self._kept = 0
        self._memo: dict[str, Any] = {}

    @property
    def listing(self) -> Listing:
        """The files, found on first use."""
        if self._listing is None:
            self._listing = self._find()
        return self._listing

    @property
    def items(self) -> tuple[Item, ...]:
        """The files in the order of their names."""
        return self.listing.items

    def read(self, item: Item) -> Contents:
        """The contents of a file; kept in memory up to a bound. Raises UnreadableError."""
        known = self._read.get(item.name)
        if known is None:
            try:
                known = item.load()
            except UnreadableError as error:
                known = error
            size = known.size if isinstance(known, Contents) else 0
            if self._kept + size <= CACHE:
                self._read[item.name] = known
                self._kept += size
        if isinstance(known, UnreadableError):
            raise known
        return known

    def memo(self, key: str, make: Callable[[], T]) -> T:
        """The value that `make` gave the first time (groupings that several stages share)."""
        if key not in self._memo:
            self._memo[key] = make()
        value: T = self._memo[key]
        return value


def in_memory(files: Mapping[str, Mapping[str, Any] | Sequence[Any]]) -> Artifacts:
    """Artifacts of arrays by file name: for examples, tests and notebooks.

    A mapping whose values are arrays stands for an npz file (or a picture: one array `image`), any other value
    for a JSON file. Names are sorted as a folder's are.
    """

    def item(name: str, value: Any) -> Item:
        arrays = isinstance(value, Mapping) and all(isinstance(v, np.ndarray) for v in value.values())
        if not arrays:
            from runvet.artifacts.tables import columns

            return Item(name, 1, lambda: Contents(columns(value), plain=value))
        peek = {k: (v.shape, v.dtype) for k, v in value.items()}
        return Item(name, sum(v.nbytes for v in value.values()), lambda: Contents(value), lambda: peek)

    listing = Listing(tuple(item(name, files[name]) for name in sorted(files)))
    return Artifacts(lambda: listing)


def evenly(items: Sequence[T], most: int) -> list[T]:
    """At most `most` of a sequence, evenly spread, the first and the last among them; always the same ones."""
    if len(items) <= most:
        return list(items)
    picked = np.unique(np.round(np.linspace(0, len(items) - 1, most)).astype(int))
    return [items[int(i)] for i in picked]
