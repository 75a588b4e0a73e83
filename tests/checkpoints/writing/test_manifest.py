"""Manifests: what they say, what `verify` finds, and manifests that are damaged themselves. No torch is needed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runvet.checkpoints import BadManifest, Manifest, NoManifest, verify
from runvet.checkpoints import manifest as manifests
from runvet.checkpoints.manifest import FileEntry


def written(folder: Path, data: bytes = b"weights" * 100) -> Manifest:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "state.pt").write_bytes(data)
    made = Manifest((manifests.entry(folder, "state.pt"),), step=3, metrics={"val/loss": 0.5}, writer="runvet test")
    (folder / manifests.NAME).write_bytes(made.to_json())
    return made


def names(path: Path) -> list[str]:
    return [p.name for p in verify(path)]


def test_as_it_was_written(tmp_path: Path) -> None:
    made = written(tmp_path / "a")
    assert manifests.read(tmp_path / "a" / "manifest.json") == made
    assert verify(tmp_path) == verify(tmp_path / "a") == verify(tmp_path / "a" / "manifest.json") == []


@given(
    step=st.none() | st.integers(0, 1 << 60),
    epoch=st.none() | st.floats(0, 1e6),
    metrics=st.dictionaries(st.text(max_size=8), st.floats(allow_nan=False), max_size=4),
)
def test_round_trip(step, epoch, metrics) -> None:
    older = Manifest((FileEntry("x.pt", 1, "0" * 64),), step=1, writer="runvet test")
    made = replace(older, step=step, epoch=epoch, metrics=metrics, replaces=older)
    assert manifests.parse(made.to_json()) == made


def test_changed_cut_and_missing_files(tmp_path: Path) -> None:
    written(tmp_path / "a")
    file = tmp_path / "a" / "state.pt"
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(data)
    assert names(tmp_path) == ["damaged-checkpoint"]
    assert "a/manifest.json: state.pt has changed" in verify(tmp_path)[0].message
    file.write_bytes(data[:-1])
    assert names(tmp_path) == ["damaged-checkpoint"]
    file.unlink()
    assert names(tmp_path) == ["missing-shards"]


@pytest.mark.parametrize("cut", [0, 1, 50, -10])
def test_a_manifest_that_is_cut_off(cut: int, tmp_path: Path) -> None:
    written(tmp_path)
    place = tmp_path / manifests.NAME
    place.write_bytes(place.read_bytes()[:cut])
    with pytest.raises(BadManifest):
        manifests.read(place)
    assert names(tmp_path) == ["damaged-checkpoint"]


def test_a_manifest_changed_by_hand(tmp_path: Path) -> None:
    written(tmp_path)
    place = tmp_path / manifests.NAME
    place.write_text(place.read_text().replace('"step": 3', '"step": 4'))
    assert "changed after it was written" in verify(tmp_path)[0].message


@pytest.mark.parametrize("name", ["../state.pt", "/etc/passwd", "a/../../b", "C:\\x"])
def test_a_manifest_that_points_outside(name: str, tmp_path: Path) -> None:
    made = Manifest((FileEntry(name, 1, "0" * 64),), writer="runvet test")
    (tmp_path / manifests.NAME).write_bytes(made.to_json())
    assert "outside the checkpoint" in verify(tmp_path)[0].message


def test_a_newer_version(tmp_path: Path) -> None:
    made = replace(written(tmp_path), format_version=99)
    (tmp_path / manifests.NAME).write_bytes(made.to_json())
    assert "update it" in verify(tmp_path)[0].message


def test_nothing_to_verify(tmp_path: Path) -> None:
    (tmp_path / manifests.NAME).write_text(json.dumps({"name": "a web page"}))
    with pytest.raises(NoManifest):
        verify(tmp_path)
    with pytest.raises(FileNotFoundError):
        verify(tmp_path / "none")


def test_a_replaced_file_is_known_either_way(tmp_path: Path) -> None:
    file, side = tmp_path / "x.pt", tmp_path / "x.pt.manifest.json"
    file.write_bytes(b"old")
    old = Manifest((manifests.entry(tmp_path, "x.pt"),), step=1, writer="runvet test")
    new = replace(old, files=(FileEntry("x.pt", 4, "0" * 64),), step=2, replaces=old)
    side.write_bytes(new.to_json())
    assert verify(file) == []
    held = manifests.held(side)
    assert held is not None
    assert held.step == 1
    file.write_bytes(b"neither")
    assert manifests.held(side) is None
    assert names(file) == ["damaged-checkpoint"]
