"""Neptune's offline and asynchronous queues (`.neptune/*/run__*/data-*.log`): operations as JSON objects.

The objects follow one another, not one a line by contract. `LogFloats` are points, `Assign…` are settings.
"""

from __future__ import annotations

import re

from runvet.readers import Reader
from runvet.readers._json_values import number, values
from runvet.sink import Sink
from runvet.source import Source

_HEAD = re.compile(rb'\s*\{\s*"obj"\s*:\s*\{\s*"type"\s*:\s*"[A-Z][A-Za-z]+"')
_NAME = re.compile(r"data-\d+\.log")


def claims(source: Source) -> float:
    """Certain by the first operation."""
    if not _HEAD.match(source.head):
        return 0.0
    return 1.0 if _NAME.fullmatch(source.name) or ".neptune" in source.path.parts else 0.8


def read(source: Source, sink: Sink) -> None:
    """Read every operation. Names are paths joined with `/`; `line` of a point is the line of its operation."""
    with source.open() as stream:
        for line, value in values(stream, sink, _whole):
            assert isinstance(value, dict)
            _operation(value["obj"], sink, line)


reader = Reader("neptune", claims, read)


def _whole(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("obj"), dict)


def _operation(operation: dict[str, object], sink: Sink, line: int) -> None:
    path, kind = operation.get("path"), operation.get("type")
    if not isinstance(path, list) or not isinstance(kind, str):
        return
    parts = [str(part) for part in path]
    if kind == "LogFloats":
        points = operation.get("values")
        for point in points if isinstance(points, list) else ():
            value = number(point.get("value")) if isinstance(point, dict) else None
            if value is not None:
                step, time = number(point.get("step")), number(point.get("ts"))
                sink.row({"/".join(parts): value}, step=step, time=time, line=line)
    elif kind.startswith("Assign"):
        setting = operation.get("value")
        if isinstance(setting, (str, int, float, bool)):
            sink.setting(".".join(parts), setting, line=line)
        if parts == ["sys", "failed"] and setting is True:
            sink.event("error", "Neptune: the run is marked as failed", line=line)
