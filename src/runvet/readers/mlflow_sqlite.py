"""MLflow's SQLite store (`mlflow.db`): metrics, parameters and status of every run in it.

NaN is stored as 0 with `is_nan`, an infinity as the largest double.
"""

from __future__ import annotations

import math
import sqlite3
import sys
from itertools import groupby

import numpy as np

from runvet.readers import Reader
from runvet.readers._sqlite import columns, database
from runvet.run import FloatArray
from runvet.sink import Sink
from runvet.source import Source

ROWS = 100_000  # rows fetched together
_QUERY = """SELECT run_uuid, "key", value, is_nan, step, timestamp FROM metrics ORDER BY run_uuid, "key", timestamp, step, rowid"""


def claims(source: Source) -> float:
    """Certain by its tables."""
    wanted = {"run_uuid", "key", "value", "timestamp", "step", "is_nan"}
    known = wanted <= columns(source.path, source.head, "metrics")
    return 1.0 if known and "run_uuid" in columns(source.path, source.head, "runs") else 0.0


def read(source: Source, sink: Sink) -> None:
    """Read every run that is not deleted; several get a scope each, named after the run (its id where names repeat)."""
    try:
        with database(source.path, sink) as connection:
            sinks = _runs(connection, sink)
            _parameters(connection, sinks)
            _metrics(connection, sinks)
    except (sqlite3.Error, OverflowError) as error:
        sink.problem(f"the database is damaged or in use: {error}", remedy="run `sqlite3 FILE .recover` on a copy")


reader = Reader("mlflow_sqlite", claims, read)


def _runs(connection: sqlite3.Connection, sink: Sink) -> dict[str, Sink]:
    """The sink of every run."""
    query = (
        "SELECT run_uuid, name, status, start_time, end_time, lifecycle_stage FROM runs ORDER BY start_time, run_uuid"
    )
    runs = [row for row in connection.execute(query) if row[5] != "deleted"]
    names = [str(row[1] or row[0]) for row in runs]
    sinks = {}
    for (uuid, name, status, start, end, _), label in zip(runs, names, strict=True):
        scope = "" if len(runs) == 1 else label if names.count(label) == 1 else f"{label} {str(uuid)[:8]}"
        mine = sinks[str(uuid)] = sink.scope(scope)
        mine.setting("mlflow.run_name", name)
        mine.setting("mlflow.run_id", uuid)
        mine.setting("mlflow.status", status)
        for key, value in (("mlflow.started", start), ("mlflow.ended", end)):
            if isinstance(value, (int, float)):
                mine.setting(key, value / 1000)
        if status == "FINISHED":
            mine.event("finished", "MLflow: status FINISHED")
        elif status in ("FAILED", "KILLED"):
            mine.event("error" if status == "FAILED" else "killed", f"MLflow: status {status}", value=status)
    return sinks


def _parameters(connection: sqlite3.Connection, sinks: dict[str, Sink]) -> None:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'params'").fetchone():
        return
    for uuid, key, value in connection.execute('SELECT run_uuid, "key", value FROM params'):
        if str(uuid) in sinks:
            sinks[str(uuid)].setting(str(key), _typed(str(value)))


def _typed(text: str) -> str | int | float:
    """MLflow stores every parameter as text."""
    try:
        return float(text) if any(c in text for c in ".eEnN") else int(text)
    except ValueError:
        return text


def _metrics(connection: sqlite3.Connection, sinks: dict[str, Sink]) -> None:
    """Each metric of each run in the order of its times."""
    cursor = connection.execute(_QUERY)
    seen: dict[tuple[str, str], int] = {}
    while rows := cursor.fetchmany(ROWS):
        for (uuid, key), group in groupby(rows, key=lambda row: (str(row[0]), str(row[1]))):
            if uuid not in sinks:
                continue
            points = list(group)
            value = np.array([math.nan if row[3] else _number(row[2]) for row in points])
            largest = np.abs(value) >= sys.float_info.max  # stands for infinity
            value[largest] = np.copysign(np.inf, value[largest])
            before = seen.get((uuid, key), 0)
            seen[uuid, key] = before + len(points)
            sinks[uuid].columns(
                key, value, step=_column(points, 4), time=_column(points, 5) / 1000,
                line=np.arange(before + 1, before + len(points) + 1),
            )  # fmt: skip


def _column(rows: list[tuple[object, ...]], index: int) -> FloatArray:
    return np.array([_number(row[index]) for row in rows])


def _number(value: object) -> float:
    """SQLite columns hold any type: what is no number is NaN."""
    return float(value) if isinstance(value, (int, float)) else math.nan
