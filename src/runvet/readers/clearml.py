"""ClearML offline sessions: `metrics.jsonl` and `task.json`, in a folder `offline-<id>` or in its zip.

Every line of `metrics.jsonl` is a list of events {metric, variant, iter, value}. A metric with one variant goes by
its own name, several by `metric/variant`. Measurements of the machine (`:monitor:…`) become `system/…` over time.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import IO

import orjson

from runvet.readers import Reader
from runvet.readers._json_values import number, values
from runvet.readers._zip import beginning, member, member_names
from runvet.sink import Sink
from runvet.source import Source

METRICS, TASK = "metrics.jsonl", "task.json"
_SCALAR = "training_stats_scalar"
_HEAD = re.compile(rb'\s*\[\s*\{[^\[\]]{0,2000}?"type"\s*:\s*"(?:training_|plot)', re.DOTALL)
_LIMIT = 16 << 20  # bytes of task.json

Open = Callable[[Sink], "AbstractContextManager[IO[bytes] | None]"]


def claims(source: Source) -> float:
    """Certain by the archive's members, by the first event, or by the keys of the task."""
    if {METRICS, TASK} <= member_names(source):
        return 1.0
    if source.suffix == ".jsonl" and _HEAD.match(source.head) and b'"variant"' in source.head:
        return 1.0
    return (
        1.0 if source.name == TASK and b'"hyperparams"' in source.head and b'"offline_folder"' in source.head else 0.0
    )


def read(source: Source, sink: Sink) -> None:
    """Read the events, and the task's parameters as settings. `line` of a point is the line of its event."""
    if source.suffix == ".zip":
        about = beginning(source, TASK, sink, _LIMIT)
        if about is not None:
            _task(about, sink)
        _metrics(lambda into: member(source, METRICS, into), sink)
    elif source.name == TASK:
        with source.open() as stream:
            _task(stream.read(_LIMIT), sink)
    else:
        _metrics(lambda _: source.open(), sink)


reader = Reader("clearml", claims, read)


def _whole(value: object) -> bool:
    return isinstance(value, list)


def _events(stream: IO[bytes], sink: Sink) -> Iterator[tuple[int, str, str, dict[str, object]]]:
    """(line, metric, variant, event) of every scalar."""
    for line, events in values(stream, sink, _whole):
        assert isinstance(events, list)
        for event in events:
            if isinstance(event, dict) and event.get("type", _SCALAR) == _SCALAR and "value" in event:
                yield line, str(event.get("metric", "")), str(event.get("variant", "")), event


def _metrics(opened: Open, sink: Sink) -> None:
    """Two passes: which variants a metric has decides its name."""
    variants: dict[str, set[str]] = defaultdict(set)
    with opened(Sink("")) as stream:
        if stream is not None:
            for _, metric, variant, _ in _events(stream, Sink("")):
                variants[metric].add(variant)
    with opened(sink) as stream:
        if stream is None:
            return
        for line, metric, variant, event in _events(stream, sink):
            value, step, stamp = number(event["value"]), number(event.get("iter")), number(event.get("timestamp"))
            if value is None:
                continue
            time = None if stamp is None else stamp / 1000
            if metric.startswith(":monitor:"):  # its iterations may be seconds
                sink.row({f"system/{variant}": value}, time=time, line=line)
            else:
                name = metric if len(variants[metric]) < 2 else f"{metric}/{variant}"
                sink.row({name: value}, step=step, time=time, line=line)


def _task(data: bytes, sink: Sink) -> None:
    """Names and parameters. Sections other than `General` and `Args` stay in the key."""
    try:
        task = orjson.loads(data)
    except orjson.JSONDecodeError:
        sink.problem(f"{TASK} is not JSON")
        return
    if not isinstance(task, dict):
        return
    for key in ("name", "project_name", "id", "type"):
        if isinstance(task.get(key), str):
            sink.setting(f"clearml.{key}", task[key])
    sections = task.get("hyperparams")
    for section, entries in sections.items() if isinstance(sections, dict) else ():
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            if isinstance(entry, dict) and isinstance(entry.get("value"), str):
                key = name.replace("/", ".")
                sink.setting(key if section in ("General", "Args") else f"{section}.{key}", _typed(entry))


def _typed(entry: dict[str, object]) -> str | int | float | bool:
    """ClearML stores every value as text, and its type beside it."""
    text = str(entry["value"])
    try:
        if entry.get("type") == "int":
            return int(text)
        if entry.get("type") == "float":
            return float(text)
    except ValueError:
        return text
    return text == "True" if entry.get("type") == "bool" else text
