"""JSON lines: one object a line, of any tool (MAE and DETR log.txt, detectron2, mmcv, mmengine, sb3, W&B, fairseq, …)."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import orjson

from runvet.readers import Reader
from runvet.readers._axes import axis_of, is_metric_name
from runvet.readers._json import RowBuffer, loads, scalar
from runvet.readers._lines import head_lines, utf8_blocks
from runvet.readers._resume import Lines
from runvet.readers._tables import Writer
from runvet.run import FloatArray
from runvet.sink import Sink
from runvet.source import Source

# Names of logs that may hold a single row so far.
_LOGS = ("progress.json", "metrics.json", "scalars.json", "log.json")
_NUMERIC = b"0123456789+-.eE"
_VALUE = re.compile(rb"(?<=[:\s])-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?=\s*[,}])")  # a number that is the value of a key
_TOGETHER = 2_048  # lines parsed together
_DECODER = json.JSONDecoder()


def claims(source: Source) -> float:
    """Sure where the first lines are JSON objects with numbers, and some of the names are those of a log."""
    lines = [line for line in head_lines(source)[:200] if line.strip()]
    if not lines:
        return 0.0
    named = source.suffix in (".jsonl", ".ndjson", ".jl")
    rows = [row for row in map(_row, lines) if row is not None]
    if len(rows) * 2 < len(lines) or (len(lines) == 1 and not named and source.suffix != ".json"):
        return 0.0
    if len(lines) == 1 and source.suffix == ".json" and source.name not in _LOGS:
        return 0.0  # a single object: a configuration or a summary
    return (0.85 if named else 0.8) if any(map(is_log_row, rows)) else 0.0


def is_log_row(row: dict[str, Any]) -> bool:
    """Whether an object holds numbers, and an axis or a metric by name (nested objects count)."""
    level = {**row, **{f"{k}/{i}": v for k, d in row.items() if isinstance(d, dict) for i, v in d.items()}}
    numbers = [key for key, value in level.items() if scalar(value) is not None]
    metrics = [k for k in numbers if is_metric_name(k) or is_metric_name(k.rsplit("/", 1)[-1])]
    axes = [k for k in numbers if (axis_of(k) or ("index",))[0] != "index"]
    return bool(metrics) or (bool(axes) and len(numbers) > len(axes)) or (bool(axes) and "value" in level)


def _row(line: str) -> dict[str, Any] | None:
    if not line.lstrip().startswith("{"):
        return None
    try:
        row = loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def read(source: Source, sink: Sink) -> None:
    """Stream the lines into the sink; a line that is no JSON is named once and passed over."""
    log = _Log(source, sink)
    for data in utf8_blocks(source, sink):
        log.block(data)
    log.end()


def resume(source: Source, sink: Sink) -> Lines | None:
    """A reading that goes on as the file grows; None for texts whose lines are not UTF-8 or Latin-1."""
    return _Log(source, sink) if Lines.can(source) else None


class _Log(Lines):
    """The state of reading one file."""

    def __init__(self, source: Source, sink: Sink) -> None:
        super().__init__(source, sink)
        self.rows, self.line = RowBuffer(Writer(sink), sink), 0

    def block(self, data: bytes) -> None:
        whole = data.endswith(b"\n")
        numbers = _numbers(data) if whole else None
        if numbers is not None:
            keys, columns = numbers
            self.rows.add_numbers(keys, columns, self.line + 1)
            self.line += columns.shape[1]
            return
        lines = data.split(b"\n")
        if whole:
            lines.pop()
        for begin in range(0, len(lines), _TOGETHER):
            part = lines[begin : begin + _TOGETHER]
            try:
                self.rows.add_all(list(map(orjson.loads, part)), self.line + begin + 1)
            except orjson.JSONDecodeError:
                self._each(part, self.line + begin, None if whole else self.line + len(lines))
        self.line += len(lines)

    def _each(self, lines: list[bytes], before: int, last: int | None) -> None:
        """Read lines of which some are not strict JSON; `last` is the number of a last line that lacks its end."""
        for number, text in enumerate(lines, before + 1):
            if not text or text.isspace():
                continue
            try:
                row = orjson.loads(text)
            except ValueError:
                _odd(text, number, self.rows, self.sink, last=number == last)
                continue
            if type(row) is dict:
                self.rows.add(row, number)

    def end(self) -> None:
        self.rows.flush()


def _numbers(data: bytes) -> tuple[tuple[str, ...], FloatArray] | None:
    """Keys and columns (keys, lines) of lines that differ in nothing but the numbers their objects hold; else None."""
    first = data[: data.find(b"\n") + 1]
    texts = _VALUE.split(first)
    try:
        row = orjson.loads(first)
    except orjson.JSONDecodeError:
        return None
    if (
        type(row) is not dict
        or not row
        or len(row) != len(texts) - 1
        or not all(type(v) in (int, float) for v in row.values())
    ):
        return None
    rows = data.count(b"\n")
    if data.translate(None, _NUMERIC) != first.translate(None, _NUMERIC) * rows:
        return None
    joints = [texts[-1] + texts[0], *texts[1:-1]]  # what stands between two numbers, first across lines
    cells = data[len(texts[0]) : -len(texts[-1])]
    for place, joint in enumerate(joints):
        size = len(cells) - (rows if place else rows - 1) * (len(joint) - 1)
        cells = cells.replace(joint, b",")
        if len(cells) != size:  # it did not stand on every line once
            return None
    try:
        flat = np.array(orjson.loads(b"[" + cells + b"]"), np.float64)
    except (orjson.JSONDecodeError, OverflowError):
        return None
    return (tuple(row), flat.reshape(rows, len(row)).T) if flat.size == rows * len(row) else None


def _odd(text: bytes, number: int, rows: RowBuffer, sink: Sink, *, last: bool) -> None:
    """A line that strict JSON refuses: bare NaN, several objects in one line, text of something else, or cut off."""
    words = text.decode("utf-8", "replace").strip().lstrip("\ufeff")
    at = 0
    while at < len(words):
        try:
            row, at = _DECODER.raw_decode(words, at)
        except (ValueError, RecursionError):
            start = words.find("{", at)
            if start > at:  # other text stands before the object
                at = start
                sink.problem("text stands before a JSON object; it is passed over", line=number)
                continue
            why = (
                "the last line is only half written; it is left out"
                if last
                else "a line is not JSON; it is passed over"
            )
            sink.problem(why, line=number)
            return
        if isinstance(row, dict):
            rows.add(row, number)
        while at < len(words) and words[at] in " \t,":
            at += 1


reader = Reader("jsonl", claims, read, resume=resume)
