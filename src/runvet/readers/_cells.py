"""Cells of a text table become numbers: fast for plain numbers, cell by cell for anything else."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import orjson

from runvet.readers._axes import clock
from runvet.run import FloatArray

BLANK = frozenset(("", "-", "none", "null", "n/a", "na", "<na>", "--", "nil", "."))
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?")
_WRAPPED = re.compile(r"(?:tensor|np\.float\d+|np\.int\d+|array)\(\s*([^,()]+?)\s*(?:,[^()]*)?\)", re.IGNORECASE)
_PLAIN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?%?|[+-]?(?:nan|inf(?:inity)?)", re.IGNORECASE)


def number(cell: str) -> float | None:
    """The number of one cell, or None. Takes `nan`, `-inf`, `45 %`, `0,5`, `tensor(0.5)`, `3/100` and clock times."""
    cell = cell.strip()
    if len(cell) > 64 or cell.lower() in BLANK:
        return None
    if _PLAIN.fullmatch(cell):
        return float(cell.rstrip("%"))
    if _DECIMAL_COMMA.fullmatch(cell):
        return float(cell.replace(",", "."))
    wrapped = _WRAPPED.fullmatch(cell)
    if wrapped:
        return number(wrapped[1])
    if cell.endswith("%"):
        return number(cell[:-1])
    part = re.fullmatch(r"(\d+)/\d+", cell)
    if part:
        return float(part[1])
    return clock(cell)


def is_number(cell: str) -> bool:
    """Whether a cell holds a number in any form that `number` takes."""
    return number(cell) is not None


def column(cells: Sequence[str]) -> tuple[FloatArray, npt.NDArray[np.intp] | None, int]:
    """The numbers (k,) of a column of cells, the rows (k,) they stand in (None: all) and how many cells hold text."""
    try:
        return np.array(cells, dtype=np.float64), None, 0
    except ValueError:
        pass
    rows, values, text = [], [], 0
    for row, cell in enumerate(cells):
        try:
            value: float | None = float(cell)
        except ValueError:
            value = number(cell)
        if "_" in cell:  # float() takes 1_000, a table does not mean it
            value = None
        if value is not None:
            rows.append(row)
            values.append(value)
        elif cell.strip().lower() not in BLANK:
            text += 1
    return np.array(values, np.float64), np.array(rows, np.intp), text


def plain_block(data: bytes, delimiter: bytes, columns: int) -> FloatArray | None:
    """Numbers (rows, columns) of whole lines that hold nothing but numbers; a blank cell is NaN.

    None where a line has another number of cells or anything but digits: a block that spells NaN out is left to the
    slower way, so that NaN here always means blank.
    """
    rows = 0 if delimiter == b" " else _regular(data, delimiter, columns)
    if not rows:  # quotes, blanks to align
        data = data.translate(None, b'\r"')
        if delimiter == b" ":
            data = re.sub(rb"(?m)^ +| +$", b"", re.sub(rb"[ \t]+", b" ", data))
        else:
            data = data.replace(b", ", b",")
        rows = _regular(data, delimiter, columns)
    if not rows:
        return None
    values = _json_numbers(data, delimiter)
    if values is None:
        data = _filled(data, delimiter)
        values = _json_numbers(data, delimiter)
    if values is None:  # `+1`, `.5`, `007`
        values = _numbers(data, delimiter)
    return values.reshape(rows, columns) if values is not None and values.size == rows * columns else None


def _regular(data: bytes, delimiter: bytes, columns: int) -> int:
    """How many lines of so many cells `data` holds, whose cells hold nothing but digits; 0 where it holds anything else."""
    between = data.translate(None, b"0123456789+-.eE")
    rows = len(between) // columns
    return rows if between == (delimiter * (columns - 1) + b"\n") * rows else 0


def _json_numbers(lines: bytes, delimiter: bytes) -> FloatArray | None:
    """The cells (n,) of lines whose numbers are written as in JSON, by the fastest parser there is; `null` is NaN."""
    cells = lines.replace(b"\n", b",")
    if delimiter != b",":
        cells = cells.replace(delimiter, b",")
    try:
        numbers: list[float] = orjson.loads(b"[%b0]" % cells)  # the last line ends in a comma, too
        return np.fromiter(numbers, np.float64, len(numbers) - 1)
    except (ValueError, OverflowError):
        return None


def _numbers(lines: bytes, delimiter: bytes) -> FloatArray | None:
    """The cells (n,) of lines of numbers in any form; `null` is NaN. None where a cell is no number."""
    text = lines[:-1].replace(b"\n", delimiter).replace(b"null", b"nan")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return np.fromstring(text, dtype=np.float64, sep=delimiter.decode())
        except (DeprecationWarning, ValueError):
            return None


def _filled(data: bytes, delimiter: bytes) -> bytes:
    """The same lines with `null` in every blank cell."""
    if delimiter + delimiter in data:
        data = data.replace(delimiter + delimiter, delimiter + b"null" + delimiter)
        data = data.replace(delimiter + delimiter, delimiter + b"null" + delimiter)
    if data.startswith((delimiter, b"\n")):
        data = b"null" + data
    return (
        data.replace(b"\n" + delimiter, b"\nnull" + delimiter)
        .replace(delimiter + b"\n", delimiter + b"null\n")
        .replace(b"\n\n", b"\nnull\n")
        .replace(b"\n\n", b"\nnull\n")
    )
