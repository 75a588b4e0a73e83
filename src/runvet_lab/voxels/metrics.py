"""What samples are judged by: never the loss, always class by class against the data.

Definitions: S are the cells that are not air. `connected` is the largest 6-connected part's share of S (an empty grid has
0 and is counted), `floating` the share of S in parts that do not touch the ground y = 0, `ratio` mean S of the samples over
mean S of the data of the class. Low temperature raises `connected` and lowers `ratio`, fog is well connected and holds
foreign ids: none of them may be read without the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from runvet_lab.voxels.data import DataSet
from runvet_lab.voxels.shapes import Grid

Floats = npt.NDArray[np.float64]
FACES = ndimage.generate_binary_structure(3, 1)
CORNERS = ndimage.generate_binary_structure(3, 3)
ENDS = (255, 127)  # where numbers saturate that should have been ids
NEAR = 1_000  # training grids that a sample is compared with


@dataclass(frozen=True, slots=True)
class Shape:
    """One grid: cells that are not air, and how they hang together."""

    solids: int
    connected: float
    connected26: float
    floating: float


def shape(grid: Grid, air: int = 0) -> Shape:
    """Solids, connectedness and floating share of a grid (x, y, z)."""
    solid = grid != air
    count = int(solid.sum())
    if not count:
        return Shape(0, 0.0, 0.0, 0.0)
    parts, number = ndimage.label(solid, FACES)
    sizes = np.bincount(parts.ravel(), minlength=number + 1)
    grounded = np.unique(parts[:, 0, :])
    standing = sizes[grounded[grounded > 0]].sum()
    around, many = ndimage.label(solid, CORNERS)
    largest26 = np.bincount(around.ravel(), minlength=many + 1)[1:].max()
    return Shape(count, float(sizes[1:].max() / count), float(largest26 / count), float(1 - standing / count))


def nearest(grids: Grid, among: Grid) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each grid (n, x, y, z) the row of the nearest among (m, x, y, z), and the number of cells that differ."""
    flat = among.reshape(len(among), -1)
    rows, cells = [], []
    for grid in grids:
        differing = (flat != grid.reshape(1, -1)).sum(axis=1)
        rows.append(int(differing.argmin()))
        cells.append(int(differing.min()))
    return np.array(rows, np.int64), np.array(cells, np.int64)


class Reference:
    """What samples are compared with: the training set, and held-out structures of the same kind."""

    def __init__(self, train: DataSet, held_out: DataSet | None = None, *, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.train = train
        self.near = train.take([int(r) for r in np.sort(rng.permutation(len(train))[:NEAR])])
        self.ids = frozenset(int(i) for i in np.unique(train.grids))
        self.labels = tuple(sorted(set(train.labels)))
        shapes = [shape(grid, train.air) for grid in self.near.grids]
        counts = (train.grids != train.air).reshape(len(train), -1).sum(axis=1)
        own = np.array(train.labels)
        self.solids = {label: float(counts[own == label].mean()) for label in self.labels}
        self.floating = {
            label: _mean([s.floating for s, of in zip(shapes, self.near.labels, strict=True) if of == label])
            for label in self.labels
        }
        self.histogram = histogram(train.grids, train.air)
        self.air_share = float((train.grids == train.air).mean())
        held = held_out.grids[:200] if held_out is not None and len(held_out) else train.grids[:0]
        rows, cells = nearest(held, self.near.grids)
        self.held_distance = float(cells.mean()) if len(cells) else float("nan")
        told = held_out.labels[:200] if held_out is not None else ()
        self.held_adherence = _mean([self.near.labels[row] == label for row, label in zip(rows, told, strict=True)])


def histogram(grids: Grid, air: int = 0) -> Floats:
    """Shares of the 256 ids among all solids; zeros where there are none."""
    counts = np.bincount(grids.ravel(), minlength=256).astype(np.float64)
    counts[air] = 0
    return np.asarray(counts / max(counts.sum(), 1.0))


@dataclass(frozen=True, slots=True)
class Quality:
    """Samples of one class (or all, label ""): means over n samples; `whole` is the share of samples connected above 0.8."""

    label: str
    n: int
    ratio: float
    connected: float
    connected26: float
    whole: float
    floating: float
    floating_data: float
    foreign: float
    saturated: float
    empty: float
    adherence: float
    unique: float
    novelty: float
    distance: float  # of block histograms: half the L1 distance

    def numbers(self) -> dict[str, float]:
        """By name, without the label."""
        names = ("ratio", "connected", "connected26", "whole", "floating", "foreign", "saturated", "empty", "adherence",
                 "unique", "novelty", "distance")  # fmt: skip
        return {name: getattr(self, name) for name in names}


def measure(grids: Grid, labels: Sequence[str], reference: Reference) -> tuple[Quality, ...]:
    """Quality of samples (n, x, y, z): all of them first (its ratio is the mean of the classes'), then class by class."""
    air = reference.train.air
    shapes = [shape(grid, air) for grid in grids]
    rows, cells = nearest(grids, reference.near.grids)
    right = [reference.near.labels[row] == label for row, label in zip(rows, labels, strict=True)]
    classes = []
    for label in [name for name in reference.labels if name in labels]:
        pick = [i for i, of in enumerate(labels) if of == label]
        classes.append(_quality(label, pick, grids, shapes, right, cells, reference))
    whole = _quality("", list(range(len(grids))), grids, shapes, right, cells, reference)
    return (_with_ratio(whole, _mean([c.ratio for c in classes]), _mean([c.floating_data for c in classes])), *classes)


def _quality(
    label: str,
    pick: list[int],
    grids: Grid,
    shapes: Sequence[Shape],
    right: Sequence[bool],
    cells: npt.NDArray[np.int64],
    reference: Reference,
) -> Quality:
    own, chosen = grids[pick], [shapes[i] for i in pick]
    solid = own[own != reference.train.air]
    known = np.isin(solid, list(reference.ids))
    ends = [end for end in ENDS if end not in reference.ids]
    return Quality(
        label=label,
        n=len(pick),
        ratio=_mean([s.solids for s in chosen]) / max(reference.solids.get(label, float("nan")), 1e-9),
        connected=_mean([s.connected for s in chosen]),
        connected26=_mean([s.connected26 for s in chosen]),
        whole=_mean([s.connected > 0.8 for s in chosen]),
        floating=_mean([s.floating for s in chosen]),
        floating_data=reference.floating.get(label, float("nan")),
        foreign=1 - float(known.mean()) if len(solid) else 0.0,
        saturated=float(np.isin(solid, ends).mean()) if len(solid) else 0.0,
        empty=_mean([s.solids == 0 for s in chosen]),
        adherence=_mean([right[i] for i in pick]),
        unique=len({grid.tobytes() for grid in own}) / max(len(pick), 1),
        novelty=float(cells[pick].mean()) / reference.held_distance if reference.held_distance > 0 else float("nan"),
        distance=float(np.abs(histogram(own, reference.train.air) - _histogram_of(reference, label)).sum() / 2),
    )


def _histogram_of(reference: Reference, label: str) -> Floats:
    if not label:
        return reference.histogram
    return histogram(reference.near.grids[[of == label for of in reference.near.labels]], reference.train.air)


def _with_ratio(quality: Quality, ratio: float, floating: float) -> Quality:
    return replace(quality, ratio=ratio, floating_data=floating)


def _mean(values: Sequence[Any]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def worst(qualities: Sequence[Quality]) -> Quality:
    """The class with the lowest connectedness; means over unlike classes hide it."""
    classes = [q for q in qualities if q.label] or list(qualities)
    return min(classes, key=lambda q: q.connected)


def score(qualities: Sequence[Quality]) -> float:
    """One number to choose checkpoints by; 1 is perfect.

    The mean over classes of connectedness times the count's fit min(ratio, 1 / ratio) times adherence times the share
    of known ids: a product, so that a fault in one is not made up for by another.
    """
    classes = [q for q in qualities if q.label] or list(qualities)
    return _mean([q.connected * min(q.ratio, 1 / max(q.ratio, 1e-9)) * q.adherence * (1 - q.foreign) for q in classes])


def table(qualities: Sequence[Quality]) -> str:
    """A table for a terminal."""
    lines = [
        f"{'class':<10} {'n':>4} {'ratio':>6} {'conn6':>6} {'>0.8':>6} {'float':>6} {'data':>6} {'foreign':>8} {'adhere':>7} {'unique':>7} {'novelty':>8}"
    ]
    lines += [
        f"{q.label or 'all':<10} {q.n:>4} {q.ratio:>6.2f} {q.connected:>6.3f} {q.whole:>6.2f} {q.floating:>6.2f} {q.floating_data:>6.2f}"
        f" {q.foreign:>8.3f} {q.adherence:>7.2f} {q.unique:>7.2f} {q.novelty:>8.2f}"
        for q in qualities
    ]
    return "\n".join(lines)
