"""JSON, JSON lines and CSV as columns; folders listed lazily and within bounds."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runvet.artifacts import tables
from runvet.artifacts.finding import below
from runvet.artifacts.memory import in_memory
from runvet.artifacts.model import UnreadableError
from runvet.artifacts.tables import columns

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers(-(2**70), 2**70) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


def refused_or_read(read, path: Path) -> str:
    """The reason of a refusal, or "read"; any other exception is a failure of the test."""
    try:
        read(path)
    except UnreadableError as error:
        return str(error)
    return "read"


def test_records_become_columns() -> None:
    found = columns(
        [
            {"id": 1, "path": [[0, 1], [2, 3]], "name": "a", "odd": [1]},
            {"id": 2, "path": [[4, 5], [6, None]], "name": "b", "odd": [1, 2]},
        ]
    )
    assert found["id"].tolist() == [1, 2]
    assert found["path"].shape == (2, 2, 2)
    assert np.isnan(found["path"][1, 1, 1])
    assert set(found) == {"id", "path"}


def test_dicts_of_lists_and_of_records() -> None:
    assert set(columns({"pred": [1, 2], "gt": [[1], [2]], "note": "x"})) == {"pred", "gt"}
    assert columns({"a": {"x": 1.5}, "b": {"x": 2.5}})["x"].tolist() == [1.5, 2.5]
    assert columns(["1", "2"]) == {}


@given(JSON)
def test_any_json_gives_numbers_or_nothing(value: object) -> None:
    for array in columns(value).values():
        assert array.dtype == np.float64
        assert array.size


@given(st.binary(max_size=200))
def test_any_bytes_are_a_table_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("t") / "x"
    path.write_bytes(data)
    for read in (tables.read_json, tables.read_jsonl, tables.read_csv):
        assert refused_or_read(read, path)


def test_csv_and_json_lines(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id;pred;gt;name\n1;0.5;1;a\n2;;2;b\n")
    read = tables.read_csv(tmp_path / "t.csv").arrays
    assert list(read) == ["id", "pred", "gt"]
    assert np.isnan(read["pred"][1])
    (tmp_path / "t.jsonl").write_text('{"pred": 1, "gt": 2}\nnot json\n{"pred": 3, "gt": 4}\n')
    contents = tables.read_jsonl(tmp_path / "t.jsonl")
    assert contents.arrays["gt"].tolist() == [2, 4]
    assert contents.problems == ("1 lines are no JSON",)


def test_files_are_listed_when_asked_and_read_once(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    np.save(tmp_path / "data" / "a.npy", np.arange(3))
    (tmp_path / ".git").mkdir()
    np.save(tmp_path / ".git" / "b.npy", np.arange(3))
    (tmp_path / "model.pt").write_bytes(b"x")
    found = below(tmp_path)
    np.save(tmp_path / "data" / "late.npy", np.arange(3))
    assert [i.name for i in found.items] == ["data/a.npy", "data/late.npy"]
    first = found.read(found.items[0])
    (tmp_path / "data" / "a.npy").unlink()
    assert found.read(found.items[0]) is first


def test_a_log_file_alone_has_no_artifacts(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_text("loss 1")
    assert below(tmp_path / "train.log").items == ()


@pytest.mark.slow
def test_a_hundred_thousand_files_are_listed_in_seconds(tmp_path: Path) -> None:
    one = orjson.dumps([1])
    for folder in range(100):
        place = tmp_path / "data" / f"{folder:03d}"
        place.mkdir(parents=True)
        for number in range(1000):
            (place / f"{number}.json").write_bytes(one)
    start = time.perf_counter()
    assert len(below(tmp_path).items) == 100_000
    assert time.perf_counter() - start < 20


def test_memory_holds_arrays_and_json() -> None:
    kept = in_memory({"b.npz": {"x": np.ones(3)}, "a.json": {"pred": [1.0], "gt": [2.0]}})
    assert [i.name for i in kept.items] == ["a.json", "b.npz"]
    assert kept.read(kept.items[0]).plain == {"pred": [1.0], "gt": [2.0]}
    assert set(kept.read(kept.items[0]).arrays) == {"pred", "gt"}
    assert kept.items[1].peek is not None
    assert kept.items[1].peek()["x"][0] == (3,)
