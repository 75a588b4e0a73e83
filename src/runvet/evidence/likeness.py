"""How samples resemble each other and the data: digests of their contents, and distances between their vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from runvet.artifacts.model import Array
from runvet.evidence import Missing, provides
from runvet.evidence.grids import GridSamples
from runvet.evidence.pictures import PictureSamples, thumbnail
from runvet.run import FloatArray

CELLS = 4_096  # numbers of one vector at most


@dataclass(frozen=True, slots=True)
class Likeness:
    """Samples of the last step and data as vectors (n, d) and (m, d), with a digest of each whole content.

    m may be 0. `what` is "grids" or "pictures"; `levels` (n, 2) and (m, 2) are mean and standard deviation of each.
    """

    what: str
    names: tuple[str, ...]
    labels: tuple[str, ...]
    digests: tuple[bytes, ...]
    vectors: FloatArray
    levels: FloatArray
    data_names: tuple[str, ...]
    data_digests: tuple[bytes, ...]
    data_vectors: FloatArray
    data_levels: FloatArray
    where: str
    step: float | None

    @property
    def distinct(self) -> int:
        """Samples of different content."""
        return len(set(self.digests))

    @property
    def data_distinct(self) -> float:
        """Share of the data whose content differs from all before; 1.0 without data."""
        return len(set(self.data_digests)) / len(self.data_digests) if self.data_digests else 1.0


Part = tuple[tuple[str, ...], tuple[bytes, ...], FloatArray, FloatArray]


@provides
def likeness(grids: GridSamples | None, pictures: PictureSamples | None) -> Likeness | Missing:
    if grids is not None:
        made = _part([(g.name, g.grid) for g in grids.samples], _grid_vector)
        real = _part([(g.name, g.grid) for g in grids.data], _grid_vector)
        labels = tuple(g.label for g in grids.samples)
        return _likeness("grids", made, real, labels, grids.where, grids.since)
    if pictures is None:
        return Missing("no samples beside the logs", "", applicable=False)
    series = max(pictures.series, key=lambda s: len(s.last))
    sheets = sum(p.panels is not None and p.panels.strips > 1 for p in series.last)
    if len(series.last) < 3 or 2 * sheets > len(series.last):
        return Missing(
            "fewer than three pictures of one step",
            "keep 8 or more single samples of each evaluation",
            applicable=False,
        )
    made = _part([(p.name, p.image) for p in series.last], _picture_vector)
    real = _part([(p.name, p.image) for p in pictures.data], _picture_vector)
    step = series.last[0].step if series.axis == "step" else None
    return _likeness("pictures", made, real, ("",) * len(made[0]), series.name, step)


def _likeness(what: str, made: Part, real: Part, labels: tuple[str, ...], where: str, step: float | None) -> Likeness:
    return Likeness(what, made[0], labels, made[1], made[2], made[3], real[0], real[1], real[2], real[3], where, step)


def _part(items: Sequence[tuple[str, Array]], vector: Callable[[Array], FloatArray]) -> Part:
    """Names, digests, vectors (n, d) and levels (n, 2). Items of another shape than most get no vector (d = 0 for all)."""
    digests = tuple(
        hashlib.blake2b(f"{a.shape}".encode() + np.ascontiguousarray(a).tobytes(), digest_size=16).digest()
        for _, a in items
    )
    vectors = [vector(a) for _, a in items]
    alike = len({len(v) for v in vectors}) <= 1 and bool(vectors)
    levels = np.array([[float(v.mean()), float(v.std())] for v in vectors]).reshape(-1, 2)
    return tuple(n for n, _ in items), digests, np.stack(vectors) if alike else np.zeros((len(items), 0)), levels


def _grid_vector(array: Array) -> FloatArray:
    flat = np.asarray(array, np.float64).ravel()
    return flat[:: max(1, len(flat) // CELLS)]


def _picture_vector(array: Array) -> FloatArray:
    return np.asarray(thumbnail(array).mean(axis=2).ravel())


def distances(vectors: FloatArray) -> FloatArray:
    """Root mean squared differences of all pairs of rows of (n, d), shape (n (n - 1) / 2,); at most 64 rows are used."""
    rows = vectors[:64]
    a, b = np.triu_indices(len(rows), 1)
    return np.asarray(np.sqrt(((rows[a] - rows[b]) ** 2).mean(axis=1))) if rows.shape[1] else np.zeros(0)
