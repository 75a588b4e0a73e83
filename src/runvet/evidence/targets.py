"""The targets of a data set beside cheap features of their inputs: can anything predict them?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from runvet.artifacts.grouping import DATA, words
from runvet.artifacts.model import Array, Artifacts, Contents, Item, UnreadableError, evenly
from runvet.artifacts.pairs import side
from runvet.artifacts.tables import columns as as_columns
from runvet.evidence import Missing, provides
from runvet.evidence.predictions import Pair, Predictions, judged
from runvet.evidence.stacks import pictures, records, stacks, texts
from runvet.run import FloatArray, Run
from runvet.statistics.ridge import Probe, probe

TARGET = frozenset(
    "traj trajectory trajectories target targets future waypoint waypoints path paths y pose poses gt truth".split()
)
GROUP = ("scene", "scene_id", "batch_id", "recording", "recording_id", "sequence", "sequence_id", "clip", "session", "video", "log_id", "scenario")  # fmt: skip
# What orders or names samples, and what tells the answer, is no feature.
_NO_FEATURE = frozenset(
    "id ids index idx frame frames timestamp timestamps time split future pred prediction output weight".split()
)
ROWS = 1_200
FILES = 12
OUTPUTS = 48
WORDS = 40
PICTURES = 240
_WORD = re.compile(r"[a-z]{2,}|\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Targets:
    """Targets `y` (n, …) of one file, features `x` (n, k), names of the features, and the group of each sample (n,).

    `grouped` says whether a column told the groups; else each sample is its own.
    """

    name: str
    where: str
    y: FloatArray
    x: FloatArray
    features: tuple[str, ...]
    groups: np.ndarray[tuple[int], np.dtype[np.int64]]
    grouped: bool


@dataclass(frozen=True, slots=True)
class Learnability:
    """The probe of a file's targets, and the saved predictions of the same kind of target (None where there are none)."""

    targets: Targets
    probe: Probe
    pair: Pair | None


@dataclass(frozen=True, slots=True)
class Probes:
    """One for each file of data with features; never empty."""

    all: tuple[Learnability, ...]


@provides
def probes(run: Run, predictions: Predictions | None) -> Probes | Missing:
    kept = run.artifacts
    found = kept.memo("probes", lambda: tuple(_probed(kept))) if kept is not None else ()
    if not found:
        return Missing("no targets beside cheap features of their inputs",
                       "keep a table of targets with speed, class or text of each sample in data/", applicable=False)  # fmt: skip
    pairs = judged(predictions.pairs, fewest=30) if predictions else []
    return Probes(tuple(Learnability(t, p, _of(t, pairs)) for t, p in found))


def _of(targets: Targets, pairs: Sequence[Pair]) -> Pair | None:
    """The predictions of targets: those of the same file, else those of the same shape."""
    same = [p for p in pairs if p.where == targets.where] or [p for p in pairs if p.shape == targets.y.shape[1:]]
    return min(same, key=lambda p: p.r2, default=None)


def _probed(artifacts: Artifacts) -> Iterator[tuple[Targets, Probe]]:
    for targets in (*_in_files(artifacts), *_stacked(artifacts)):
        flat = targets.y.reshape(len(targets.y), -1)
        some = flat[:, np.unique(np.round(np.linspace(0, flat.shape[1] - 1, OUTPUTS)).astype(int))]
        yield targets, probe(targets.x, some, targets.groups)


def _in_files(artifacts: Artifacts) -> Iterator[Targets]:
    for item in evenly([i for i in artifacts.items if _may_hold(i)], FILES):
        try:
            targets = targets_of(artifacts, item, artifacts.read(item))
        except UnreadableError:
            continue
        if targets is not None:
            yield targets


def _stacked(artifacts: Artifacts) -> Iterator[Targets]:
    """Targets that are one file a sample, with what texts, tables and pictures of the same names tell."""
    for stack in stacks(artifacts)[:3]:
        keep = np.unique(np.round(np.linspace(0, len(stack.names) - 1, min(len(stack.names), PICTURES))).astype(int))
        names = [stack.names[int(i)] for i in keep]
        table, told, seen = records(artifacts, stack), texts(artifacts, stack), pictures(artifacts, stack)
        joined: list[dict[str, Any]] = [{**table.get(n, {}), **({"text": told[n]} if n in told else {})} for n in names]
        y = stack.array[keep]
        columns = _texts(joined)
        if all(joined):
            for key, column in as_columns(joined).items():
                if _is_feature(key, column) and column.ndim == 1 and key not in ("x", "y", "z"):
                    columns[key] = column[:, None]
        for folder, items in seen.items():
            colours = [_colours(artifacts, items[n]) for n in names]
            good = [c for c in colours if c is not None]
            if len(good) == len(names):
                columns[folder.rpartition("/")[2]] = np.array(good)
        made = _made(
            stack.folder.rpartition("/")[2], stack.folder, y, columns, *_groups({}, joined, np.arange(len(names)))
        )
        if made is not None:
            yield made


def _may_hold(item: Item) -> bool:
    told = {w for part in item.parts for w in words(part)}
    if item.suffix in (".json", ".jsonl", ".csv"):
        return bool(told & (DATA | TARGET)) and item.size < 64 << 20
    if item.peek is None or item.suffix != ".npz":
        return False
    try:
        names = item.peek()
    except UnreadableError:
        return False
    return any(set(words(n)) & TARGET or side(n)[0] == "true" for n in names)


def targets_of(artifacts: Artifacts, item: Item, contents: Contents) -> Targets | None:
    """Targets and features of one file, at most 1,200 samples, evenly; None where there are fewer than 80, or no feature."""
    arrays = {k: v for k, v in contents.arrays.items() if v.dtype.kind in "iufb" and v.ndim and len(v) >= 80}
    named = [k for k in arrays if side(k)[0] != "pred" and (set(words(k)) & TARGET or side(k)[0] == "true")]
    if {"x", "yaw"} <= set(arrays) or {"x", "z"} <= set(arrays):
        named = [k for k in named if k != "y"]  # a coordinate
    if not named:
        return None
    name = max(named, key=lambda k: arrays[k].size)
    n = len(arrays[name])
    rows = np.unique(np.round(np.linspace(0, n - 1, min(n, ROWS))).astype(int))
    y = np.asarray(arrays[name][rows], np.float64)
    if y[0].size > 4096 or (y == np.round(y)).all():
        return None
    plain = contents.plain if isinstance(contents.plain, list) and len(contents.plain) == n else []
    columns = {k: np.asarray(v[rows], np.float64).reshape(len(rows), -1) for k, v in arrays.items() if k != name and len(v) == n and _is_feature(k, v)}  # fmt: skip
    chosen = [plain[int(i)] for i in rows] if plain else []
    columns |= _texts(chosen) | _seen(artifacts, chosen)
    return _made(name, item.name, y, columns, *_groups(contents.arrays, plain, rows))


def _made(
    name: str,
    where: str,
    y: FloatArray,
    columns: Mapping[str, FloatArray],
    groups: np.ndarray[tuple[int], np.dtype[np.int64]],
    grouped: bool,
) -> Targets | None:
    """Targets with features, without incomplete samples; None where too little is left to judge."""
    if not columns:
        return None
    x = np.concatenate(list(columns.values()), axis=1)
    good = np.isfinite(x).all(axis=1) & np.isfinite(y.reshape(len(y), -1)).all(axis=1)
    if good.sum() < 80 or y[good].std() == 0 or x.shape[1] > good.sum() // 2 or len(np.unique(groups[good])) < 5:
        return None
    return Targets(name, where, y[good], x[good], tuple(columns), groups[good], grouped)


def _is_feature(name: str, array: Array) -> bool:
    told = set(words(name))
    return not told & (_NO_FEATURE | TARGET) and not side(name)[0] and name.lower() not in GROUP and array[0].size <= 64


def _groups(
    arrays: Mapping[str, Array], plain: Sequence[Any], rows: Array
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], bool]:
    for key in GROUP:
        if key in arrays and arrays[key].ndim == 1 and len(arrays[key]) > rows.max():
            return np.unique(arrays[key][rows], return_inverse=True)[1].astype(np.int64), True
        if plain and all(isinstance(r, dict) and isinstance(r.get(key), (str, int)) for r in plain):
            told = [str(plain[int(i)][key]) for i in rows]
            return np.unique(told, return_inverse=True)[1].astype(np.int64), True
    # Neighbours in a file are often alike: blocks of ten are held out together.
    return np.arange(len(rows), dtype=np.int64) // 10, False


def _texts(records: Sequence[Any]) -> dict[str, FloatArray]:
    """Words and numbers of text columns: presence of the most frequent words, (n, up to 40)."""
    out: dict[str, FloatArray] = {}
    if not records or not all(isinstance(r, dict) for r in records):
        return out
    for key in list(records[0])[:40]:
        texts = [r.get(key) for r in records]
        if not all(isinstance(t, str) for t in texts) or set(words(key)) & _NO_FEATURE or key.lower() in GROUP:
            continue
        told = [set(_WORD.findall(str(t).lower())) for t in texts]
        counts = Counter(w for one in told for w in one)
        chosen = [w for w, c in counts.most_common(WORDS) if 0.02 * len(texts) <= c <= 0.98 * len(texts)]
        if chosen:
            out[str(key)] = np.array([[float(w in one) for w in chosen] for one in told])
    return out


def _seen(artifacts: Artifacts, records: Sequence[Any]) -> dict[str, FloatArray]:
    """Mean colours of 4 by 4 parts of pictures that records name, where all of them are kept and few enough."""
    out: dict[str, FloatArray] = {}
    if not records or len(records) > PICTURES or not all(isinstance(r, dict) for r in records):
        return out
    known = {i.name.rpartition("/")[2]: i for i in artifacts.items if i.suffix in (".png", ".jpg", ".jpeg")}
    for key in list(records[0])[:40] if known else ():
        items = [known.get(str(r.get(key)).rpartition("/")[2]) for r in records]
        made = [_colours(artifacts, i) for i in items if i is not None]
        good = [m for m in made if m is not None]
        if len(good) == len(records):
            out[str(key)] = np.array(good)
    return out


def _colours(artifacts: Artifacts, item: Item) -> FloatArray | None:
    try:
        picture = np.asarray(artifacts.read(item).arrays["image"], np.float64)
    except (UnreadableError, KeyError):
        return None
    rows = np.array_split(picture.reshape(*picture.shape[:2], -1)[..., :3], 4)
    return np.concatenate([part.mean(axis=(0, 1)) for row in rows for part in np.array_split(row, 4, axis=1)])
