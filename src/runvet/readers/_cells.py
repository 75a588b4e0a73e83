"""Cells of a text table become numbers: fast for plain numbers, cell by cell for anything else."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

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
    data = data.translate(None, b'\r"')
    if delimiter == b" ":
        data = re.sub(rb"(?m)^ +| +$", b"", re.sub(rb"[ \t]+", b" ", data))
    elif b", " in data:
        data = data.replace(b", ", b",")
    if data.translate(None, b"0123456789+-.eE\n" + delimiter):
        return None
    marks = np.frombuffer(data, np.uint8)
    marks = marks[(marks == delimiter[0]) | (marks == 10)]
    if not len(marks) or len(marks) % columns:
        return None
    grid = marks.reshape(-1, columns)
    if not ((grid[:, -1] == 10).all() and (grid[:, :-1] == delimiter[0]).all()):
        return None
    text = _filled(data, delimiter)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            values = np.fromstring(text.replace(b"\n", delimiter)[:-1], dtype=np.float64, sep=delimiter.decode())
        except (DeprecationWarning, ValueError):
            return None
    return values.reshape(grid.shape) if values.size == grid.size else None


def _filled(data: bytes, delimiter: bytes) -> bytes:
    """The same lines with `nan` in every blank cell."""
    if delimiter + delimiter in data:
        data = data.replace(delimiter + delimiter, delimiter + b"nan" + delimiter)
        data = data.replace(delimiter + delimiter, delimiter + b"nan" + delimiter)
    if data.startswith((delimiter, b"\n")):
        data = b"nan" + data
    return (
        data.replace(b"\n" + delimiter, b"\nnan" + delimiter)
        .replace(delimiter + b"\n", delimiter + b"nan\n")
        .replace(b"\n\n", b"\nnan\n")
        .replace(b"\n\n", b"\nnan\n")
    )
