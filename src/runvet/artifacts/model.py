"""The files beside the logs, as rules see them: names now, contents when they are asked for."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
T = TypeVar("T")
AHEAD = 4  # threads that read ahead
SAMPLE = 8  # files that tell how quick the disk is
TINY = 4096  # bytes of files whose unpacking is mostly Python code: a second thread would wait for the first one's lock
TOGETHER = 1 << 20  # bytes of files that one thread reads before it hands them over
CACHE = 256 << 20  # bytes of arrays that are kept once read
KEPT_AHEAD = 2 << 20  # bytes kept of what is read from end to end: memory used again is quicker than fresh memory


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
        known = self._keep(item, self._load(item))
        if isinstance(known, UnreadableError):
            raise known
        return known

    def read_ahead(self, items: Sequence[Item]) -> Iterator[tuple[Item, Contents | UnreadableError]]:
        """Each item with its contents (or why it has none), in order; the next few are read by threads meanwhile.

        Unpacking and decoding leave Python's lock alone, and a network's disk answers several questions at once: only
        tiny files of a quick disk are read by one thread.
        """
        workers = 1 if self._quick(items[:SAMPLE]) else min(AHEAD, os.cpu_count() or 1)
        with ThreadPoolExecutor(workers) as pool:
            waiting: deque[tuple[list[Item], Future[list[Contents | UnreadableError]]]] = deque()
            for batch in _batches(items):
                waiting.append((batch, pool.submit(self._load_all, batch)))
                if len(waiting) > 2 * workers:
                    yield from self._arrived(*waiting.popleft())
            while waiting:
                yield from self._arrived(*waiting.popleft())

    def _arrived(
        self, batch: list[Item], future: Future[list[Contents | UnreadableError]]
    ) -> Iterator[tuple[Item, Contents | UnreadableError]]:
        for item, known in zip(batch, future.result(), strict=True):
            yield item, self._keep(item, known, KEPT_AHEAD)

    def _load_all(self, batch: list[Item]) -> list[Contents | UnreadableError]:
        return [self._load(item) for item in batch]

    def _quick(self, items: Sequence[Item]) -> bool:
        """Whether these files are tiny and the disk gives them sooner than they are unpacked."""
        if not items or sum(i.size for i in items) > TINY * len(items):
            return False
        clock, used = time.perf_counter(), time.thread_time()
        for item in items:
            self._keep(item, self._load(item), KEPT_AHEAD)
        return time.perf_counter() - clock < 2 * (time.thread_time() - used)

    def _load(self, item: Item) -> Contents | UnreadableError:
        known = self._read.get(item.name)
        if known is not None:
            return known
        try:
            return item.load()
        except UnreadableError as error:
            return error

    def _keep(self, item: Item, known: Contents | UnreadableError, most: int = CACHE) -> Contents | UnreadableError:
        size = known.size if isinstance(known, Contents) else 0
        if item.name not in self._read and self._kept + size <= most:
            self._read[item.name] = known
            self._kept += size
        return known

    def memo(self, key: str, make: Callable[[], T]) -> T:
        """The value that `make` gave the first time (groupings that several stages share)."""
        if key not in self._memo:
            self._memo[key] = make()
        value: T = self._memo[key]
        return value


def _batches(items: Sequence[Item]) -> Iterator[list[Item]]:
    """Items in runs of about a megabyte and at most 32: handing over single small files costs more than reading them."""
    batch: list[Item] = []
    size = 0
    for item in items:
        batch.append(item)
        size += item.size
        if len(batch) >= 32 or size > TOGETHER:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def evenly(items: Sequence[T], most: int) -> list[T]:
    """At most `most` of a sequence, evenly spread, the first and the last among them; always the same ones."""
    if len(items) <= most:
        return list(items)
    picked = np.unique(np.round(np.linspace(0, len(items) - 1, most)).astype(int))
    return [items[int(i)] for i in picked]
