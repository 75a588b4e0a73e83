"""Contact sheets: the pictures that a model made, step by step, beside those of the data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from runvet.artifacts.model import evenly
from runvet.artifacts.texture import grey
from runvet.evidence.pictures import Picture, PictureSamples, PictureSeries
from runvet.figures.histograms import histogram
from runvet.figures.thumbnails import SIDE, thumbnail
from runvet.report import Figure
from runvet.run import FloatArray, Run

SERIES = 4  # kinds of pictures of one stage
STEPS = 6  # steps of one kind
EACH = 6  # pictures of one step, and of the data
SMALL = 128  # pixels of a thumbnail where a sheet has many
PIXELS = 20_000  # pixels of one set whose values are counted


def samples(found: PictureSamples, _: Run) -> Iterator[Figure]:
    """A sheet for each kind of pictures, steps as rows, plain panels framed; pixel values beside the data's."""
    for series in found.series[:SERIES]:
        yield _sheet(series, found.data)
    if found.data and found.series:
        last = max(found.series, key=lambda s: len(s.last)).last
        panel = histogram("pixel value", [("samples", _values(last)), ("data", _values(found.data))], "of 255")
        if panel:
            yield Figure("histograms", title="Brightness of samples and data", data={"panels": [panel]},
                         note=f"mean over channels, {len(last)} samples, {len(found.data)} pictures of the data")  # fmt: skip


def _sheet(series: PictureSeries, data: Sequence[Picture]) -> Figure:
    steps = sorted({p.step for p in series.pictures if p.step is not None})
    rows: list[tuple[str, list[Picture]]] = [
        (f"{series.axis} {step:,.0f}", [p for p in series.pictures if p.step == step]) for step in evenly(steps, STEPS)
    ] or [("samples", list(series.pictures))]
    rows += [("data", list(data))] if data else []
    shown = [(label, evenly(part, EACH)) for label, part in rows]
    side = SIDE if sum(len(part) for _, part in shown) <= 24 else SMALL
    groups = [{"label": label, "items": [_item(p, side) for p in part]} for label, part in shown]
    left = sum(len(part) for _, part in rows) - sum(len(part) for _, part in shown)
    framed = any(p.panels for _, part in shown for p in part)
    note = f"at most {EACH} of a step, evenly chosen" if left else "all that were read"
    return Figure("sheet", title=series.name.rpartition("/")[2], data={"groups": groups},
                  note=note + ("; framed: panels of one colour or striped" if framed else ""))  # fmt: skip


def _item(picture: Picture, side: int) -> dict[str, Any]:
    panels = picture.panels
    boxes: list[list[float]] = []
    for i in panels.plain if panels else ():
        part = [i / panels.strips, 1 / panels.strips] if panels else []
        boxes.append([0, part[0], 1, part[1]] if panels and panels.across else [part[0], 0, part[1], 1])
    facts = f"{picture.entropy:.1f} bits a pixel"
    return {"name": picture.name, "facts": facts, "boxes": boxes, **thumbnail(picture.image, side)}


def _values(pictures: Iterable[Picture]) -> FloatArray:
    parts = []
    for picture in pictures:
        flat = grey(picture.image).mean(axis=2).ravel()
        parts.append(flat[:: max(1, len(flat) // 1_000)])
    return np.concatenate(parts)[:PIXELS] if parts else np.zeros(0)
