"""What belongs together within a window of a data set: times, identities and recordings of its steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from runvet.artifacts.grouping import DATA, words
from runvet.artifacts.model import Array, Artifacts, Item, UnreadableError, evenly
from runvet.evidence import Missing, provides
from runvet.run import FloatArray, Run

TIME = frozenset("timestamp timestamps time times frame frames framenum t".split())
IDENTITY = frozenset(
    "track tracks trackid trackids agent agents object objects vehicle vehicles person persons actor identity".split()
)
RECORDING = frozenset(
    "scene scenes batch recording recordings sequence sequences clip clips session sessions log video videos".split()
)
FILES = 12
_MOST = 20_000


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of one file. Each array is (n, steps) or empty: times, codes of identities, codes of recordings."""

    where: str
    name: str
    times: FloatArray
    identities: Array
    recordings: Array

    @property
    def n(self) -> int:
        """How many windows."""
        return max(len(self.times), len(self.identities), len(self.recordings))


@dataclass(frozen=True, slots=True)
class WindowSets:
    """All files that tell times or identities within windows; never empty."""

    all: tuple[Windows, ...]


@provides
def window_sets(run: Run) -> WindowSets | Missing:
    kept = run.artifacts
    found = kept.memo("windows", lambda: tuple(_windows(kept))) if kept is not None else ()
    if not found:
        return Missing("no windows that tell times or identities of their steps",
                       "save timestamps and track ids of each window beside the targets", applicable=False)  # fmt: skip
    return WindowSets(found)


def _windows(artifacts: Artifacts) -> Iterator[Windows]:
    for item in evenly([i for i in artifacts.items if _may_hold(i)], FILES):
        try:
            contents = artifacts.read(item)
        except UnreadableError:
            continue
        arrays = {k: v for k, v in contents.arrays.items() if v.ndim == 2 and v.dtype.kind in "iufU"}
        arrays |= _texts(contents.plain)
        times, who, where = (_one(arrays, known) for known in (TIME, IDENTITY, RECORDING))
        made = Windows(item.name, "", np.asarray(times, np.float64) if times.dtype.kind in "iuf" else np.zeros((0, 0)), who, where)  # fmt: skip
        if made.n >= 20:
            yield made


def _may_hold(item: Item) -> bool:
    told = {w for part in item.parts for w in words(part)}
    if item.suffix in (".json", ".jsonl"):
        return bool(told & DATA) and item.size < 64 << 20
    if item.suffix != ".npz" or item.peek is None:
        return False
    try:
        shapes = item.peek()
    except UnreadableError:
        return False
    return any(len(s) == 2 and set(words(n)) & (TIME | IDENTITY | RECORDING) for n, (s, _) in shapes.items())


def _one(arrays: Mapping[str, Array], known: frozenset[str]) -> Array:
    """The array (n, steps) of at least 3 steps whose name has one of the words; for ids also the word `id` or `ids`."""
    for name, array in arrays.items():
        told = set(words(name))
        if told & known and array.shape[1] >= 3 and (known is TIME or told & {"id", "ids", "index", "trackid", "trackids"} or array.dtype.kind in "iuU"):  # fmt: skip
            return array[:_MOST]
    return np.zeros((0, 0))


def _texts(plain: Any) -> dict[str, Array]:
    """Lists of texts in records (`track_ids: ["a", "a", "b"]`) as arrays of texts."""
    records: Sequence[Any] = plain if isinstance(plain, list) else ()
    out: dict[str, Array] = {}
    if not records or not all(isinstance(r, dict) for r in records):
        return out
    for key in list(records[0])[:40]:
        lists = [r.get(key) for r in records[:_MOST]]
        if all(isinstance(v, list) and v and all(isinstance(e, str) for e in v) for v in lists) and len({len(v) for v in lists if v}) == 1:  # fmt: skip
            out[str(key)] = np.array(lists, dtype=str)
    return out
