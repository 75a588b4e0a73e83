"""Pictures that the model made, step by step, with what they hold; and those of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runvet.artifacts.grouping import Entry, by_stem
from runvet.artifacts.model import Array, Artifacts, UnreadableError, evenly
from runvet.artifacts.pictures import pictures_of
from runvet.artifacts.texture import Panels, entropy, grey, panels
from runvet.evidence import Missing, provides
from runvet.evidence.artifact_groups import ARRAYS, PICTURES, StageGroups

STEPS = 8  # steps of one group that are looked at, the first and the last among them
EACH = 16  # pictures of one step
DATA = 48


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: its place, its step, its plain panels (None where it has none), the bits a pixel of all of it."""

    name: str
    step: float | None
    panels: Panels | None
    entropy: float
    image: Array


@dataclass(frozen=True, slots=True)
class PictureSeries:
    """Pictures of one kind (`dynamics prediction step`) in the order of steps, at most 16 of each of 8 steps."""

    name: str
    axis: str
    pictures: tuple[Picture, ...]

    @property
    def last(self) -> tuple[Picture, ...]:
        """Those of the last step."""
        step = max((p.step for p in self.pictures if p.step is not None), default=None)
        return tuple(p for p in self.pictures if p.step == step)


@dataclass(frozen=True, slots=True)
class PictureSamples:
    """All series of a stage, and pictures of the data (may be empty)."""

    series: tuple[PictureSeries, ...]
    data: tuple[Picture, ...]


@provides
def picture_samples(found: StageGroups) -> PictureSamples | Missing:
    artifacts, series, why = found.artifacts, [], None
    for group in found.samples:
        if group.entries[0].item.suffix not in PICTURES + ARRAYS:
            continue
        kinds = by_stem(group) if any(e.step is not None for e in group.entries) else [("", group.entries)]
        for name, entries in kinds[:8]:
            read, problem = _read(artifacts, _chosen(entries))
            why = why or problem
            if read:
                series.append(PictureSeries(f"{group.name}/{name}".strip("/"), group.axis, tuple(read)))
    if not series:
        if why is not None:
            return Missing(f"no picture could be read: {why}", why.remedy)
        return Missing("no pictures among the samples", "", applicable=False)
    real: list[Picture] = []
    for group in found.data:
        if group.entries[0].item.suffix in PICTURES + ARRAYS:
            real += _read(artifacts, evenly(group.entries, DATA), most=DATA)[0]
    return PictureSamples(tuple(series), tuple(evenly(real, DATA)))


def _chosen(entries: Sequence[Entry]) -> list[Entry]:
    steps = sorted({e.step for e in entries if e.step is not None})
    if not steps:
        return evenly(entries, 2 * EACH)
    kept = evenly(steps, STEPS)
    return [e for step in kept for e in evenly([x for x in entries if x.step == step], EACH)]


def _read(
    artifacts: Artifacts, entries: Sequence[Entry], most: int = EACH
) -> tuple[list[Picture], UnreadableError | None]:
    """The pictures of some files, at most `most` of a file that stacks many; and why the first one was not read."""
    out: list[Picture] = []
    first = None
    for entry in entries:
        try:
            held = pictures_of(artifacts.read(entry.item).arrays, most)
        except UnreadableError as error:
            first = first or error
            continue
        if not held and entry.item.suffix in ARRAYS:
            break  # files of grids or numbers are not searched one after the other
        for number, image in enumerate(held):
            if image.dtype.kind in "iufb" and image.ndim in (2, 3) and min(image.shape) >= 1 and min(image.shape[:2]) >= 4:  # fmt: skip
                name = f"{entry.item.name}[{number}]" if len(held) > 1 else entry.item.name
                out.append(Picture(name, entry.step, panels(image), entropy(grey(image)), image))
    return out, first


def thumbnail(image: Array, side: int = 16) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The mean colours of side x side cells of a picture, float64 (side, side, c)."""
    whole = grey(image)
    rows, columns = (np.linspace(0, n, side + 1).round().astype(int) for n in whole.shape[:2])
    cells = np.add.reduceat(
        np.add.reduceat(whole, np.minimum(rows[:-1], whole.shape[0] - 1), axis=0),
        np.minimum(columns[:-1], whole.shape[1] - 1),
        axis=1,
    )
    area = np.maximum(np.diff(rows), 1)[:, None] * np.maximum(np.diff(columns), 1)[None]
    return np.asarray(cells / area[:, :, None])
