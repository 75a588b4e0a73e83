"""How samples resemble each other and the data: digests of their contents, and distances between their vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from runvet.artifacts.measuring import Kind, Measurer, Waiting
from runvet.artifacts.model import Array
from runvet.artifacts.near import pairs
from runvet.artifacts.texts import copied, sequences
from runvet.artifacts.texture import grey
from runvet.evidence import Missing, provides
from runvet.evidence.grids import GridSamples
from runvet.evidence.pictures import PictureSamples, thumbnail
from runvet.evidence.text_samples import TextSamples
from runvet.run import FloatArray

CELLS = 4_096  # numbers of one vector at most
SHORT = 20  # characters below which equal texts say nothing
COPIED = 0.5  # share of a text's sequences of 13 words that stand in the data


@dataclass(frozen=True, slots=True)
class Likeness:
    """Samples of the last step and data as vectors (n, d) and (m, d), with a digest of each whole content.

    m may be 0. `what` is "grids", "pictures" or "texts" (whose vectors have no numbers); `levels` (n, 2) and (m, 2) are mean and standard deviation of each.
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
    near: tuple[tuple[int, int], ...] = ()  # samples and items of the data that are near each other and not equal
    data_near: float = 0.0  # share of the data that are near another item of theirs

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
def likeness(
    grids: GridSamples | None, pictures: PictureSamples | None, texts: TextSamples | None
) -> Likeness | Missing:
    if grids is not None:
        made = _part([(g.name, g.grid) for g in grids.samples], _grid_vector)
        real = _part([(g.name, g.grid) for g in grids.data], _grid_vector)
        labels = tuple(g.label for g in grids.samples)
        alike = _likeness("grids", made, real, labels, grids.where, grids.since)
        if grids.tokens:
            return alike
        return _with_near(alike, [g.grid for g in grids.samples], [g.grid for g in grids.data])
    if texts is not None and pictures is None:
        return _of_texts(texts)
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
    alike = _likeness("pictures", made, real, ("",) * len(made[0]), series.name, step)
    return _with_near(alike, [p.image for p in series.last], [p.image for p in pictures.data])


def _of_texts(texts: TextSamples) -> Likeness | Missing:
    long = [i for i, t in enumerate(texts.texts) if len(t) >= SHORT]
    if len(long) < 3:
        return Missing("fewer than three texts of some length", "keep 8 or more samples", applicable=False)
    made = [hashlib.blake2b(texts.texts[i].encode(), digest_size=16).digest() for i in long]
    real = [hashlib.blake2b(t.encode(), digest_size=16).digest() for t in texts.data]
    known = sequences(texts.data)
    near = tuple((n, -1) for n, i in enumerate(long) if copied(texts.texts[i], known) >= COPIED)
    empty = [np.zeros((k, 0)) for k in (len(made), len(real))]
    return Likeness("texts", tuple(texts.names[i] for i in long), ("",) * len(long), tuple(made), empty[0],
                    np.zeros((len(made), 2)), texts.data_names, tuple(real), empty[1], np.zeros((len(real), 2)),
                    texts.where, texts.since, near)  # fmt: skip


def _with_near(alike: Likeness, made: Sequence[Array], real: Sequence[Array]) -> Likeness:
    """The same with the near copies among samples and data, and within the data."""
    kind: Kind = "grids" if alike.what == "grids" else "pictures"
    measurer = Measurer()
    for array in (*made, *real):
        # Pictures of floats and of 16 bits are compared as bytes.
        whole = array if kind == "grids" else grey(array).clip(0, 255).astype(np.uint8)
        measurer.add(Waiting("", "", "", whole, kind))
    items = measurer.items()
    held = [n for n, i in enumerate(items) if i.sketch and i.sd > 0]
    if len(held) < 2 or not real:
        return alike
    sketches = np.frombuffer(b"".join(items[n].sketch for n in held), np.uint8).reshape(len(held), -1)
    found = [(held[a], held[b]) for a, b in pairs(sketches, pictures=kind == "pictures").tolist()]
    n = len(made)
    across = tuple((a, b - n) for a, b in found if a < n <= b and items[a].digest != items[b].digest)
    within = {i for a, b in found if a >= n and b >= n for i in (a, b)}
    return replace(alike, near=across, data_near=len(within) / len(real))


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
    """Cells as numbers in -1..1 that hash their ids: ids are names, and any two of them are equally far apart."""
    flat = np.asarray(array, np.int64).ravel()
    mixed = flat[:: max(1, len(flat) // CELLS)].view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(32)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    return np.asarray((mixed >> np.uint64(11)) / 2.0**52 - 1)


def _picture_vector(array: Array) -> FloatArray:
    return np.asarray(thumbnail(array).mean(axis=2).ravel())


def distances(vectors: FloatArray) -> FloatArray:
    """Root mean squared differences of all pairs of rows of (n, d), shape (n (n - 1) / 2,); at most 64 rows are used."""
    rows = vectors[:64]
    a, b = np.triu_indices(len(rows), 1)
    return np.asarray(np.sqrt(((rows[a] - rows[b]) ** 2).mean(axis=1))) if rows.shape[1] else np.zeros(0)
