"""CSV, TSV and other delimited tables: Lightning, Keras, stable-baselines3, fastai, ultralytics, W&B exports, …

Blocks of plain numbers are converted at once; anything else goes through the csv module. A header that changes or
is written again in the middle, ragged rows, comments and a half-written last row are expected.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import Any

import numpy as np
import numpy.typing as npt

from runvet.readers import Reader
from runvet.readers._axes import axis_of
from runvet.readers._cells import column, is_number, plain_block
from runvet.readers._layout import Layout, is_header, looks_logged, of_items, sniff, split
from runvet.readers._lines import head_lines, utf8_blocks
from runvet.readers._modes import mode_columns
from runvet.readers._resume import Lines
from runvet.readers._tables import Block, Rows, Writer
from runvet.run import FloatArray
from runvet.sink import Sink
from runvet.source import Source

_SUFFIXES = {".csv": 0.9, ".tsv": 0.9, ".tab": 0.9, ".txt": 0.72, ".dat": 0.72, ".log": 0.72, ".out": 0.72, "": 0.7}
# W&B writes each value of a chart three times; the x axis of the chart may come as one more column.
_COPIES = re.compile(r".*__(?:MIN|MAX)$|.* - _?(?:step|runtime|timestamp)$", re.IGNORECASE | re.DOTALL)


def claims(source: Source) -> float:
    """Sure for a csv or tsv with an axis or a metric by name; less sure for a regular table in another text file."""
    sure = _SUFFIXES.get(source.suffix, 0.0)
    layout = sniff(head_lines(source), _stem(source)) if sure else None
    if layout is None or _key_values(layout):
        return 0.0
    if any(line.startswith("#{") for line in layout.comments) and {"r", "l", "t"} <= set(layout.names):
        return 0.95  # monitor.csv of gym and stable-baselines3
    if not looks_logged(layout) or of_items(layout, source.relative.split("/")[:-1]):
        return 0.0
    if sure >= 0.9:
        return sure if layout.headed else 0.5
    regular = len(layout.rows) >= 3 and all(len(row) == len(layout.names) for row in layout.rows)
    words = all(re.fullmatch(r"[\w/().@%:\- ]*", name) and len(name) < 60 for name in layout.names)
    return sure if layout.headed and regular and words and len(layout.names) >= 2 else 0.0


def _key_values(layout: Layout) -> bool:
    """Whether the names stand in every row again: lines of `step 10 loss 2.3` have columns, but are no table."""
    rows = layout.rows
    return any(
        bool(name) and not is_number(name) and 2 * sum(len(r) > i and r[i].strip() == name for r in rows) > len(rows)
        for i, name in enumerate(layout.names)
    )


def read(source: Source, sink: Sink) -> None:
    """Stream the table into the sink."""
    read_as(source, sink, None)


def read_as(source: Source, sink: Sink, rename: Callable[[str], str] | None) -> None:
    """Stream the table into the sink; `rename` gives a series its name from its column's."""
    layout = sniff(head_lines(source), _stem(source))
    if layout is None:
        sink.problem("no regular table of numbers in this file")
        return
    _comments(layout, sink)
    table = _Table(source, sink, layout, rename)
    for data in utf8_blocks(source, sink):
        table.block(data)


def resume(source: Source, sink: Sink) -> Lines | None:
    """A reading that goes on as the table grows; None for texts whose lines are not UTF-8 or Latin-1."""
    layout = sniff(head_lines(source), _stem(source)) if Lines.can(source) else None
    if layout is None:
        return None
    _comments(layout, sink)
    return _Table(source, sink, layout, None)


def _comments(layout: Layout, sink: Sink) -> None:
    """Settings that stand in a comment as JSON (`#{"t_start": …, "env_id": …}`)."""
    for line, text in enumerate(layout.comments, 1):
        try:
            found = json.loads(text[1:]) if text.startswith("#{") else {}
        except ValueError:
            continue
        for key, value in found.items():
            if isinstance(value, str | int | float | bool):
                sink.setting(str(key), value, line=line)


def _stem(source: Source) -> str:
    """The name of a table that names nothing itself: `loss` for loss.csv and for TensorBoard's run-x-tag-loss.csv."""
    stem = PurePath(source.name).stem
    return stem.rsplit("-tag-", 1)[-1]


class _Table(Lines):
    """The state of reading one file: current columns, line number, what was odd."""

    def __init__(self, source: Source, sink: Sink, layout: Layout, rename: Callable[[str], str] | None) -> None:
        super().__init__(source, sink)
        self.delimiter = layout.delimiter
        self.skip, self.line, self.rename = layout.skip, 0, rename
        self.writer = Writer(sink)
        self.tail = b""
        self.set_header(layout.names)

    def set_header(self, names: tuple[str, ...]) -> None:
        self.names = names
        copies = frozenset(n for n in names if _COPIES.fullmatch(n) and _is_copy(n, names))
        series = [n for n in names if axis_of(n) is None]
        alone = len(series) == 1 and series[0].lower() == "value"
        stem = _stem(self.source)
        own = (lambda n: stem if n.lower() == "value" else n) if alone else str
        self.writer.set_header(self.rename or own, copies)

    def block(self, data: bytes) -> None:
        while self.skip and data:
            end = data.find(b"\n") + 1 or len(data)
            data, self.skip, self.line = data[end:], self.skip - 1, self.line + 1
        if not data:
            return
        if not data.endswith(b"\n"):
            data = self.without_cut_row(data)
        self.line += self.numbers(data)
        self.tail = (self.tail + data)[-8_192:] if len(data) < 8_192 else data[-8_192:]

    def without_cut_row(self, data: bytes) -> bytes:
        """The lines without a last one that was still being written when the file was read."""
        start = data.rfind(b"\n") + 1
        last = split(data[start:].decode("utf-8", "replace"), self.delimiter)
        before = (self.tail + data[:start]).splitlines()[-50:]
        earlier = [split(line.decode("utf-8", "replace"), self.delimiter) for line in before]
        ends = [len(row[-1].strip()) for row in earlier if len(row) == len(self.names) and row[-1].strip()]
        cell = last[-1].strip() if last else ""
        half = len(last) < len(self.names) or (bool(ends) and len(cell) < min(ends) - 1) or cell[-1:] in tuple("eE+-.,")
        if not (half and earlier):
            return data + b"\n"
        at = self.line + data.count(b"\n") + 1
        self.sink.problem("the last row is only half written; it is left out", line=at)
        return data[:start]

    def numbers(self, data: bytes) -> int:
        """Read whole lines; gives how many."""
        values = plain_block(data, self.delimiter.encode(), len(self.names))
        if values is None:
            self.rows(data)
            return data.count(b"\n")
        lines = np.arange(self.line + 1, self.line + len(values) + 1, dtype=np.int64)
        blank: npt.NDArray[np.bool_] = np.isnan(values)
        columns: dict[str, tuple[FloatArray, Rows | None]] = {}
        for i, name in enumerate(self.names):
            if blank[:, i].any():
                rows = np.flatnonzero(~blank[:, i])
                columns[name] = (values[rows, i], rows)
            else:
                columns[name] = (values[:, i], None)
        self.writer.write(Block(len(values), lines, columns))
        return len(values)

    def rows(self, data: bytes) -> None:
        """The slower way: cell by cell, a new sub-block where the header changes."""
        kept: list[list[str]] = []
        lines: list[int] = []
        for line, row in self.parse(data.decode("utf-8", "replace")):
            if is_header(row, self.names):
                self.flush(kept, lines)
                kept, lines = [], []
                self.sink.seam(line, "the header is written again")
                self.set_header(tuple(cell.strip() for cell in row))
            else:
                kept.append(row)
                lines.append(line)
        self.flush(kept, lines)

    def parse(self, text: str) -> Iterator[tuple[int, list[str]]]:
        """The rows that hold data, each with its line. A row with one huge or broken cell is named and left out."""
        physical = text.split("\n")
        quoted = self.delimiter not in (" ", "|") and '"' in text
        return self.quoted(physical) if quoted else self.simple(physical)

    def simple(self, physical: list[str]) -> Iterator[tuple[int, list[str]]]:
        for number, line in enumerate(physical, self.line + 1):
            bare = line.strip()
            if not bare or bare[0] == "#":
                continue
            if self.delimiter in (" ", "|"):
                if bare.strip("|:-=+_ "):
                    yield number, split(bare, self.delimiter)
            else:
                yield number, line.rstrip("\r").split(self.delimiter)

    def quoted(self, physical: list[str]) -> Iterator[tuple[int, list[str]]]:
        begin = 0
        while begin < len(physical):
            lines = (physical[i] + "\n" for i in range(begin, len(physical)))
            reader = csv.reader(lines, delimiter=self.delimiter, skipinitialspace=True)
            first = begin
            for at, row, failed in _told(reader):
                end = first + reader.line_num
                begin = first + at
                if failed or self.swallows(physical[begin + 1 : end]):
                    self.sink.problem(
                        f"a row cannot be parsed: {failed or 'a quote is not closed in its line'}",
                        line=self.line + begin + 1,
                    )
                    row = physical[begin].rstrip("\r").split(self.delimiter) if not failed else []
                    end = begin + 1
                if any(row) and not row[0].lstrip().startswith("#"):
                    yield self.line + begin + 1, row
                begin = end
                if end != first + reader.line_num:
                    break  # read the lines again that it took for a part of a cell
            else:
                return

    def swallows(self, lines: list[str]) -> bool:
        """Whether lines that a cell goes on in are rows of their own: as many cells as names, a number first."""
        rows = (line.split(self.delimiter) for line in lines)
        return any(len(row) == len(self.names) and is_number(row[0].strip()) for row in rows)

    def flush(self, rows: list[list[str]], lines: list[int]) -> None:
        rows, lines = self.regular(rows, lines)
        if not rows:
            return
        columns, texts = {}, {}
        for name, cells in zip(self.names, zip(*rows, strict=True), strict=True):
            values, places, text = column(cells)
            if text > len(values):
                texts[name] = cells
            elif len(values):
                columns[name] = (values, places)
        block = Block(len(rows), np.array(lines, np.int64), columns)
        self.writer.write(mode_columns(block, texts))

    def regular(self, rows: list[list[str]], lines: list[int]) -> tuple[list[list[str]], list[int]]:
        """Rows brought to the header's width. A lone short row is a torn one and left out, many are meant so."""
        width = len(self.names)
        short = Counter(len(row) for row in rows if len(row) < width)
        for length, times in short.items():
            if times < 3:
                at = next(line for row, line in zip(rows, lines, strict=True) if len(row) == length)
                self.sink.problem(f"a row has {length} of {width} cells; it is left out", line=at)
        kept = [i for i, row in enumerate(rows) if len(row) >= width or short[len(row)] >= 3]
        for i in kept:
            row = rows[i]
            if len(row) > width:
                if any(cell.strip() for cell in row[width:]):
                    self.sink.problem(
                        "rows have more cells than the header; those without a name are left out", line=lines[i]
                    )
                rows[i] = row[:width]
            elif len(row) < width:
                rows[i] = row + [""] * (width - len(row))
        return [rows[i] for i in kept], [lines[i] for i in kept]


def _told(reader: Any) -> Iterator[tuple[int, list[str], str]]:
    """The rows of a csv reader, each with the line before it, and what was wrong with it."""
    while True:
        at, row, failed = reader.line_num, [], ""
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            failed = str(error)
        yield at, row, failed


def _is_copy(name: str, names: tuple[str, ...]) -> bool:
    base = re.sub(r"__(?:MIN|MAX)$", "", name)
    return base in names if base != name else True


reader = Reader("delimited", claims, read, resume=resume)
