"""MLflow's and trackio's SQLite databases, with the tables those tools make."""

from __future__ import annotations

import json
import math
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
from binary_writers import mutated
from hypothesis import HealthCheck, given
from hypothesis import settings as fuzz
from hypothesis import strategies as st
from reading import claim, matches, read, reader_of, series, settings, write

from runvet.run import Log
from runvet.sink import Sink
from runvet.source import describe
from shared import shared

TMP = HealthCheck.function_scoped_fixture
MLFLOW = """
CREATE TABLE runs (run_uuid VARCHAR(32) PRIMARY KEY, name VARCHAR(250), status VARCHAR(9), start_time BIGINT,
                   end_time BIGINT, lifecycle_stage VARCHAR(20));
CREATE TABLE metrics ("key" VARCHAR(250), value FLOAT, timestamp BIGINT, run_uuid VARCHAR(32), step BIGINT, is_nan BOOLEAN,
                      PRIMARY KEY ("key", timestamp, step, run_uuid, value, is_nan));
CREATE TABLE params ("key" VARCHAR(250), value VARCHAR(8000), run_uuid VARCHAR(32));
"""
TRACKIO = """
CREATE TABLE metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT, timestamp TEXT, run_name TEXT, step INTEGER,
                      metrics TEXT);
CREATE TABLE configs (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT, run_name TEXT, config TEXT);
CREATE TABLE system_metrics (id INTEGER PRIMARY KEY, run_id TEXT, timestamp TEXT, run_name TEXT, metrics TEXT);
"""


def scopes(name: str, path: Path) -> dict[str, Log]:
    sink = Sink(path.name, name)
    reader_of(name).read(describe(path, path.name), sink)
    return {log.scope: log for log in sink.close()}


def mlflow(path: Path, runs: dict[str, str] | None = None, points: int = 50) -> Path:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(MLFLOW)
        for uuid, name in (runs or {"u1": "tiny"}).items():
            connection.execute("INSERT INTO runs VALUES (?, ?, 'FINISHED', 1000, 2000, 'active')", (uuid, name))
            connection.execute("INSERT INTO params VALUES ('lr', '1e-3', ?), ('depth', '2', ?)", (uuid, uuid))
            for i in range(points):
                row = ("train/loss", 1 / (i + 1), 1000 * (i // 4), uuid, i, 0)
                connection.execute("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?)", row)
            big = sys.float_info.max
            for i, (value, nan) in enumerate([(0, 1), (big, 0), (-big, 0), (1e300, 0)]):
                connection.execute("INSERT INTO metrics VALUES ('odd', ?, ?, ?, ?, ?)", (value, i, uuid, i, nan))
    return path


def trackio(path: Path, runs: dict[str, str] | None = None) -> Path:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(TRACKIO)
        for uuid, name in (runs or {"u1": "tiny"}).items():
            config = json.dumps({"lr": 0.1, "model": {"depth": 2}, "_Created": "now"})
            connection.execute("INSERT INTO configs (run_id, run_name, config) VALUES (?, ?, ?)", (uuid, name, config))
            for i in range(20):
                metrics = {
                    "loss": i / 3,
                    "eval": {"acc": i},
                    "odd": "NaN" if i else "Infinity",
                    "note": "text",
                    "n": None,
                }
                row = (uuid, f"2026-01-01T00:00:{i:02d}+00:00", name, i, json.dumps(metrics).encode())
                connection.execute(
                    "INSERT INTO metrics (run_id, timestamp, run_name, step, metrics) VALUES (?, ?, ?, ?, ?)", row
                )
            row = (uuid, "2026-01-01T00:00:00Z", name, '{"gpu": 0.5}')
            connection.execute(
                "INSERT INTO system_metrics (run_id, timestamp, run_name, metrics) VALUES (?, ?, ?, ?)", row
            )
    return path


def test_mlflow(tmp_path: Path) -> None:
    path = mlflow(tmp_path / "mlflow.db")
    assert claim("mlflow_sqlite", path) == 1.0
    assert claim("trackio", path) == 0.0
    log = read("mlflow_sqlite", path)
    loss, odd = series(log)["train/loss"], series(log)["odd"]
    assert loss.step.tolist() == list(range(50))
    assert loss.time[4] == 1.0
    assert math.isnan(odd.value[0])
    assert odd.value[1:].tolist() == [math.inf, -math.inf, 1e300]
    assert settings(log)["lr"] == 1e-3
    assert settings(log)["depth"] == 2
    assert [e.kind for e in log.events] == ["finished"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mlflow.db"]


def test_mlflow_runs_get_scopes(tmp_path: Path) -> None:
    logs = scopes("mlflow_sqlite", mlflow(tmp_path / "mlflow.db", {"u1": "a", "u2": "b", "u3": "b"}))
    assert sorted(logs) == ["a", "b u2", "b u3"]
    assert all(len(series(log)["train/loss"]) == 50 for log in logs.values())


def test_trackio(tmp_path: Path) -> None:
    path = trackio(tmp_path / "tiny.db")
    assert claim("trackio", path) == 1.0
    assert claim("mlflow_sqlite", path) == 0.0
    log = read("trackio", path)
    assert sorted(series(log)) == ["eval.acc", "loss", "odd", "system/gpu"]
    assert series(log)["loss"].step.tolist() == list(range(20))
    assert series(log)["loss"].time[5] - series(log)["loss"].time[0] == 5
    assert series(log)["odd"].non_finite == 20
    assert settings(log) == {"trackio.run_name": "tiny", "lr": 0.1, "model.depth": 2}


def test_trackio_runs_get_scopes(tmp_path: Path) -> None:
    logs = scopes("trackio", trackio(tmp_path / "p.db", {"u1": "a", "u2": "b"}))
    assert sorted(logs) == ["a", "b"]
    assert all(len(series(log)["loss"]) == 20 for log in logs.values())


@pytest.mark.parametrize("alone", [False, True])
def test_a_write_ahead_log_is_read_and_left_alone(tmp_path: Path, alone: bool) -> None:
    """The newest rows of a running tracker; `alone`: the writer died and only its two files are left."""
    path = trackio(tmp_path / "live.db")
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute(
            "INSERT INTO metrics (run_id, run_name, step, metrics) VALUES ('u1', 'tiny', 99, '{\"loss\": 7}')"
        )
        writer.commit()
        wal = (tmp_path / "live.db-wal").read_bytes()
        if alone:
            write(tmp_path, "dead/live.db", path.read_bytes())
            path = tmp_path / "dead" / "live.db"
            write(tmp_path, "dead/live.db-wal", wal)
        assert read("trackio", path).series[0].step[-1] == 99
        assert path.with_name("live.db-wal").read_bytes() == wal


def test_other_files_are_not_claimed(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection, connection:
        connection.execute("CREATE TABLE metrics (a, b)")
    for name in ("mlflow_sqlite", "trackio"):
        assert claim(name, tmp_path / "other.db") == 0.0
        assert claim(name, write(tmp_path, "text.db", b"SQLite format 3\0" + bytes(500))) == 0.0
        assert claim(name, write(tmp_path, "empty.db", b"")) == 0.0


def test_rows_that_are_no_json_are_named(tmp_path: Path) -> None:
    path = trackio(tmp_path / "p.db")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE metrics SET metrics = '{\"lo' WHERE step = 3")
        connection.execute("UPDATE metrics SET step = 'x', timestamp = 'yesterday' WHERE step = 4")
    log = read("trackio", path)
    assert len(series(log)["loss"]) == 19
    assert log.problems[0].line == 4


@fuzz(deadline=None, max_examples=40, suppress_health_check=[TMP])
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=30), st.floats(0.05, 1))
def test_damage(tmp_path: Path, places: list[tuple[float, int]], cut: float) -> None:
    for name, make in (("mlflow_sqlite", mlflow), ("trackio", trackio)):
        path = tmp_path / f"{name}.db"
        path.unlink(missing_ok=True)
        data = mutated(make(path).read_bytes(), places, cut)
        path.write_bytes(data)
        claim(name, path)
        scopes(name, path)
        assert path.read_bytes() == data


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "artifact", "file"),
    [("mlflow_sqlite", "mlflow_sqlite", "mlflow.db"), ("trackio", "trackio_run", "trackio/tiny.db")],
)
def test_real_runs(name: str, artifact: str, file: str) -> None:
    truth = json.loads((shared("corpus/artifacts") / "truth.json").read_text())[artifact]
    path = shared("corpus/artifacts") / artifact / file
    assert claim(name, path) == 1.0
    log = read(name, path)
    for metric, wanted in truth["metrics"].items():
        assert matches(log, metric, wanted), metric
