"""Profiles of data, the comparison of two sets, and `runvet data`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from runvet import examples_artifacts as made
from runvet.artifacts import api
from runvet.artifacts.paths import jumps
from runvet.cli.main import main


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for split, first, count in (("train", 0, 30), ("val", 28, 6)):
        for i in range(first, first + count):
            place = tmp_path / "data" / split / ("oak" if i % 2 else "fir")
            place.mkdir(parents=True, exist_ok=True)
            np.savez(place / f"{i:03d}.npz", voxels=made.tree(i))
    np.savez(tmp_path / "data" / "train" / "oak" / "empty.npz", voxels=np.zeros((12, 12, 12), np.uint8))
    (tmp_path / "data" / "train" / "oak" / "cut.npz").write_bytes(b"PK\x03\x04")
    return tmp_path / "data"


def test_everything_that_is_wrong_is_counted(data: Path) -> None:
    found = api.profile(data.parent)
    assert found.kind == "grids"
    assert (found.files, found.read, len(found.items)) == (38, 38, 37)
    assert found.splits == {"train": 31, "val": 6}
    assert set(found.labels) >= {"oak", "fir"}
    assert len(found.overlap) == 2
    assert [i.name.rpartition("/")[2] for i in found.constant] == ["empty.npz"]
    assert list(found.unreadable) == ["data/train/oak/cut.npz"]
    assert found.range == (0, 2)


def test_rows_of_a_table_are_items(tmp_path: Path) -> None:
    x = made.truth(100, 5)
    x[3, 2] = np.nan
    x[9] = x[8]
    np.savez(tmp_path / "features.npz", x=x, y=np.arange(100) % 4)
    found = api.profile(tmp_path / "features.npz")
    assert (found.kind, len(found.items), found.labels) == ("records", 100, {"0": 25, "1": 25, "2": 25, "3": 25})
    assert [i.name for i in found.broken] == ["features.npz[3]"]
    assert [[i.name for i in g] for g in found.repeated] == [["features.npz[8]", "features.npz[9]"]]


def test_samples_against_data(data: Path, tmp_path: Path) -> None:
    place = tmp_path / "samples"
    place.mkdir()
    for i in range(6):
        np.savez(place / f"{i}.npz", voxels=made.scattered(i, 9))
    measures = {d.what: d for d in api.compare(place, data)}
    assert measures["filled cells"].first == 9
    assert measures["filled cells"].p < 1e-3
    assert measures["largest part's share"].ratio < 0.5


def test_the_command(data: Path) -> None:
    runner = CliRunner()
    text = runner.invoke(main, ["data", str(data), "--against", str(data / "val")])
    assert text.exit_code == 0, text.output
    for words in ("37 grids", "constant    1", "in train too 2", "cut.npz", "Against"):
        assert words in text.output
    told = json.loads(runner.invoke(main, ["data", str(data), "--format", "json"]).output)
    assert told["schema_version"] == 1
    assert told["sets"][0]["items"] == 37
    assert len(told["sets"][0]["overlap"]) == 2


def test_nothing_to_read_ends_with_two(tmp_path: Path) -> None:
    assert CliRunner().invoke(main, ["data", str(tmp_path / "missing")]).exit_code == 2
    (tmp_path / "a.pdf").write_text("x")
    assert CliRunner().invoke(main, ["data", str(tmp_path)]).exit_code == 2


def test_jumps_tell_motion_from_unrelated_points() -> None:
    rng = np.random.default_rng(0)
    t = np.linspace(0, 1, 20)[None, :, None]
    assert jumps(rng.normal(size=(50, 1, 2)) * t) < 1e-6
    assert 1.5 < jumps(rng.normal(size=(200, 20, 2))) < 1.9
    assert jumps(np.zeros((3, 9, 2))) == 0
