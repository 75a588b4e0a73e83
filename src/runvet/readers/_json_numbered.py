"""Records in a file each, numbered by epoch or step (`metrics_epoch_3.json`, `step_500/eval.json`), as one log."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from runvet.readers import Reader
from runvet.readers._axes import is_metric_name
from runvet.readers._json import RowBuffer, parse, scalar
from runvet.readers._tables import Writer
from runvet.readers.settings import SUMMARY
from runvet.run import Log, Series
from runvet.sink import POINTS, Sink
from runvet.source import Source

NAME = "json_numbered"
FEWEST = 3  # files
LIMIT = 1 << 20  # bytes of a file
# Fewer words than in names of samples or checkpoints: `s1` and `it2` may be subjects and items, each with metrics.
_NUMBER = re.compile(
    r"(?i)(?<![a-z])(epochs?|ep|(?:global_?)?steps?|iter(?:ation)?s?|checkpoint|ckpt|updates?)[-_=. ]?(\d{1,12})(?!\d)"
)


class Numbered(NamedTuple):
    """One record: its number, what the number counts, and its file."""

    number: int
    axis: str
    source: Source


def summary(source: Source, reader: Reader) -> bool:
    """Whether a file that is read as configuration holds results by its name, of which there may be one a step."""
    return reader.kind == "settings" and SUMMARY.fullmatch(PurePosixPath(source.name).stem) is not None


def groups(sources: Iterable[Source]) -> list[list[Numbered]]:
    """Small JSON files whose paths differ in one number of an epoch or step alone, at least three of them, by number.

    Numbers of folds, seeds, samples and the like are no axis: such files are left alone.
    """
    found: dict[str, list[Numbered]] = {}
    for source in sources:
        last = list(_NUMBER.finditer(source.relative))[-1:]
        if source.suffix != ".json" or source.size > LIMIT or not last:
            continue
        word, path = last[0], source.relative
        axis = "epoch" if word[1].lower().startswith("ep") else "step"
        key = f"{path[: word.start()]}{word[1]}*{path[word.end() :]}"
        found.setdefault(key, []).append(Numbered(int(word[2]), axis, source))
    return [sorted(g, key=lambda one: one.number) for g in found.values() if len({n.number for n in g}) >= FEWEST]


def read(group: Sequence[Numbered], *, points: int | None = POINTS) -> Log | None:
    """The records of a group as rows of one log; None where they do not look like a log's."""
    first = PurePosixPath(group[0].source.relative)
    numbered = min((i for i, part in enumerate(first.parts) if _NUMBER.search(part)), default=len(first.parts) - 1)
    sink = Sink(PurePosixPath(*first.parts[:numbered], first.name).as_posix(), NAME, points=points)
    rows: list[dict[str, Any]] = []
    for one in group:
        value, why = parse(one.source.text(LIMIT))
        if why or not isinstance(value, dict):
            sink.problem(f"{one.source.relative}: {why or 'it holds no object'}", remedy="the other files are used")
            value = {}
        rows.append(value if one.axis in value else {one.axis: one.number, **value})
    if not _measured(rows):
        return None
    buffer = RowBuffer(Writer(sink), sink)
    buffer.add_all(rows, 1)
    buffer.flush()
    log = sink.close(modified=max(one.source.modified for one in group), size=sum(one.source.size for one in group))[0]
    names = tuple(one.source.relative for one in group)
    return replace(log, series=tuple(_placed(one, names) for one in log.series)) if log.series else None


def _measured(rows: Sequence[dict[str, Any]]) -> bool:
    """Whether a metric by its name has several values; the configuration beside each checkpoint has one."""
    values: dict[str, set[float]] = {}
    for row in rows:
        level = {**row, **{k: v for inner in row.values() if isinstance(inner, dict) for k, v in inner.items()}}
        for key, value in level.items():
            number = scalar(value)
            if number is not None and is_metric_name(str(key)):
                values.setdefault(str(key), set()).add(number)
    return any(len(seen) > 1 for seen in values.values())


def _placed(series: Series, names: tuple[str, ...]) -> Series:
    """The number of a row is that of its file."""
    return replace(series, file=series.line - 1, files=names, line=np.zeros(len(series), np.int64))
