"""SQLite databases, opened so that nothing on disk changes."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from runvet.sink import Sink

MAGIC = b"SQLite format 3\0"


@contextmanager
def database(path: Path, sink: Sink | None = None) -> Iterator[sqlite3.Connection]:
    """A read-only connection; text that is not UTF-8 is replaced.

    A write-ahead log beside the file is taken into account where its folder allows that; else, and where there is
    none, the file is opened as immutable, so that no lock and no helper file is made. Raises sqlite3.Error.
    """
    with closing(_open(path, sink)) as connection:
        yield connection


def _open(path: Path, sink: Sink | None) -> sqlite3.Connection:
    wal = path.with_name(path.name + "-wal")
    if wal.exists() and wal.stat().st_size > 0:
        connection = _connect(path, "mode=ro")
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return connection
        except sqlite3.OperationalError as error:
            connection.close()
            if sink is not None:
                sink.problem(f"the newest rows are in {wal.name}, which can't be read here ({error})")
    return _connect(path, "immutable=1")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{quote(str(path.resolve()))}?{mode}", uri=True, timeout=2.0)
    connection.text_factory = _text
    for pragma in ("query_only=ON", "trusted_schema=OFF", "mmap_size=0"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


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
