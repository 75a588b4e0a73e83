"""JSON as training tools write it (bare NaN, cut off while written) and rows of it as blocks of columns."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import orjson

from runvet.readers._axes import axis_of, clock
from runvet.readers._modes import mode_columns
from runvet.readers._tables import Block, Rows, Writer
from runvet.run import FloatArray, Plain
from runvet.sink import Sink

ROWS = 8_192  # rows gathered before they become columns
TOO_DEEP = 500  # nesting that no log has
DEPTH = 6  # levels of nested objects that become names
WIDE = 2_000  # names that one nested value may give
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:nan|inf(?:inity)?)", re.IGNORECASE)
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\Z)|[\[\]{},]', re.DOTALL)
_CONFIG_KEYS = frozenset(
    ("config", "env_info", "args", "hparams", "cfg", "hyperparameters", "hyper_parameters", "params")
)
_LEVELS = {"warning": "warning", "warn": "warning", "error": "error", "critical": "error", "fatal": "error"}


def loads(data: bytes | str) -> Any:
    """One JSON value; bare NaN and Infinity are taken. Raises ValueError (also for text nested too deeply)."""
    try:
        return orjson.loads(data)
    except ValueError:
        pass
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def parse(text: str) -> tuple[Any, str]:
    """The value of a JSON text, and what is wrong with it ('' if nothing): of a cut-off text, what is complete.

    Several objects one after the other become a list. The value is None where nothing can be read.
    """
    try:
        return loads(text), ""
    except ValueError as error:
        why, place = str(error), getattr(error, "pos", len(text))
    if why.startswith("Extra data"):
        objects = list(concatenated(text))
        if len(objects) > 1 and all(isinstance(item, dict) for item in objects):
            return objects, ""
    try:
        return repair(text[:place]), f"the JSON is damaged or cut off ({why}); what is complete before that is kept"
    except ValueError:
        return None, f"the JSON cannot be read ({why})"


def concatenated(text: str) -> Iterator[Any]:
    """The values that stand one after the other in a text, up to the first damaged one."""
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        at = len(text) - len(text[at:].lstrip(" \t\r\n,")) if text[at] in " \t\r\n," else at
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return
        yield value


def repair(text: str) -> Any:
    """The value of a JSON text that was cut off: everything up to the last complete row, entry or list item.

    Raises ValueError where not even that can be read.
    """
    # May a value be cut inside this bracket? Yes in objects and the first list, no in the rows of that list: half
    # a row would be a row that was never logged.
    stack: list[tuple[str, bool]] = []
    cut, closers = 0, ""
    for match in _TOKEN.finditer(text):
        mark = match[0]
        if mark in "[{":
            whole = len(stack) < DEPTH and all(bracket == "{" for bracket, _ in stack)
            stack.append((mark, whole))
            if len(stack) > TOO_DEEP:
                break
        elif mark in "]}":
            if not stack or (stack.pop()[0] == "[") != (mark == "]"):
                break
            continue
        elif mark != ",":
            if len(mark) < 2 or mark[-1] != '"':
                break  # a string without its end
            continue
        if stack and stack[-1][1]:
            cut = match.start() if mark == "," else match.end()
            closers = "".join("]" if bracket == "[" else "}" for bracket, _ in reversed(stack))
    if not closers:
        raise ValueError("no complete value")
    return loads(text[:cut] + closers)


def scalar(value: object) -> float | None:
    """A number that can be a point of a series; None for booleans, words, lists and objects."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:
            return None
    if isinstance(value, str) and len(value) < 40 and _NUMBER.fullmatch(value.strip()):
        return float(value)
    return None


class RowBuffer:
    """Rows of a log, gathered and handed to a `Writer` as columns. Rows may differ in their keys."""

    def __init__(self, writer: Writer, sink: Sink) -> None:
        self.writer, self.sink, self.count = writer, sink, 0
        self.lines: list[int] = []
        self.groups: dict[tuple[str, ...], tuple[list[int], list[list[Any]]]] = {}  # keys -> places, columns

    def add(self, row: dict[str, Any], line: int) -> None:
        """Add one row, which stands in `line` (or is record number `line`)."""
        if not _CONFIG_KEYS.isdisjoint(row) and self.settings(row, line):
            return
        keys = tuple(row)
        group = self.groups.get(keys)
        if group is None:
            group = self.groups[keys] = ([], [[] for _ in keys])
        group[0].append(len(self.lines))
        for column, value in zip(group[1], row.values(), strict=True):
            column.append(value)
        self.lines.append(line)
        self.count += 1
        if len(self.lines) >= ROWS:
            self.flush()

    def add_all(self, rows: list[Any], line: int) -> None:
        """Add what stands in consecutive lines from `line` on; anything but an object is passed over."""
        if set(map(type, rows)) == {dict} and len(set(map(len, rows))) == 1 and _CONFIG_KEYS.isdisjoint(rows[0]):
            keys = tuple(rows[0])
            try:  # as many keys each, and all of the first one's: the same keys
                columns = [list(map(itemgetter(key), rows)) for key in keys]
            except KeyError:
                pass
            else:
                self.add_columns(keys, columns, line)
                return
        for number, row in enumerate(rows, line):
            if type(row) is dict:
                self.add(row, number)

    def add_columns(self, keys: tuple[str, ...], columns: list[list[Any]], line: int) -> None:
        """Add rows of consecutive lines from `line` on, which all have these keys; one list of cells for each."""
        done, size = 0, len(columns[0]) if columns else 0
        while done < size:
            here = len(self.lines)
            stop = min(size, done + ROWS - here)
            places, mine = self.groups.setdefault(keys, ([], [[] for _ in keys]))
            places.extend(range(here, here + stop - done))
            for column, new in zip(mine, columns, strict=True):
                column += new[done:stop]
            self.lines.extend(range(line + done, line + stop))
            self.count += stop - done
            done = stop
            if len(self.lines) >= ROWS:
                self.flush()

    def add_numbers(self, keys: tuple[str, ...], columns: FloatArray, line: int) -> None:
        """Add rows of consecutive lines from `line` on that hold nothing but numbers; `columns` is (keys, rows)."""
        if self.lines:  # rows stay in the order of their lines
            self.add_columns(keys, columns.tolist(), line)
            return
        for begin in range(0, columns.shape[1], ROWS):
            part = columns[:, begin : begin + ROWS]
            size = part.shape[1]
            lines = np.arange(line + begin, line + begin + size, dtype=np.int64)
            self.writer.write(Block(size, lines, {key: (cells, None) for key, cells in zip(keys, part, strict=True)}))
        self.count += columns.shape[1]

    def settings(self, row: dict[str, Any], line: int) -> bool:
        """Whether the row is a run's configuration; then it is kept as settings."""
        found = [k for k in _CONFIG_KEYS & row.keys() if isinstance(row[k], dict | str)]
        if not found or any((axis_of(k) or ("",))[0] in ("step", "epoch") for k in row):
            return False
        for key, value in row.items():
            emit_settings(self.sink, {key: value} if key not in found or isinstance(value, str) else value, line=line)
        return True

    def flush(self) -> None:
        """Give the rows gathered so far to the writer."""
        if not self.lines:
            return
        pieces: dict[str, list[tuple[FloatArray, Rows]]] = {}
        texts: dict[str, list[str | None]] = {}
        for keys, (places, cells_of) in self.groups.items():
            where = np.array(places, np.intp)
            for key, cells in zip(keys, cells_of, strict=True):
                self.gather(key, cells, where, pieces, texts)
        columns: dict[str, tuple[FloatArray, Rows | None]] = {}
        for name, parts in pieces.items():
            values, where = parts[0] if len(parts) == 1 else _joined(parts)
            columns[name] = (values, None if len(values) == len(self.lines) else where)
        block = Block(len(self.lines), np.array(self.lines, np.int64), columns)
        self.events(texts)
        self.writer.write(mode_columns(block, texts))
        self.lines, self.groups = [], {}

    def gather(
        self,
        key: str,
        cells: Sequence[Any],
        where: Rows,
        pieces: dict[str, list[tuple[FloatArray, Rows]]],
        texts: dict[str, list[str | None]],
        depth: int = 0,
    ) -> None:
        """Sort the cells of one key into numbers, words and nested objects."""
        types = set(map(type, cells))
        if types <= {float, int}:
            try:
                pieces.setdefault(key, []).append((np.array(cells, np.float64), where))
                return
            except OverflowError:
                pass
        if str in types:
            self.words(key, cells, where, texts)
        values, places = [], []
        nested: dict[str, tuple[list[Any], list[int]]] = {}
        timed = (axis_of(key) or ("",))[0] in ("time", "clock?")
        for place, cell in zip(where.tolist(), cells, strict=True):
            value = scalar(cell)
            if value is None and timed and isinstance(cell, str):
                value = clock(cell)
            if value is not None:
                values.append(value)
                places.append(place)
            elif isinstance(cell, dict) and "_type" not in cell and depth < DEPTH:
                for inner, item in cell.items():
                    if inner in nested or len(nested) < WIDE:
                        mine = nested.setdefault(str(inner), ([], []))
                        mine[0].append(item)
                        mine[1].append(place)
        if values:
            pieces.setdefault(key, []).append((np.array(values, np.float64), np.array(places, np.intp)))
        for inner, (items, at) in nested.items():
            self.gather(f"{key}/{inner}", items, np.array(at, np.intp), pieces, texts, depth + 1)

    def words(self, key: str, cells: Sequence[Any], where: Rows, texts: dict[str, list[str | None]]) -> None:
        column = texts.setdefault(key, [None] * len(self.lines))
        for place, cell in zip(where.tolist(), cells, strict=True):
            if isinstance(cell, str):
                column[place] = cell

    def events(self, texts: Mapping[str, list[str | None]]) -> None:
        """Warnings and errors among structured log records (`level`, `message`)."""
        level = next((texts[k] for k in ("level", "levelname", "severity") if k in texts), None)
        message = next((texts[k] for k in ("message", "msg", "event", "text") if k in texts), None)
        if level is None or message is None:
            return
        for line, grade, text in zip(self.lines, level, message, strict=True):
            kind = _LEVELS.get((grade or "").lower())
            if kind and text:
                self.sink.event(kind, text, line=line)


def _joined(parts: list[tuple[FloatArray, Rows]]) -> tuple[FloatArray, Rows]:
    """The values of several groups of rows in the order of the rows."""
    values, places = np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
    order = np.argsort(places, kind="stable")
    return values[order], places[order]


def emit_settings(sink: Sink, value: Any, prefix: str = "", *, line: int = 0, limit: int = 5_000) -> int:
    """Keep the values of a nested mapping under dotted keys; gives how many. Lists of plain values stay lists."""
    stack: list[tuple[str, Any, int]] = [(prefix, value, 0)]
    kept = 0
    while stack and kept < limit:
        key, item, depth = stack.pop()
        if isinstance(item, dict) and depth < 20:
            inner = [(f"{key}.{k}" if key else str(k), v, depth + 1) for k, v in list(item.items())[:limit]]
            stack.extend(reversed(inner))
        elif isinstance(item, list | tuple) and any(isinstance(i, dict | list) for i in item) and depth < 20:
            stack.extend((f"{key}.{i}", v, depth + 1) for i, v in reversed(list(enumerate(item[:100]))))
        elif key:
            sink.setting(key, plain(item), line=line)
            kept += 1
    return kept


def plain(value: object) -> Plain:
    """A value as a setting may hold it: plain scalars and (short) lists of them, everything else as its words."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [plain(item) for item in value[:256]]
    return str(value)[:2_000]
