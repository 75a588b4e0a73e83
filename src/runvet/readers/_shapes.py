"""The shapes in which a JSON file holds curves: lists of rows, objects of columns, pairs, and objects keyed by epoch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from runvet.readers._axes import axis_of, is_metric_name
from runvet.readers._json import DEPTH, scalar

_KEYED = re.compile(r"(?:(epoch|ep|step|iter|iteration)[_\- ]?)?(\d+)", re.IGNORECASE)
_TRIPLE, _PAIR = 3, 2


@dataclass(frozen=True, slots=True)
class Rows:
    """A list of objects, each one record; `name` is the path of keys to it, joined by `/`."""

    name: str
    rows: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Columns:
    """An object of lists of numbers; lists as long as a coordinate's list share it."""

    name: str
    columns: dict[str, list[Any]]


def shapes(value: Any, stem: str) -> Iterator[Rows | Columns]:
    """The curves of a JSON value. A nameless list is named `stem`."""
    if isinstance(value, list):
        yield from _list(value, "", stem)
    elif isinstance(value, dict):
        yield from _object(value, "", 0)


def _list(value: list[Any], name: str, stem: str) -> Iterator[Rows | Columns]:
    objects = [item for item in value if isinstance(item, dict)]
    if objects:
        if len(objects) * 2 >= len(value):
            yield Rows(name, objects)
    elif len(value) >= 2 and _numbers(value):
        yield Columns(name, {stem: value})
    elif len(value) >= 2 and all(isinstance(item, list) for item in value):
        yield from _tuples(value, name, stem)


def _tuples(value: list[Any], name: str, stem: str) -> Iterator[Columns]:
    """`[[wall time, step, value], …]` as TensorBoard gives it, or `[[step, value], …]`."""
    widths = {len(item) for item in value}
    if widths not in ({_TRIPLE}, {_PAIR}) or not all(_numbers(item) for item in value):
        return
    first, *others = zip(*value, strict=True)
    if not all(scalar(b) >= scalar(a) for a, b in pairwise(first)):  # type: ignore[operator]
        return
    if widths == {_TRIPLE} and (scalar(first[0]) or 0) > 1e8:
        yield Columns(name, {"wall_time": list(first), "step": list(others[0]), stem: list(others[1])})
    elif widths == {_PAIR}:
        yield Columns(name, {"step": list(first), stem: list(others[0])})


def _object(value: dict[str, Any], name: str, depth: int) -> Iterator[Rows | Columns]:
    keyed = _keyed(value)
    if keyed:
        yield Rows(name, keyed)
        return
    columns: dict[str, list[Any]] = {}
    for key, item in value.items():
        path = f"{name}/{key}" if name else str(key)
        if isinstance(item, list) and len(item) >= 2 and _numbers(item):
            columns[str(key)] = item
        elif isinstance(item, list):
            yield from _list(item, path if depth or not _container(key) else "", path)
        elif isinstance(item, dict):
            indexed = _indexed(item)
            if indexed:
                columns[str(key)] = indexed
            elif depth < DEPTH:
                yield from _object(item, path if depth or not _container(key) else "", depth + 1)
    if columns:
        yield Columns(name, columns)


def _container(key: str) -> bool:
    """Keys that say only "here is the log", no part of a metric's name."""
    return key.lower() in (
        "history",
        "log_history",
        "logs",
        "log",
        "metrics",
        "records",
        "rows",
        "data",
        "results",
        "steps",
    )


def _keyed(value: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of an object such as `{"epoch_1": {"loss": …}, "epoch_2": …}`."""
    matches = [(_KEYED.fullmatch(str(key)), row) for key, row in value.items()]
    if len(matches) < 2 or not all(m and isinstance(row, dict) for m, row in matches):
        return []
    axis = "step" if any(m and (m[1] or "").lower().startswith(("step", "iter")) for m, _ in matches) else "epoch"
    return [{axis: int(m[2]), **row} for m, row in matches if m and len(m[2]) < 16]


def _indexed(value: dict[str, Any]) -> list[Any]:
    """The values of `{"0": 0.5, "1": 0.4, …}`, a column of a data frame."""
    if len(value) >= 2 and all(str(key).isdigit() for key in value) and _numbers(list(value.values())):
        return list(value.values())
    return []


def _numbers(items: list[Any]) -> bool:
    """Whether a list holds numbers and nulls only, and some number."""
    return any(scalar(i) is not None for i in items) and all(i is None or scalar(i) is not None for i in items)


def is_logged(shape: Rows | Columns) -> bool:
    """Whether a shape is a log by its names: an axis beside numbers, or a metric."""
    if isinstance(shape, Columns):
        names = [f"{shape.name}/{key}" if shape.name else key for key in shape.columns]
        return any(is_metric_name(n) for n in names) or (
            len(names) > 1 and any((axis_of(k) or ("index",))[0] in ("step", "epoch") for k in shape.columns)
        )
    from runvet.readers.jsonl import is_log_row

    sample = shape.rows[:50]
    good = [row for row in sample if is_log_row(row)]
    axes = any((axis_of(k) or ("index",))[0] in ("step", "epoch", "time") for row in good for k in row)
    numeric = sum(scalar(v) is not None for row in good for v in row.values())
    return len(good) * 2 >= len(sample) and (axes or numeric * 2 >= sum(map(len, good))) and len(shape.rows) >= 2
