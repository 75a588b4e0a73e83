"""Items of data sets: the ones that findings name, a spread of all, and how their numbers are distributed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from runvet.artifacts.grouping import Entry
from runvet.artifacts.model import Array, Artifacts, UnreadableError, evenly
from runvet.artifacts.profile import One, Profile, items_of, jump_ratios
from runvet.evidence.datasets import DataSets, Paths
from runvet.evidence.grids import Solid
from runvet.figures import voxels
from runvet.figures.histograms import histogram
from runvet.figures.thumbnails import heat, thumbnail
from runvet.report import Figure
from runvet.run import FloatArray, Run

SHEET = 24  # items of a sheet
GRIDS = 8  # grids of a set
SMALL = 96  # pixels of a thumbnail
GROUPS = 6  # groups of copies
CLASSES = 16  # classes whose items are counted
PATHS = 9
LOOKED = 256  # items that are opened for one figure
_INDEX = re.compile(r"^(.*)\[(\d+)\]$")


def faults(found: DataSets, run: Run) -> Iterator[Figure]:
    """Of each data set the constant, repeated, overlapping and broken items, its classes and its numbers."""
    for one in found.profiles if run.artifacts is not None else ():
        if run.artifacts is not None:
            yield from of_faults(one, run.artifacts)
        if len(one.labels) > 1:
            yield classes(one)
        yield from numbers(f"{one.name} in numbers", [(one.name, one)])


def classes(one: Profile) -> Figure:
    """How many items each class has."""
    rows = [
        {"label": label, "bars": [{"role": "data", "low": 0, "high": n}]}
        for label, n in list(one.labels.items())[:CLASSES]
    ]
    left = len(one.labels) - len(rows)
    note = f"the {len(rows)} largest of {len(one.labels):,} classes" if left else f"all {len(rows)} classes"
    return Figure("ranges", title=f"{one.name}: items of each class", note=note, data={"rows": rows, "low": 0})


def of_faults(one: Profile, artifacts: Artifacts) -> Iterator[Figure]:
    """One sheet (or turnable grids) of what is wrong with a set; nothing where nothing is, or nothing can be drawn."""
    rows: list[tuple[str, list[One]]] = [
        ("constant", evenly(one.constant, GROUPS)),
        ("not finite", evenly(one.broken, GROUPS)),
    ]
    rows += [(f"{len(g)} copies", list(g[:GROUPS])) for g in one.repeated[:GROUPS]]
    rows += [(f"{len(g)} near copies", list(g[:GROUPS])) for g in one.near_copies[:GROUPS]]
    rows += [("held out, and in train", list(pair)) for pair in evenly(one.overlap, GROUPS)]
    rows += [("held out, and nearly in train", list(pair)) for pair in evenly(one.near_overlap, GROUPS)]
    yield from _shown(f"{one.name}: items to look at", [r for r in rows if r[1]], one, artifacts)


def spread(one: Profile, artifacts: Artifacts) -> Iterator[Figure]:
    """Items of a set as they come, class by class: pictures or grids; and how its numbers are distributed."""
    labels = list(one.labels)[:GROUPS]
    rows = [(label, evenly([i for i in one.items if i.label == label], GROUPS)) for label in labels]
    if len(rows) < 2:
        rows = [("items", evenly(one.items, GRIDS if one.kind == "grids" else SHEET))]
    yield from _shown(f"{one.name}: {one.kind}", rows, one, artifacts)
    yield from _trajectories(one, artifacts)
    yield from numbers(f"{one.name} in numbers", [(one.name, one)])


def _trajectories(one: Profile, artifacts: Artifacts) -> Iterator[Figure]:
    """Records that are points in the plane or in space, one after the other."""
    shape = next(iter(one.shapes), ())
    if one.kind == "records" and len(shape) == 2 and shape[0] >= 5 and shape[1] in (2, 3):
        chosen = [i.name for i in evenly([i for i in one.items if i.shape == shape and not i.non_finite], LOOKED)]
        found = [a for name in chosen if (a := array_of(artifacts, name)) is not None]
        if found:
            yield plan(f"{one.name}: as paths", np.stack(found).astype(np.float64))


def beside(first: tuple[str, Profile, Artifacts], second: tuple[str, Profile, Artifacts]) -> Iterator[Figure]:
    """Items of two sets of one kind in one figure; ids that the second never holds are marked in the first."""
    sides = (first, second)
    if len({p.kind for _, p, _ in sides}) > 1:
        return
    rows = [(label, _loaded(evenly(p.items, GRIDS), kept)) for label, p, kept in sides]
    note = "; ".join(
        f"{len(part)} of {len(p.items):,} items {label}" for (label, part), (_, p, _) in zip(rows, sides, strict=True)
    )
    if first[1].kind == "grids":
        known = {int(v) for _, a in _loaded(evenly(second[1].items, LOOKED), second[2]) for v in np.unique(a)}
        groups = [(label, [_solid(i, a) for i, a in part]) for label, part in rows]
        yield voxels.shown("Beside each other", groups, known, first[2], note=note, other="there")
    else:
        yield from _sheet("Beside each other", rows, note)


def numbers(title: str, sets: Sequence[tuple[str, Profile]]) -> Iterator[Figure]:
    """Distributions over items of the measures that a profile has, all sets in the same bins."""
    measures: tuple[tuple[str, Callable[[One], float]], ...] = (
        ("filled cells of an item", lambda i: i.filled * float(np.prod(i.shape))),
        ("share of the largest connected part", lambda i: i.whole),
        ("mean of an item", lambda i: i.mean),
        ("standard deviation within an item", lambda i: i.sd),
    )
    grids = all(p.kind == "grids" for _, p in sets)
    panels = []
    for name, measure in measures[:2] if grids else measures[2:]:
        found = histogram(name, [(label, np.array([measure(i) for i in p.items], np.float64)) for label, p in sets])
        panels += [found] if found else []
    if panels:
        yield Figure("histograms", title=title, note=", ".join(f"{len(p.items):,} items of {n}" for n, p in sets),
                     data={"panels": panels})  # fmt: skip


def paths(found: Paths, _: Run) -> Iterator[Figure]:
    """Trajectories of the data, from the smoothest to the most torn."""
    for name, array in found.arrays[:2]:
        yield plan(f"{name}: paths of the data", array)


def plan(title: str, array: Array) -> Figure:
    """Paths (n, t, 2 or 3) seen from above, in the order of how much consecutive steps disagree."""
    ratio = jump_ratios(array)
    order = np.argsort(ratio, kind="stable")
    chosen = [int(order[i]) for i in evenly(range(len(array)), PATHS)]
    thin = np.unique(np.linspace(0, array.shape[1] - 1, min(array.shape[1], 64)).round().astype(int))
    items = [
        {"name": f"sample {i:,}", "facts": f"jumps {ratio[i]:.3g}",
         "lines": [{"role": "data", "points": [float(f"{v:.5g}") for v in array[i][thin, :2].ravel()]}]}
        for i in chosen
    ]  # fmt: skip
    note = (
        f"{len(items)} of {len(array):,}, from the smoothest to the most torn; jumps: change of a step over its length"
    )
    return Figure(
        "paths", title=title, note=note, data={"items": items, "facts": f"median jumps {np.median(ratio):.3g}"}
    )


def _shown(
    title: str, rows: Sequence[tuple[str, Sequence[One]]], one: Profile, artifacts: Artifacts
) -> Iterator[Figure]:
    loaded = [(label, part) for label, wanted in rows if (part := _loaded(wanted, artifacts))]
    note = f"{sum(len(p) for _, p in loaded)} of {len(one.items):,} items"
    if loaded and one.kind == "grids":
        groups = [(label, [_solid(i, a) for i, a in part[:GRIDS]]) for label, part in loaded]
        yield voxels.shown(title, groups, (), artifacts, note=note)
    elif loaded:
        yield from _sheet(title, loaded, f"{note}, evenly chosen")


def _loaded(items: Sequence[One], artifacts: Artifacts) -> list[tuple[One, Array]]:
    return [(i, a) for i in items if (a := array_of(artifacts, i.name)) is not None]


def _sheet(title: str, rows: Sequence[tuple[str, Sequence[tuple[One, Array]]]], note: str) -> Iterator[Figure]:
    drawn = [{"label": label, "items": [d for i, a in part if (d := _drawn(i, a))]} for label, part in rows]
    drawn = [g for g in drawn if g["items"]]
    if drawn:
        yield Figure("sheet", title=title, note=note, data={"groups": drawn})


def _solid(item: One, array: Array) -> Solid:
    values, number = np.unique(array, return_counts=True)
    return Solid(item.name, item.label, np.asarray(array, np.int64), frozenset({int(values[number.argmax()])}))


def _drawn(item: One, array: Array) -> dict[str, Any] | None:
    """An item as a thumbnail: pictures as they are, two-dimensional numbers in grey; None for what has no two sides."""
    facts = f"{item.low:.4g} to {item.high:.4g}"
    told = {"name": item.name, "facts": f"{item.label}, {facts}" if item.label else facts, "boxes": []}
    colour = array.ndim == 3 and array.shape[2] in (1, 3, 4)
    if colour and (array.dtype == np.uint8 or (array.min() >= 0 and array.max() <= 255)):
        return {**told, **thumbnail(array, SMALL)}
    flat: FloatArray = np.asarray(array[:, :, 0] if colour else array, np.float64)
    if flat.ndim != 2 or min(flat.shape) < 4:
        return None
    finite = flat[np.isfinite(flat)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    return {**told, **heat(flat, low, high, SMALL)}


def array_of(artifacts: Artifacts, name: str) -> Array | None:
    """The array of an item by its name in a profile (`file.npz` or `file.npz[3]`); None where it can't be read."""
    known = artifacts.memo("items by name", lambda: {i.name: i for i in artifacts.items})
    found = None if name in known else _INDEX.match(name)
    item = known.get(found[1] if found else name)
    if item is None:
        return None
    try:
        contents = artifacts.read(item)
    except UnreadableError:
        return None
    made = artifacts.memo(
        f"arrays of {item.name}", lambda: {w.name: w.array for w in items_of(Entry(item), contents)[1]}
    )
    return made.get(name)
