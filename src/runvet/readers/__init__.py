"""Readers: one file per format, found by scanning this package and the entry-point group `runvet.readers`.

A reader module has one object named `reader`. `claims` says from the name and the first bytes how sure it is
that the file is its own (0 = not mine, 1 = certain); the surest reader takes the file. `read` streams the file
into a `Sink`. It never executes, imports or unpickles anything; it keeps every complete record of a damaged or
growing file and calls `sink.problem` for the rest. An exception that leaves `read` becomes a problem, too.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Literal

from runvet.sink import Sink
from runvet.source import Source


@dataclass(frozen=True, slots=True)
class Reader:
    """What reads one format. `kind`: `metrics` hold points and events, `settings` only configuration."""

    name: str
    claims: Callable[[Source], float]
    read: Callable[[Source, Sink], None]
    kind: Literal["metrics", "settings"] = "metrics"


@cache
def readers() -> tuple[Reader, ...]:
    """Every reader: those of this package in the order of their names, then those of other distributions.

    Raises TypeError naming the distribution where an entry point does not give a `Reader`.
    """
    found = []
    for module in sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")):
        reader = getattr(importlib.import_module(f"{__name__}.{module}"), "reader", None)
        if not isinstance(reader, Reader):
            raise TypeError(f"runvet.readers.{module} has no object `reader` of type Reader")
        found.append(reader)
    for entry in entry_points(group="runvet.readers"):
        reader = entry.load()
        if not isinstance(reader, Reader):
            raise TypeError(f"entry point {entry.name} of {entry.dist and entry.dist.name} is not a Reader")
        found.append(reader)
    return tuple(found)
