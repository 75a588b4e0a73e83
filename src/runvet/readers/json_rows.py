"""JSON files that hold curves: arrays of rows (W&B history exports), objects of columns (Keras history), and the like.

A file of moderate size is parsed at once; a longer list of rows is streamed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

import numpy as np

from runvet.readers import Reader
from runvet.readers._json import RowBuffer, emit_settings, parse, scalar
from runvet.readers._json_array import pieces, stream_rows, whole_text
from runvet.readers._lines import head_text
from runvet.readers._shapes import Columns, Rows, is_logged, shapes
from runvet.readers._tables import Block, Writer
from runvet.sink import Sink
from runvet.source import Cut, Source

WHOLE = 64 << 20  # bytes of an object of columns
ROWS = 12 << 20  # bytes of a list of rows: parsed, it takes ten times as much
_CONFIG = ("config", "args", "hparams", "params", "cfg", "hyperparameters", "settings")
_TOGETHER = 2_048  # rows handed on together


def claims(source: Source) -> float:
    """Sure where the file's value has the shape of curves and names of a log; never for one object of single values."""
    if source.suffix not in (".json", "") or not re.match(r"\s*[\[{]", head_text(source, 1_000)):
        return 0.0
    text = head_text(source)
    if not source.packed and len(source.head) < source.size <= 8 << 20:
        text = source.text(8 << 20)
    value, _ = parse(text)
    logged = any(is_logged(shape) for shape in shapes(value, _stem(source)))
    return 0.85 if logged else 0.0


def read(source: Source, sink: Sink) -> None:
    """Read every curve of the file; of a cut-off or damaged file, every complete row or value."""
    rows = re.search(r"\[\s*\{", head_text(source)) is not None
    large = source.size * (20 if source.packed else 1)
    if large > (ROWS if rows else WHOLE):
        _stream(pieces(source), sink)
        return
    text = whole_text(source, sink, 2 * WHOLE)
    value, why = parse(text)
    if why and rows and text.lstrip().startswith("["):
        _stream((text,), sink)
        return
    if why:
        sink.problem(why)
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
            for at in range(0, len(shape.rows), _TOGETHER):
                rows.add_all(shape.rows[at : at + _TOGETHER], at + 1)
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


def _stream(text: Iterable[str], sink: Sink) -> None:
    """Row by row: bounded memory, and damage costs only the rows that it hit."""
    rows = RowBuffer(Writer(sink), sink)
    try:
        for number, row in enumerate(stream_rows(text, sink), 1):
            rows.add(row, number)
    except Cut as cut:
        sink.problem(str(cut))
    rows.flush()


reader = Reader("json_rows", claims, read)
