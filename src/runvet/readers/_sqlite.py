"""SQLite databases, opened so that nothing on disk changes."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

MAGIC = b"SQLite format 3\0"


@contextmanager
def database(path: Path) -> Iterator[sqlite3.Connection]:
    """A read-only connection; text that is not UTF-8 is replaced.

    A write-ahead log beside the file is taken into account; without one the file is opened as immutable, so that no
    lock and no helper file is ever made. Raises sqlite3.Error.
    """
    wal = path.with_name(path.name + "-wal")
    immutable = not (wal.exists() and wal.stat().st_size)
    uri = f"file:{quote(str(path.resolve()))}?{'immutable=1' if immutable else 'mode=ro'}"
    with closing(sqlite3.connect(uri, uri=True, timeout=2.0)) as connection:
        connection.text_factory = _text
        connection.execute("PRAGMA query_only=ON")
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("PRAGMA mmap_size=0")
        yield connection


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def columns(path: Path, head: bytes, table: str) -> frozenset[str]:
    """The columns of a table, nothing where the file is no database or has no such table. Never raises."""
    if not head.startswith(MAGIC):
        return frozenset()
    try:
        stat = os.stat(path)
        return _tables(path, stat.st_mtime_ns, stat.st_size).get(table, frozenset())
    except OSError:
        return frozenset()


@lru_cache(maxsize=64)
def _tables(path: Path, _modified: int, _size: int) -> dict[str, frozenset[str]]:
    """Every table and its columns. Views are left out: a table is what the tools write."""
    found: dict[str, frozenset[str]] = {}
    try:
        with database(path) as connection:
            rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' LIMIT 1000").fetchall()
            for (name,) in rows:
                info = connection.execute("SELECT name FROM pragma_table_info(?)", (name,)).fetchall()
                found[name] = frozenset(column for (column,) in info)
    except sqlite3.Error:
        pass  # a damaged database is nobody's, unless its reader knows it by what was found so far
    return found
