"""Voxel grids as lists of the cells that can be seen, with what a page needs to draw them turned."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from runvet.artifacts.grids import Grid, grids_of
from runvet.artifacts.grouping import groups as groups_of
from runvet.artifacts.labels import named_ids
from runvet.artifacts.model import Artifacts, UnreadableError, evenly
from runvet.evidence.artifact_groups import ARRAYS
from runvet.evidence.grids import GridSamples, Solid
from runvet.figures import palette
from runvet.figures.histograms import histogram
from runvet.report import Figure
from runvet.run import Run

EACH = 6  # grids of one set that are shown
EARLIER = 3  # earlier steps, with one grid each
SIDE = 96  # cells along an axis that are shown; larger grids are thinned
CELLS = 12_000  # cells of one grid that are sent: the surface of a solid block of 45 cells a side
PARTED = 300_000  # cells of the largest grid whose parts are told apart

Mask = npt.NDArray[np.bool_]


def samples(found: GridSamples, run: Run) -> Iterator[Figure]:
    """Samples of the last step, one of some earlier steps, and data: turnable; and their densities beside each other."""
    groups: list[tuple[str, Sequence[Solid]]] = [(f"samples, {found.when}", evenly(found.samples, EACH))]
    groups.append(("earlier steps", _earlier(found, run)))
    groups.append(("data", _of_each_class(_nearest_first(found), EACH)))
    yield shown(
        "Samples beside data" if found.data else "Samples",
        groups,
        found.seen,
        run.artifacts,
        note=f"{found.read}; {_empty(found)}",
    )
    counted = [("samples", found.samples), ("data", found.data)]
    panels = [
        histogram("filled cells of a grid", [(n, np.array([g.filled for g in part])) for n, part in counted]),
        histogram("share of the largest connected part", [(n, _shares(part)) for n, part in counted]),
    ]
    yield Figure("histograms", title="Samples and data in numbers", note=found.read,
                 data={"panels": [p for p in panels if p]})  # fmt: skip


def shown(
    title: str,
    groups: Sequence[tuple[str, Sequence[Solid]]],
    seen: Iterable[int],
    artifacts: Artifacts | None,
    *,
    note: str = "",
    other: str = "the data",
) -> Figure:
    """Groups of grids as one figure whose grids turn together; ids that `seen` (of `other`) lacks are marked as foreign."""
    known = frozenset(seen)
    names = named_ids(artifacts) if artifacts is not None else {}
    every = [g for _, part in groups for g in part]
    ids: Counter[int] = Counter()
    for grid in every:
        ids.update({v: n for v, n in grid.values.items() if v not in grid.background})
    order = [v for v, _ in ids.most_common(palette.MOST)]
    drawn = [{"label": label, "grids": [_grid(g, order, known) for g in part]} for label, part in groups if part]
    told = f"{note}; " if note else ""
    return Figure(
        "grids",
        title=title,
        note=f"{told}chosen evenly, always the same ones",
        data={
            "groups": drawn,
            "other": other,
            "up": _upright([g.grid != _common(g) for g in every[-EACH:]]),
            "palette": [palette.entry(v, names.get(v, ""), i) | {"foreign": bool(known) and v not in known}
                        for i, v in enumerate(order)],
        },
    )  # fmt: skip


def _earlier(found: GridSamples, run: Run) -> list[Solid]:
    """One grid of some steps before the last; the label is the step."""
    kept = run.artifacts
    made = kept.memo("grid groups", lambda: groups_of(kept.items, ARRAYS)) if kept is not None else ()
    group = next((g for g in made if g.name == found.where and g.what == "samples"), None)
    if kept is None or group is None or found.step is None:
        return []
    out = []
    for step in evenly(group.steps[:-1], EARLIER):
        item = group.at(step)[0].item
        try:
            read = grids_of(kept.read(item).arrays)
        except UnreadableError:
            continue
        out += [Solid(item.name, f"{group.axis} {step:,.0f}", grid, found.background) for grid in read[:1]]
    return out


def _nearest_first(found: GridSamples) -> Sequence[Solid]:
    """Data of the classes that the samples have, all data where those have none."""
    labels = {g.label for g in found.samples if g.label}
    return [g for g in found.data if g.label in labels] or list(found.data)


def _empty(found: GridSamples) -> str:
    ids = " and ".join(str(v) for v in sorted(found.background)[:4])
    return f"not drawn: cells of {ids} ({found.why_background})"


def _of_each_class(grids: Sequence[Solid], most: int) -> list[Solid]:
    """Grids in the order of their classes, of every class one before any has two."""
    classes: dict[str, list[Solid]] = {}
    for grid in grids:
        classes.setdefault(grid.label, []).append(grid)
    if len(classes) >= most:
        return [part[0] for part in evenly(list(classes.values()), most)]
    share, rest = divmod(most, max(1, len(classes)))
    return [g for i, part in enumerate(classes.values()) for g in evenly(part, share + (i < rest))]


def _shares(grids: Iterable[Solid]) -> npt.NDArray[np.float64]:
    return np.array([g.parts.share for g in grids if g.filled and g.grid.size <= PARTED])


def _common(solid: Solid) -> int:
    return next(iter(solid.background), 0)


def _grid(solid: Solid, order: Sequence[int], known: frozenset[int]) -> dict[str, Any]:
    """One grid: its size, its facts, and five bytes a cell: x, y, z, place in the palette, faces and marks."""
    step = max(1, -(-max(solid.grid.shape) // SIDE))
    grid = _solid_shape(solid.grid)[::step, ::step, ::step]
    filled = ~np.isin(grid, list(solid.background))
    faces = _faces(filled)
    cells = np.argwhere(faces > 0)
    total = len(cells)
    cells = cells[:CELLS] if total <= CELLS else cells[np.linspace(0, total - 1, CELLS).round().astype(int)]
    at = tuple(cells.T)
    place = {v: i for i, v in enumerate(order)}
    colours = np.array([place.get(int(v), palette.MOST) for v in grid[at]], np.uint8)
    loose = _loose(filled)[at] if solid.grid.size <= PARTED else np.zeros(len(cells), bool)
    foreign = ~np.isin(grid[at], list(known)) if known else np.zeros(len(cells), bool)
    marks = faces[at] | (loose.astype(np.uint8) << 6) | (foreign.astype(np.uint8) << 7)
    packed = np.column_stack([cells.astype(np.uint8), colours, marks.astype(np.uint8)])
    facts = f"{solid.filled:,} filled"
    if solid.filled and solid.grid.size <= PARTED:
        facts += f", {solid.parts.count:,} part{'s' if solid.parts.count != 1 else ''}, largest {solid.parts.share:.2f}"
    return {
        "name": solid.name, "label": solid.label, "size": list(grid.shape), "facts": facts,
        "cells": base64.b64encode(packed.tobytes()).decode(),
        "thinned": step if step > 1 else 0, "left_out": max(0, total - CELLS),
    }  # fmt: skip


def _solid_shape(grid: Grid) -> Grid:
    return grid if grid.ndim == 3 else grid.reshape((1,) * (3 - grid.ndim) + grid.shape)


def _faces(filled: Mask) -> npt.NDArray[np.uint8]:
    """For every filled cell the faces that no filled cell covers: bits 0 to 5 for -x, +x, -y, +y, -z, +z."""
    out = np.zeros(filled.shape, np.uint8)
    for axis in range(3):
        padded = np.pad(filled, [(1, 1) if i == axis else (0, 0) for i in range(3)])
        for bit, shift in ((2 * axis, 0), (2 * axis + 1, 2)):
            beside = np.take(padded, np.arange(shift, shift + filled.shape[axis]), axis=axis)
            out |= (filled & ~beside).astype(np.uint8) << bit
    return out


def _loose(filled: Mask) -> Mask:
    """The filled cells outside the largest face-connected part (the first of equals)."""
    if not filled.any():
        return filled
    roots = _roots(filled)
    values, sizes = np.unique(roots[filled], return_counts=True)
    return np.asarray(filled & (roots != values[sizes.argmax()]))


def _roots(filled: Mask) -> npt.NDArray[np.int64]:
    """For every filled cell the smallest index of its part: minima of neighbours, and jumps along what they point at."""
    empty = filled.size
    root = np.where(filled, np.arange(empty).reshape(filled.shape), empty)
    while True:
        low = root.copy()
        for axis in range(3):
            here, there = (
                tuple(slice(*cut) if i == axis else slice(None) for i in range(3)) for cut in ((None, -1), (1, None))
            )
            both = filled[here] & filled[there]
            least = np.where(both, np.minimum(low[here], low[there]), empty)
            low[here] = np.minimum(low[here], least)
            low[there] = np.minimum(low[there], least)
        low = np.append(low.ravel(), empty)[low]
        if np.array_equal(low, root):
            return root
        root = low


def _upright(filled: Sequence[Mask]) -> int:
    """The axis that stands up: the one of a differing length, else the one along which grids are least symmetric.

    Built and grown things are much the same from left and right, and differ between top and bottom.
    """
    grids = [f for f in filled if f.ndim == 3 and f.any()]
    if not grids:
        return 1
    shape = grids[0].shape
    alone = [axis for axis in range(3) if shape.count(shape[axis]) == 1]
    if len(alone) == 1:
        return alone[0]
    skew = [np.median([_skew(f, axis) for f in grids]) for axis in range(3)]
    return int(np.argmax(skew))


def _skew(filled: Mask, axis: int) -> float:
    """How much the filled layers along an axis differ from their own mirror image, 0 to 2."""
    layers = filled.sum(axis=tuple(a for a in range(3) if a != axis)).astype(float)
    inside = np.flatnonzero(layers)
    layers = layers[inside[0] : inside[-1] + 1]
    return float(np.abs(layers - layers[::-1]).sum() / layers.sum())
