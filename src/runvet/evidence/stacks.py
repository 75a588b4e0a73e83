"""Data sets that keep one small array a sample: `ground_truth_trajectories/ID.npy`, with texts and tables by the same names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from runvet.artifacts.grouping import words
from runvet.artifacts.model import Array, Artifacts, Item, UnreadableError, evenly

TARGET = frozenset("traj trajectory trajectories target targets future waypoint waypoints path paths pose poses gt truth tracks motion".split())  # fmt: skip
FEWEST = 20
MOST = 1_200  # samples that are read, evenly
VALUES = 4096
TEXT = ".txt"


@dataclass(frozen=True, slots=True)
class Stack:
    """Samples of one folder: names without folder and suffix, and their arrays as one (n, …) float64."""

    folder: str
    names: tuple[str, ...]
    array: Array

    @property
    def parent(self) -> str:
        """The folder that holds the folder."""
        return self.folder.rpartition("/")[0]


def stacks(artifacts: Artifacts) -> tuple[Stack, ...]:
    """Folders of twenty or more npy files of one shape whose folder's name speaks of targets or paths."""
    return artifacts.memo("stacks", lambda: tuple(_stacks(artifacts)))


def _stacks(artifacts: Artifacts) -> Iterator[Stack]:
    folders: dict[str, list[Item]] = {}
    for item in artifacts.items:
        folder = item.name.rpartition("/")[0]
        if item.suffix == ".npy" and TARGET & set(words(folder.rpartition("/")[2])):
            folders.setdefault(folder, []).append(item)
    for folder, items in list(folders.items())[:8]:
        if len(items) >= FEWEST:
            read = [(i, a) for i in evenly(items, MOST) if (a := _array(artifacts, i)) is not None]
            shape = read[0][1].shape if read else ()
            same = [(i, a) for i, a in read if a.shape == shape]
            if len(same) >= FEWEST:
                names = tuple(i.parts[-1].rpartition(".")[0] for i, _ in same)
                yield Stack(folder, names, np.stack([a for _, a in same]))


def _array(artifacts: Artifacts, item: Item) -> Array | None:
    try:
        array = next(iter(artifacts.read(item).arrays.values()))
    except (UnreadableError, StopIteration):
        return None
    good = array.dtype.kind in "fi" and array.ndim >= 1 and 2 <= array.size <= VALUES
    return np.asarray(array, np.float64) if good else None


def texts(artifacts: Artifacts, stack: Stack) -> dict[str, str]:
    """The text of each sample from files of the same name beside the folder: `text_prompts/ID.txt`."""
    wanted = set(stack.names)
    out = {}
    for item in artifacts.items:
        name = item.parts[-1].rpartition(".")[0]
        if item.suffix == TEXT and name in wanted and item.name.startswith(stack.parent):
            try:
                plain = artifacts.read(item).plain
            except UnreadableError:
                continue
            out[name] = " ".join(plain) if isinstance(plain, list) else str(plain)
    return out


def records(artifacts: Artifacts, stack: Stack) -> dict[str, Mapping[str, Any]]:
    """The record of each sample from a table beside the folder whose `id` (or `name`, `sample`) is the file's name."""
    wanted = set(stack.names)
    for item in artifacts.items:
        if item.suffix in (".json", ".jsonl") and item.name.rpartition("/")[0] == stack.parent and item.size < 64 << 20:
            try:
                plain = artifacts.read(item).plain
            except UnreadableError:
                continue
            for key in ("id", "name", "sample", "sample_id", "frame", "token"):
                if isinstance(plain, list) and plain and isinstance(plain[0], dict) and key in plain[0]:
                    found: dict[str, Mapping[str, Any]] = {str(r.get(key)): r for r in plain if isinstance(r, dict)}
                    if len(wanted & set(found)) >= 0.8 * len(wanted):
                        return found
    return {}


def pictures(artifacts: Artifacts, stack: Stack) -> dict[str, dict[str, Item]]:
    """Pictures of the samples by folder: folder -> name -> item, where every sample has one."""
    wanted = set(stack.names)
    out: dict[str, dict[str, Item]] = {}
    for item in artifacts.items:
        folder, _, file = item.name.rpartition("/")
        name = file.rpartition(".")[0]
        if item.suffix in (".png", ".jpg", ".jpeg") and name in wanted and item.name.startswith(stack.parent):
            out.setdefault(folder, {})[name] = item
    return {folder: found for folder, found in out.items() if len(found) == len(wanted)}
