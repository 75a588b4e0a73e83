"""trackio's SQLite databases (one a project): a row of metrics as JSON for every logging call."""

from __future__ import annotations

import sqlite3
from datetime import datetime

import orjson

from runvet.readers import Reader
from runvet.readers._flatten import settings
from runvet.readers._json_values import number
from runvet.readers._sqlite import columns, database
from runvet.sink import Sink
from runvet.source import Source


def claims(source: Source) -> float:
    """Certain by its table."""
    return 1.0 if {"run_name", "step", "metrics"} <= columns(source.path, source.head, "metrics") else 0.0


def read(source: Source, sink: Sink) -> None:
    """Read every run; several get a scope each, named after the run. `line` of a point is its row's id."""
    known = columns(source.path, source.head, "metrics")
    run = "run_id" if "run_id" in known else "run_name"
    try:
        with database(source.path, sink) as connection:
            sinks = _runs(connection, sink, run)
            if columns(source.path, source.head, "configs"):
                _configs(connection, sinks, run if run in columns(source.path, source.head, "configs") else "run_name")
            _rows(connection, sinks, run, "timestamp" if "timestamp" in known else "NULL", "metrics", "")
            machine = columns(source.path, source.head, "system_metrics")
            if {run, "metrics", "timestamp"} <= machine:
                _rows(connection, sinks, run, "timestamp", "system_metrics", "system/")
    except (sqlite3.Error, OverflowError) as error:
        sink.problem(f"the database is damaged or in use: {error}", remedy="run `sqlite3 FILE .recover` on a copy")


reader = Reader("trackio", claims, read)


def _runs(connection: sqlite3.Connection, sink: Sink, run: str) -> dict[str, Sink]:
    """The sink of every run, by the column that tells runs apart."""
    query = f"SELECT {run}, run_name FROM metrics GROUP BY {run} ORDER BY min(rowid)"  # noqa: S608  one of two names
    runs = [(str(key), str(name)) for key, name in connection.execute(query)]
    names = [name for _, name in runs]
    sinks = {}
    for key, name in runs:
        scope = "" if len(runs) == 1 else name if names.count(name) == 1 else f"{name} {key[:8]}"
        sinks[key] = sink.scope(scope)
        sinks[key].setting("trackio.run_name", name)
    return sinks


def _configs(connection: sqlite3.Connection, sinks: dict[str, Sink], run: str) -> None:
    for key, text in connection.execute(f"SELECT {run}, config FROM configs ORDER BY rowid"):  # noqa: S608
        config = _json(text)
        if str(key) in sinks and isinstance(config, dict):
            for name, value in config.items():
                if not name.startswith("_"):
                    settings(sinks[str(key)], str(name), value)


def _rows(connection: sqlite3.Connection, sinks: dict[str, Sink], run: str, time: str, table: str, prefix: str) -> None:
    """Every row of a table of metrics, in the order in which they were written."""
    step = "step" if table == "metrics" else "NULL"
    query = f"SELECT rowid, {run}, {step}, {time}, metrics FROM {table} ORDER BY rowid"  # noqa: S608
    for row, key, at, stamp, text in connection.execute(query):
        record = _json(text)
        sink = sinks.get(str(key))
        if not isinstance(record, dict):
            (sink or next(iter(sinks.values()))).problem(f"row {row} of {table} is not JSON; skipped", line=row)
            continue
        if sink is None:
            continue
        values: dict[str, float] = {}
        _scalars(record, prefix, values, 0)
        sink.row(values, step=number(at), time=_time(stamp), line=row)


def _scalars(record: dict[str, object], prefix: str, found: dict[str, float], depth: int) -> None:
    """The numbers of a row; nested mappings are joined with a dot, media are passed over."""
    for name, value in record.items():
        scalar = number(value)
        if scalar is not None:
            found[prefix + name] = scalar
        elif isinstance(value, dict) and "_type" not in value and depth < 8:
            _scalars(value, f"{prefix}{name}.", found, depth + 1)


def _time(stamp: object) -> float | None:
    """ISO text as unix seconds."""
    try:
        return datetime.fromisoformat(str(stamp).replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _json(text: object) -> object:
    """The JSON of a column that may be text or a blob, else None."""
    try:
        return orjson.loads(text) if isinstance(text, (str, bytes)) else None
    except orjson.JSONDecodeError:
        return None
