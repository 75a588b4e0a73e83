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
from functools import cache, partial
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # `run.py` needs the checkpoints, and these the protobuf of this package: no way back to `run.py`
    from runvet.readers._resume import Resumed
    from runvet.sink import Sink
    from runvet.source import Source


@dataclass(frozen=True, slots=True)
class Reader:
    """What reads one format. `kind`: `metrics` hold points and events, `settings` only configuration.

    `resume` (optional) begins a reading that can go on as the file grows (see `_resume.py`), or says None where it
    can't for this file; it must tell what `read` tells.
    """

    name: str
    claims: Callable[[Source], float]
    read: Callable[[Source, Sink], None]
    kind: Literal["metrics", "settings"] = "metrics"
    resume: Callable[[Source, Sink], Resumed | None] | None = None


@cache
def load() -> tuple[tuple[Reader, ...], tuple[str, ...]]:
    """Every reader (those of this package by name, then those of other distributions), and what did not load.

    A module that can't be imported or holds no reader is named in the second tuple; it hides no other reader.
    """
    found: list[Reader] = []
    broken: list[str] = []
    own = sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))
    loaders: list[tuple[str, Callable[[], object]]] = [(f"runvet.readers.{name}", partial(_own, name)) for name in own]
    loaders += [(f"{e.name} of {e.dist.name if e.dist else '?'}", e.load) for e in entry_points(group="runvet.readers")]
    for name, loader in loaders:
        try:
            reader = loader()
        except Exception as error:  # whatever a foreign module raises on import
            broken.append(f"reader {name} does not load: {type(error).__name__}: {error}")
            continue
        if isinstance(reader, Reader):
            found.append(reader)
        else:
            broken.append(f"reader {name} has no object `reader` of type Reader")
    return tuple(found), tuple(broken)


def _own(name: str) -> object:
    return getattr(importlib.import_module(f"{__name__}.{name}"), "reader", None)


def readers() -> tuple[Reader, ...]:
    """Every reader that loads."""
    return load()[0]
