"""Helpers of the reader tests: write a file, read it with one reader, look at what it gave."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from runvet.readers import Reader
from runvet.run import Log, Series
from runvet.sink import Sink
from runvet.source import describe


def reader_of(name: str) -> Reader:
    found: Reader = import_module(f"runvet.readers.{name}").reader
    return found


def claim(name: str, path: Path) -> float:
    return reader_of(name).claims(describe(path, path.name))


def read(name: str, path: Path) -> Log:
    """All that one reader tells of a file (none of the files of these tests has scopes)."""
    sink = Sink(path.name, name)
    reader_of(name).read(describe(path, path.name), sink)
    (log,) = sink.close()
    return log


def write(folder: Path, name: str, data: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def series(log: Log) -> dict[str, Series]:
    return {s.name: s for s in log.series}


def settings(log: Log) -> dict[str, object]:
    return {s.key: s.value for s in log.settings}


def matches(log: Log, name: str, truth: dict[str, object]) -> bool:
    """Whether a series has the points, the ends and the non-finite values that a truth file states."""
    found = series(log).get(name)
    if found is None or len(found) != truth["points"]:
        return False
    ends = [(truth.get("first"), found.first), (truth.get("last"), found.last)]
    near = all(w is None or abs(float(str(w)) - g) <= 1e-5 * abs(g) or (g != g and str(w) == "nan") for w, g in ends)
    return near and found.non_finite == truth.get("non_finite", found.non_finite)
