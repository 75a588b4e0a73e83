"""Which recording each sample of each split is from: lists of ids by split, and a table of samples."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runvet.artifacts.grouping import SPLITS, words
from runvet.artifacts.model import Artifacts, Item, UnreadableError
from runvet.evidence import Missing, provides
from runvet.evidence.targets import GROUP
from runvet.run import Run

_ID = ("id", "name", "sample", "sample_id", "frame", "token", "image", "file")
_SPLIT = ("split", "subset", "fold", "partition")
_LISTS = (".txt", ".json")
_LARGEST = 64 << 20


@dataclass(frozen=True, slots=True)
class SplitGroups:
    """The recording of each sample, by split: split -> recordings in the order of the samples. `key` names the column."""

    where: str
    key: str
    recordings: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class SplitLists:
    """All tables whose samples are divided; never empty."""

    all: tuple[SplitGroups, ...]


@provides
def split_lists(run: Run) -> SplitLists | Missing:
    kept = run.artifacts
    found = kept.memo("split lists", lambda: tuple(_found(kept))) if kept is not None else ()
    if not found:
        return Missing("no lists of splits beside a table that tells recordings",
                       "keep split/train.txt and split/val.txt beside a table with id and recording of each sample", applicable=False)  # fmt: skip
    return SplitLists(found)


def _found(artifacts: Artifacts) -> Iterator[SplitGroups]:
    tables = [i for i in artifacts.items if i.suffix in (".jsonl", ".json", ".csv") and i.size < _LARGEST]
    lists = [i for i in artifacts.items if i.suffix in _LISTS and _split_of(i) and i.size < _LARGEST]
    if not lists and not any("split" in words(i.parts[-1]) for i in tables):
        # A table with a column of its own is read only where its name or folder speaks of data.
        tables = [i for i in tables if {"data", "dataset", "samples", "index", "meta", "metadata"} & {w for p in i.parts for w in words(p)}]  # fmt: skip
    for item in tables[:12]:
        rows = _rows(artifacts, item)
        key = next((k for k in GROUP if rows and k in rows[0]), None)
        if key is None:
            continue
        made = _by_column(rows, key) or _by_lists(artifacts, lists, item, rows, key)
        if len(made) > 1 and "train" in made:
            yield SplitGroups(item.name, key, made)


def _rows(artifacts: Artifacts, item: Item) -> list[Mapping[str, Any]]:
    try:
        contents = artifacts.read(item)
    except UnreadableError:
        return []
    if isinstance(contents.plain, list) and contents.plain and all(isinstance(r, dict) for r in contents.plain):
        return contents.plain
    return []


def _by_column(rows: list[Mapping[str, Any]], key: str) -> dict[str, tuple[str, ...]]:
    column = next((c for c in _SPLIT if c in rows[0]), None)
    made: dict[str, list[str]] = {}
    for row in rows:
        split = SPLITS.get(str(row.get(column)).lower()) if column else None
        if split and row.get(key) not in (None, ""):
            made.setdefault(split, []).append(str(row[key]))
    return {split: tuple(found) for split, found in made.items()}


def _by_lists(
    artifacts: Artifacts, lists: list[Item], table: Item, rows: list[Mapping[str, Any]], key: str
) -> dict[str, tuple[str, ...]]:
    """Lists of the table's own folder or one below it, whose ids the table knows."""
    column = next((c for c in _ID if c in rows[0]), None)
    known = {str(r.get(column)): str(r[key]) for r in rows if r.get(key) not in (None, "")} if column else {}
    folder = table.name.rpartition("/")[0]
    made: dict[str, tuple[str, ...]] = {}
    for item in lists:
        if known and item.name.startswith(folder + "/" if folder else "") and len(item.parts) <= len(table.parts) + 1:
            ids = _ids(artifacts, item)
            found = tuple(known[i] for i in ids if i in known)
            if ids and len(found) >= 0.8 * len(ids):
                made[_split_of(item)] = found
    return made


def _ids(artifacts: Artifacts, item: Item) -> list[str]:
    try:
        plain = artifacts.read(item).plain
    except UnreadableError:
        return []
    if isinstance(plain, str) or (isinstance(plain, list) and all(isinstance(line, str) for line in plain)):
        plain = [line for text in ([plain] if isinstance(plain, str) else plain) for line in text.split("\n") if line]
    return [re.sub(r"\.\w{2,5}$", "", str(i).strip()) for i in plain] if isinstance(plain, list) else []


def _split_of(item: Item) -> str:
    """The split that a file's own name tells: `train.txt`, `val_ids.json`."""
    return next((SPLITS[w] for w in words(item.parts[-1].rpartition(".")[0]) if w in SPLITS), "")
