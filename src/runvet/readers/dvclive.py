"""DVCLive: one tsv for each metric below `plots/metrics` (or `scalars`, as older versions wrote it)."""

from __future__ import annotations

from pathlib import PurePath

from runvet.readers import Reader
from runvet.readers._lines import head_lines
from runvet.readers.delimited import read_as
from runvet.sink import Sink
from runvet.source import Source


def claims(source: Source) -> float:
    """Sure by the folder and by a header that ends in the metric's name after `step`."""
    if source.suffix != ".tsv" or _name(source) is None:
        return 0.0
    lines = head_lines(source, 4_096)
    header = lines[0].split("\t") if lines else []
    return 0.97 if "step" in header and len(header) in (2, 3) else 0.0


def _name(source: Source) -> str | None:
    """The metric's name: the path below the folder of metrics, without its suffix."""
    parts = PurePath(source.path).with_suffix("").parts
    if source.packed:
        parts = (*parts[:-1], PurePath(source.name).stem)
    for i in range(len(parts) - 2, 0, -1):
        if parts[i] == "metrics" and parts[i - 1] == "plots":
            return "/".join(parts[i + 1 :])
        if parts[i] == "scalars":
            return "/".join(parts[i + 1 :])
    return None


def read(source: Source, sink: Sink) -> None:
    """Read the one metric of the file."""
    name = _name(source) or PurePath(source.name).stem
    read_as(source, sink, lambda _: name)


reader = Reader("dvclive", claims, read)
