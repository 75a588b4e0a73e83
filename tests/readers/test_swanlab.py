"""SwanLab's .swanlab files, written here byte by byte after its protobuf definitions."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from binary_writers import double, integer, leveldb, message, mutated, timestamp
from hypothesis import HealthCheck, given
from hypothesis import settings as fuzz
from hypothesis import strategies as st
from reading import claim, matches, read, series, settings, write

from shared import shared

TMP = HealthCheck.function_scoped_fixture
NAME = "run-abc.swanlab"


def swanlab(*records: bytes, version: int = 2) -> bytes:
    return leveldb(records, b":SWL", 0xE1D6, version)


def record(number: int, payload: bytes) -> bytes:
    return integer(1, -3) + timestamp(2, 1.7e9) + message(number, payload)


def point(key: str, step: int, value: float) -> bytes:
    number = message(5, double(1, value) if value else b"")
    return record(13, message(1, key) + (integer(2, step) if step else b"") + timestamp(4, 1e9 + step) + number)


START = record(10, message(1, "proj") + message(4, "my run") + message(10, "abc"))


def test_points_names_and_end(tmp_path: Path) -> None:
    points = [point("loss", i, i / 3) for i in range(2000)] + [point("odd", 0, math.nan), point("odd", 1, -math.inf)]
    media = record(14, message(1, "text") + message(5, message(1, message(1, "a.txt"))))
    path = write(tmp_path, NAME, swanlab(START, *points, media, record(11, integer(1, 1))))
    assert claim("swanlab", path) == 1.0
    log = read("swanlab", path)
    assert list(series(log)) == ["loss", "odd"]
    loss = series(log)["loss"]
    assert loss.value.tolist() == [i / 3 for i in range(2000)]
    assert loss.step.tolist() == list(range(2000))
    assert loss.time[7] == 1e9 + 7
    assert series(log)["odd"].non_finite == 2
    assert settings(log) == {"swanlab.project": "proj", "swanlab.run_name": "my run", "swanlab.run_id": "abc"}
    assert [e.kind for e in log.events] == ["start", "finished"]
    assert not log.problems


def test_machine_columns_config_and_crash(tmp_path: Path) -> None:
    column = record(12, integer(1, 2) + message(3, "__swanlab__.gpu.0.temp"))
    config = record(20, integer(5, 1) + message(6, "lr:\n  desc: ''\n  value: 0.1\nmodel:\n  value:\n    depth: 2\n"))
    crash = record(11, integer(1, 2) + message(2, "ValueError: no"))
    data = swanlab(START, column, point("__swanlab__.gpu.0.temp", 3, 61.0), config, crash)
    log = read("swanlab", write(tmp_path, NAME, data))
    assert list(series(log)) == ["system/gpu.0.temp"]
    assert settings(log)["lr"] == 0.1
    assert settings(log)["model.depth"] == 2
    assert log.events[-1].kind == "error"
    assert "ValueError" in log.events[-1].text


def test_odd_files(tmp_path: Path) -> None:
    assert read("swanlab", write(tmp_path, NAME, b"")).problems
    assert read("swanlab", write(tmp_path, NAME, b"something else")).problems
    newer = read("swanlab", write(tmp_path, NAME, swanlab(point("x", 1, 2.0), version=9)))
    assert len(newer.series) == 1
    assert "version" in newer.problems[0].why
    bad_yaml = record(20, integer(5, 1) + message(6, "a: [1"))
    assert "YAML" in read("swanlab", write(tmp_path, NAME, swanlab(bad_yaml))).problems[0].why


VALID = swanlab(START, *(point("x", i, i) for i in range(20)))


@fuzz(deadline=None, suppress_health_check=[TMP])
@given(st.binary(max_size=200))
def test_any_record(tmp_path: Path, data: bytes) -> None:
    records = (data, *(message(n, data) for n in (10, 11, 12, 13, 20)), message(13, message(1, "x") + message(5, data)))
    read("swanlab", write(tmp_path, NAME, swanlab(*records, message(20, integer(5, 1) + message(6, data)))))


@fuzz(deadline=None, suppress_health_check=[TMP])
@given(st.lists(st.tuples(st.floats(0.02, 1), st.integers(0, 255)), max_size=4), st.floats(0.05, 1))
def test_damage(tmp_path: Path, places: list[tuple[float, int]], cut: float) -> None:
    log = read("swanlab", write(tmp_path, NAME, mutated(VALID, places, cut)))
    points = [v for s in log.series for v in s.value.tolist()]
    assert points == list(range(len(points)))


@pytest.mark.shared
def test_real_run() -> None:
    truth = json.loads((shared("corpus/artifacts") / "truth.json").read_text())["swanlab_run"]
    (path,) = shared("corpus/artifacts/swanlab_run").rglob("*.swanlab")
    log = read("swanlab", path)
    for metric, wanted in truth["metrics"].items():
        assert matches(log, metric, wanted), metric
