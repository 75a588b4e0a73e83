"""Reads a text the way the program does, for the tests of the text reader."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from runvet.readers.text import reader
from runvet.run import Event, Log, Series
from runvet.sink import Sink
from runvet.source import describe


def read_path(path: Path, *, points: int | None = None) -> Log:
    """The log of one file."""
    source = describe(path, path.name)
    sink = Sink(path.name, reader.name, points=points)
    reader.read(source, sink)
    return sink.close(modified=source.modified, size=source.size)[0]


def read_text(folder: Path, text: str | bytes, name: str = "train.log") -> Log:
    """The log of a text that is written to a file first."""
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_path(path)


def series(log: Log, name: str) -> Series:
    """The series of this very name; the failure lists the names there are."""
    found = {s.name: s for s in log.series}
    assert name in found, sorted(found)
    return found[name]


def values(log: Log, name: str) -> list[float]:
    return series(log, name).value.tolist()


def steps(log: Log, name: str) -> list[float | None]:
    return [None if np.isnan(x) else x for x in series(log, name).step.tolist()]


def events(log: Log, kind: str) -> list[Event]:
    return [e for e in log.events if e.kind == kind]


def settings(log: Log) -> dict[str, object]:
    return {s.key: s.value for s in log.settings}
