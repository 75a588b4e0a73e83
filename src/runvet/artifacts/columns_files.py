"""Parquet and HDF5: numeric columns and data sets, read within a bound, evenly spread rows where there are too many."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from runvet.artifacts.model import Array, Contents, UnreadableError

LIMIT = 64 << 20  # bytes of one data set or column that are read, and of all of a file together
ROWS = 50_000  # rows of a table
NAMES = 1_000  # data sets or columns of one file
BLOCKS = 64  # places of a large data set from which rows are read
HDF5 = "pip install 'runvet[hdf5]'"
PARQUET = "pip install 'runvet[parquet]'"
_NUMERIC = "iufb"


def read_hdf5(path: Path) -> Contents:
    """The numeric data sets of an HDF5 file by their paths (`train/frames`).

    A data set of more than 64 MiB is read in 64 blocks of rows spread evenly, and `problems` says so. Links to other
    files, virtual and externally stored data sets are not followed: a run's file decides nothing about other files.
    Raises UnreadableError, also where h5py is missing.
    """
    try:
        library = importlib.import_module("h5py")
    except ImportError:
        raise UnreadableError("HDF5 data need h5py", HDF5) from None
    arrays: dict[str, Array] = {}
    problems: list[str] = []
    left = LIMIT
    try:
        with library.File(path, "r") as file:
            for name, held in _datasets(library, file):
                if len(arrays) >= NAMES or left <= 0:
                    problems.append(f"{name[:80]!r} and what follows: beyond the {LIMIT:,} bytes that are read")
                    break
                array, note = _rows(held, left)
                problems += [f"{name[:80]!r}: {note}"] if note else []
                if array is not None:
                    arrays[name] = array
                    left -= array.nbytes
    except UnreadableError:
        raise
    except Exception as error:  # h5py raises many kinds on damaged files
        if not arrays:
            raise UnreadableError(f"no readable HDF5 file: {str(error)[:100]}") from None
        problems.append(f"damaged: {str(error)[:100]}")
    if not arrays:
        raise UnreadableError("; ".join(problems[:3]) or "no numeric data set in it")
    return Contents(arrays, tuple(problems))


def _datasets(library: Any, group: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Data sets below a group that lie in this file, in the order of their names."""
    for name in group:
        if not isinstance(group.get(name, getlink=True), library.HardLink) or depth > 16:
            continue
        held = group[name]
        if isinstance(held, library.Group):
            yield from _datasets(library, held, f"{prefix}{name}/", depth + 1)
        elif (
            isinstance(held, library.Dataset) and held.dtype.kind in _NUMERIC and not (held.external or held.is_virtual)
        ):
            yield f"{prefix}{name}", held


def _rows(held: Any, limit: int) -> tuple[Array | None, str]:
    """A data set, or evenly spread blocks of its rows where all of it would be more than `limit` bytes."""
    shape = held.shape
    if shape is None or 0 in shape:
        return None, ""
    need = math.prod(shape) * held.dtype.itemsize
    if need <= limit:
        return np.asarray(held[()]), ""
    each = max(1, need // shape[0]) if shape else need
    most = limit // each
    if not shape or most < 1:
        return None, f"{need:,} bytes, more than the {limit:,} that are read"
    block = max(1, most // BLOCKS)
    # A compressed chunk is unpacked whole: blocks as long as its rows cost nothing more.
    if held.chunks:
        if math.prod(held.chunks) * held.dtype.itemsize > 4 * LIMIT:
            return None, f"chunks of {math.prod(held.chunks) * held.dtype.itemsize:,} bytes are not read"
        block = max(block, min(held.chunks[0], most))
    starts = np.unique(np.linspace(0, shape[0] - block, max(1, most // block)).astype(int))
    kept = np.concatenate([held[int(s) : int(s) + block] for s in starts])
    return kept, f"{len(kept):,} of {shape[0]:,} rows read, in {len(starts)} places"


def peek_hdf5(path: Path) -> Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Names, shapes and types of the numeric data sets. Raises UnreadableError."""
    try:
        library = importlib.import_module("h5py")
        with library.File(path, "r") as file:
            found = zip(range(NAMES), _datasets(library, file), strict=False)
            return {name: (held.shape, held.dtype) for _, (name, held) in found if held.shape is not None}
    except ImportError:
        raise UnreadableError("HDF5 data need h5py", HDF5) from None
    except Exception as error:  # as above
        raise UnreadableError(f"no readable HDF5 file: {str(error)[:100]}") from None


def read_parquet(path: Path) -> Contents:
    """The numeric columns of a Parquet file, empty cells as NaN; texts as the plain value `{name: [texts]}`.

    Lists of numbers of one length become (rows, length). Whole row groups are read until 50,000 rows or 64 MiB.
    Raises UnreadableError, also where pyarrow is missing.
    """
    try:
        library = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise UnreadableError("Parquet data need pyarrow", PARQUET) from None
    try:
        with library.ParquetFile(path) as file:
            table, note = _table(file)
            columns = {name: table.column(name) for name in table.column_names[:NAMES]}
            arrays = {name: a for name, c in columns.items() if (a := _column(c)) is not None}
            texts = {name: c.to_pylist() for name, c in columns.items() if str(c.type) in ("string", "large_string")}
    except UnreadableError:
        raise
    except Exception as error:  # pyarrow raises many kinds on damaged files
        raise UnreadableError(f"no readable Parquet file: {str(error)[:100]}") from None
    if not arrays and not texts:
        raise UnreadableError("no column of numbers or texts")
    return Contents(arrays, (note,) if note else (), texts or None)


def _table(file: Any) -> tuple[Any, str]:
    """The first row groups within the bounds."""
    about = file.metadata
    rows = size = 0
    groups: list[int] = []
    for number in range(about.num_row_groups):
        group = about.row_group(number)
        if groups and (rows + group.num_rows > ROWS or size + group.total_byte_size > LIMIT):
            break
        if group.total_byte_size > 4 * LIMIT:
            raise UnreadableError(f"row groups of {group.total_byte_size:,} bytes are not read")
        groups.append(number)
        rows, size = rows + group.num_rows, size + group.total_byte_size
    table = file.read_row_groups(groups).slice(0, ROWS)
    note = f"{table.num_rows:,} of {about.num_rows:,} rows read" if table.num_rows < about.num_rows else ""
    return table, note


def _column(column: Any) -> Array | None:
    kind = str(column.type)
    if "list" in kind:
        listed = column.combine_chunks()
        flat, lengths = np.asarray(listed.flatten()), np.unique(np.asarray(listed.value_lengths()))
        if flat.dtype.kind not in _NUMERIC or len(lengths) != 1 or not lengths[0] > 0:
            return None
        return flat.reshape(len(listed), int(lengths[0]))
    array = np.asarray(column.to_numpy())
    return array if array.dtype.kind in _NUMERIC else None
