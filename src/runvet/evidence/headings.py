"""Paths beside the heading of their samples: which turn by the heading brings the motion ahead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from runvet.artifacts.grouping import DATA, words
from runvet.artifacts.model import Array, UnreadableError, evenly
from runvet.artifacts.pairs import side
from runvet.evidence import Missing, provides
from runvet.evidence.stacks import TARGET, records, stacks
from runvet.run import FloatArray, Run

HEADING = ("yaw", "heading", "theta", "ego_yaw", "ego_heading", "yaw_rad")
TURNS = (0, -1, -2, 1)  # times the heading: as stored, turned back once, turned the wrong way round, and once more
FEWEST = 50


@dataclass(frozen=True, slots=True)
class Headed:
    """Paths of one file. `concentration` (4,) of the directions at the end (1 all alike), turned by each of `TURNS`.

    `spread` is the circular concentration of the headings themselves; `n` the paths that move.
    """

    where: str
    concentration: FloatArray
    spread: float
    n: int


@dataclass(frozen=True, slots=True)
class Headings:
    """All paths that have headings; never empty."""

    all: tuple[Headed, ...]


@provides
def headings(run: Run) -> Headings | Missing:
    found = [h for where, paths, yaw in _both(run) if (h := _headed(where, paths, yaw)) is not None]
    if not found:
        return Missing("no paths beside the heading of their samples", "keep yaw of each sample beside its path", applicable=False)  # fmt: skip
    return Headings(tuple(found))


def _both(run: Run) -> Iterator[tuple[str, Array, Array]]:
    kept = run.artifacts
    if kept is None:
        return
    for stack in stacks(kept):
        told = records(kept, stack)
        key = next((k for k in HEADING if told and all(isinstance(told.get(n, {}).get(k), (int, float)) for n in stack.names)), "")  # fmt: skip
        if key:
            yield stack.folder, stack.array, np.array([float(told[n][key]) for n in stack.names])
    tables = [i for i in kept.items if i.suffix in (".json", ".jsonl") and DATA & {w for p in i.parts for w in words(p)} and i.size < 64 << 20]  # fmt: skip
    for item in evenly(tables, 6) + evenly([i for i in kept.items if i.suffix == ".npz" and i.peek], 48):
        try:
            if item.peek is not None and not set(HEADING) & set(item.peek()):
                continue
            arrays = kept.read(item).arrays
        except UnreadableError:
            continue
        yaw = next((arrays[k] for k in HEADING if k in arrays and arrays[k].ndim == 1), None)
        for name, array in arrays.items():
            if yaw is not None and array.ndim == 3 and len(array) == len(yaw) and side(name)[0] != "pred" and set(words(name)) & TARGET:  # fmt: skip
                yield f"{item.name}: {name}", array, yaw


def _headed(where: str, paths: Array, yaw: Array) -> Headed | None:
    if paths.ndim != 3 or paths.shape[1] < 4 or paths.shape[2] not in (2, 3):
        return None
    paths, yaw = np.asarray(paths, np.float64), np.asarray(yaw, np.float64)
    moved = paths[:, -1, :2] - paths[:, 0, :2]
    good = np.isfinite(moved).all(axis=1) & np.isfinite(yaw)
    if good.sum() < FEWEST:
        return None
    moved, yaw = moved[good], yaw[good]
    # Radians may be unwrapped beyond a turn; degrees lie beyond it for most samples.
    yaw = np.radians(yaw) if np.median(np.abs(yaw)) > 2 * np.pi else yaw
    size = np.linalg.norm(moved, axis=1)
    moving = size > 0.1 * np.quantile(size, 0.9)
    if moving.sum() < FEWEST:
        return None
    angle = np.arctan2(moved[moving, 1], moved[moving, 0])
    told = [float(np.abs(np.mean(np.exp(1j * (angle + turn * yaw[moving]))))) for turn in TURNS]
    return Headed(where, np.array(told), float(np.abs(np.mean(np.exp(1j * yaw[moving])))), int(moving.sum()))
