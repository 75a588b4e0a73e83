"""JSON files that hold curves: arrays of rows (W&B history exports), objects of columns (Keras history), and the like.

Up to `WHOLE` bytes the file is parsed at once; a longer array is streamed row by row.
"""

from __future__ import annotations

import json
import re
from pathlib import PurePath
from typing import Any

import numpy as np

from runvet.readers import Reader
from runvet.readers._json import RowBuffer, emit_settings, loads, repair, scalar
from runvet.readers._lines import head_text, utf8_blocks
from runvet.readers._shapes import Columns, Rows, is_logged, shapes
from runvet.readers._tables import Block, Writer
from runvet.sink import Sink
from runvet.source import Cut, Source

WHOLE = 64 << 20
ROW = 32 << 20  # a single row longer than this is given up
_CONFIG = ("config", "args", "hparams", "params", "cfg", "hyperparameters", "settings")


def claims(source: Source) -> float:
    """Sure where the file's value has the shape of curves and names of a log; never for one object of single values."""
    if source.suffix not in (".json", "") or not re.match(r"\s*[\[{]", head_text(source, 1_000)):
        return 0.0
    text = head_text(source)
    if not source.packed and len(source.head) < source.size <= 8 << 20:
        text = source.text(8 << 20)
    try:
        value = loads(text)
    except ValueError:
        try:
            value = repair(text[: 1 << 20])
        except ValueError:
            return 0.0
    logged = any(is_logged(shape) for shape in shapes(value, _stem(source)))
    return 0.85 if logged else 0.0


def read(source: Source, sink: Sink) -> None:
    """Read every curve of the file; of a cut-off file, every complete row or value."""
    if source.size > WHOLE or (source.packed and source.size > WHOLE // 20):
        _stream(source, sink)
        return
    try:
        text = source.text(WHOLE + 1).lstrip("\ufeff")
    except (EOFError, OSError, ValueError):
        text = _readable(source, sink)
    if len(text) > WHOLE:
        _stream(source, sink)
        return
    try:
        value = loads(text.replace("\0", ""))
    except ValueError as error:
        sink.problem(f"the JSON is damaged or cut off ({error}); what is complete before that is kept",
                     line=getattr(error, "lineno", 0), offset=getattr(error, "pos", None))  # fmt: skip
        try:
            value = repair(text)
        except ValueError:
            return
    give(value, _stem(source), sink)


def give(value: Any, stem: str, sink: Sink) -> None:
    """Write the curves of a parsed value, and its configuration where it holds one beside them."""
    found = [shape for shape in shapes(value, stem) if is_logged(shape)]
    alone = sum(isinstance(shape, Rows) for shape in found) == 1
    for shape in found:
        if isinstance(shape, Columns):
            _columns(shape, sink)
        else:
            prefix = "" if alone or not shape.name else f"{shape.name}/"
            rows = RowBuffer(Writer(sink, rename=lambda n, p=prefix: p + n), sink)  # type: ignore[misc]
            for number, row in enumerate(shape.rows, 1):
                rows.add(row, number)
            rows.flush()
    if isinstance(value, dict):
        for key in _CONFIG:
            if isinstance(value.get(key), dict):
                emit_settings(sink, value[key])


def _columns(shape: Columns, sink: Sink) -> None:
    """Columns of one length share their coordinates; the others have none but their order."""
    by_length: dict[int, dict[str, list[Any]]] = {}
    for name, items in shape.columns.items():
        by_length.setdefault(len(items), {})[name] = items
    prefix = f"{shape.name}/" if shape.name else ""
    for length, group in by_length.items():
        columns = {}
        for name, items in group.items():
            numbers = [scalar(item) for item in items]
            places = np.array([i for i, n in enumerate(numbers) if n is not None], np.intp)
            values = np.array([n for n in numbers if n is not None], np.float64)
            columns[name] = (values, None if len(values) == length else places)
        lines = np.arange(1, length + 1, dtype=np.int64)
        Writer(sink, rename=lambda n: prefix + n).write(Block(length, lines, columns))


def _stem(source: Source) -> str:
    return PurePath(source.name).stem.rsplit("-tag-", 1)[-1]


def _readable(source: Source, sink: Sink) -> str:
    """All text that damaged packed data give."""
    return b"".join(utf8_blocks(source, sink)).decode("utf-8", "replace")


def _stream(source: Source, sink: Sink) -> None:
    """Row by row from the first list of objects on; a damaged row is named and passed over."""
    decoder, rows = json.JSONDecoder(), RowBuffer(Writer(sink), sink)
    buffer, at, started, number = "", 0, False, 0
    try:
        pieces = _pieces(source)
        for piece in pieces:
            buffer = buffer[at:] + piece
            at = 0
            if not started:
                opening = re.search(r"\[\s*(?=\{)", buffer)
                if opening is None:
                    at = max(0, len(buffer) - 1_000)
                    continue
                at, started = opening.end(), True
            while True:
                start = buffer.find("{", at)
                closing = re.compile(r"\s*\]").match(buffer, at)
                if start < 0 or closing:
                    at = start if start >= 0 else at
                    break
                try:
                    row, at = decoder.raw_decode(buffer, start)
                except (ValueError, RecursionError) as error:
                    if len(buffer) - start < ROW and not _broken(error, buffer):
                        at = start
                        break
                    sink.problem(f"a row is damaged ({error}); it is passed over", line=number + 1)
                    following = re.compile(r"\}\s*,\s*(?=\{)").search(buffer, start + 1)
                    if following is None:
                        at = start
                        break
                    at = following.end()
                    continue
                number += 1
                if isinstance(row, dict):
                    rows.add(row, number)
            if closing:
                at = len(buffer)
                rows.flush()
                return
    except Cut as cut:
        sink.problem(str(cut))
    rows.flush()
    if started:
        sink.problem("the list of rows is cut off; every complete row is kept", line=number + 1)
    else:
        sink.problem("no list of rows in the first part of this JSON file, and it is too large to parse at once")


def _broken(error: Exception, buffer: str) -> bool:
    """Whether a parse error cannot be cured by more text: it stands well before the end of what was read."""
    return getattr(error, "pos", len(buffer)) < len(buffer) - 100_000 and "Unterminated" not in str(error)


def _pieces(source: Source) -> Any:
    """The text in pieces of about a block; Cut where packed data end early."""
    import codecs

    decoder = codecs.getincrementaldecoder(source.encoding)("replace")
    with source.open() as stream:
        while True:
            try:
                data = stream.read(1 << 20)
            except (EOFError, OSError, ValueError) as error:
                raise Cut(f"packed data end early: {error}") from None
            if not data:
                return
            yield decoder.decode(data)


reader = Reader("json_rows", claims, read)
