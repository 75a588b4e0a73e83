"""JSON, JSON lines and CSV that hold data or predictions: numbers as columns, bounded."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from runvet.artifacts.model import Array, Contents, UnreadableError
from runvet.artifacts.opening import start_of

BYTES = 32 << 20  # larger files are read to here (JSON lines, CSV) or not at all (JSON)
ROWS = 50_000
COLUMNS = 1_000


def read_json(path: Path) -> Contents:
    """A JSON file and its numeric columns. Raises UnreadableError."""
    data = _bytes(path)
    if len(data) > BYTES:
        raise UnreadableError(f"{path.stat().st_size:,} bytes of JSON, more than the {BYTES:,} that are read")
    try:
        plain = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise UnreadableError(f"no JSON: {str(error)[:100]}") from None
    return Contents(columns(plain), plain=plain)


def read_jsonl(path: Path) -> Contents:
    """Records, one a line; a line that is none is a problem. Raises UnreadableError where there is no record."""
    lines = [line for line in itertools.islice(_bytes(path)[:BYTES].splitlines(), ROWS) if line.strip()]
    read = [_record(line) for line in lines]
    records = [r for r in read if r is not None]
    if not records:
        raise UnreadableError("no JSON record")
    bad = len(lines) - len(records)
    return Contents(columns(records), (f"{bad} lines are no JSON",) if bad else (), records)


def _record(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def read_csv(path: Path) -> Contents:
    """The numeric columns of a table with a header; texts as the plain value `{name: [texts]}`. Raises UnreadableError."""
    text = _bytes(path)[:BYTES].decode("utf-8", "replace").lstrip("\ufeff")
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        rows = list(itertools.islice(csv.reader(io.StringIO(text), delimiter=delimiter), ROWS + 1))
    except csv.Error as error:
        raise UnreadableError(f"no CSV: {error}") from None
    if len(rows) < 2 or not 1 <= len(rows[0]) <= COLUMNS:
        raise UnreadableError("no table")
    arrays: dict[str, Array] = {}
    texts: dict[str, list[str]] = {}
    for index, header in enumerate(rows[0]):
        cells = [row[index] if index < len(row) else "" for row in rows[1:]]
        numbers, name = _numbers(cells), header.strip() or f"column {index + 1}"
        if numbers is not None:
            arrays[name] = numbers
        else:
            texts[name] = cells
    return Contents(arrays, plain=texts or None)


def _bytes(path: Path) -> bytes:
    return start_of(path, BYTES)


def _numbers(cells: Sequence[str]) -> Array | None:
    """A column as float64, empty cells as NaN; None where more than one cell in ten is a text."""
    out = np.full(len(cells), np.nan)
    bad = 0
    for i, cell in enumerate(cells):
        cell = cell.strip()
        if not cell:
            continue
        try:
            out[i] = float(cell)
        except ValueError:
            bad += 1
            if bad * 10 > len(cells):
                return None
    return out


def columns(plain: Any) -> dict[str, Array]:
    """The numeric parts of a JSON value as arrays.

    A list of records gives one array a key, shape (records, …), for keys that all records hold with numbers of
    one shape; a dict gives its lists of numbers; a list of numbers is named `array`.
    """
    if isinstance(plain, list):
        if plain and all(isinstance(p, dict) for p in plain):
            return _records(plain[:ROWS])
        array = numeric(plain[:ROWS])
        return {} if array is None else {"array": array}
    if not isinstance(plain, dict):
        return {}
    found: dict[str, Array] = {}
    for key, value in itertools.islice(plain.items(), COLUMNS):
        if isinstance(value, list):
            for name, array in columns(value).items():
                found[str(key) if name == "array" else f"{key}.{name}"] = array
        elif isinstance(value, dict) and len(found) < COLUMNS:
            found |= {f"{key}.{name}": array for name, array in _lists(value).items()}
    values = list(plain.values())
    if not found and len(values) > 1 and all(isinstance(v, dict) for v in values):
        return _records(values[:ROWS])
    return found


def _lists(value: Mapping[str, Any]) -> dict[str, Array]:
    arrays = {str(k): numeric(v) for k, v in itertools.islice(value.items(), COLUMNS) if isinstance(v, list)}
    return {k: v for k, v in arrays.items() if v is not None}


def _records(records: Sequence[Mapping[str, Any]]) -> dict[str, Array]:
    out: dict[str, Array] = {}
    for key in list(records[0])[:COLUMNS]:
        if all(key in r for r in records):
            array = numeric([r[key] for r in records])
            if array is not None:
                out[str(key)] = array
    return out


def numeric(value: list[Any]) -> Array | None:
    """A (nested) list of numbers as float64; None where it is ragged, empty or holds texts. `null` is NaN."""
    try:
        array = np.array(value, dtype=np.float64) if value and not _text(value) else None
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None
    return array if array is not None and array.size else None


def _text(value: Any) -> bool:
    """Whether the first leaf is a text (numpy would read "12" as a number)."""
    for _ in range(32):
        if not isinstance(value, list) or not value:
            break
        value = value[0]
    return isinstance(value, (str, bool))
