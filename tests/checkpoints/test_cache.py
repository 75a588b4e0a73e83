"""The cache gives what was read, notices changes, and never stands in the way."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

from runvet.checkpoints import list_checkpoints, listing
from runvet.checkpoints.contract import entry


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNVET_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "run"
    folder.mkdir()
    write(folder, [1.0, np.nan])
    return folder


def write(folder, values):
    np.savez(folder / "model_step_3.npz", w=np.array(values), b=np.zeros(0))
    old = time.time() - 100
    os.utime(folder / "model_step_3.npz", (old, old + len(values)))


def test_kept_and_given_back(run, monkeypatch):
    (first,) = list_checkpoints(run, deep=True)
    monkeypatch.setattr(listing, "read_file", lambda *a, **k: pytest.fail("read again"))
    (second,) = list_checkpoints(run, deep=True)
    assert entry(first) == entry(second)
    assert first.values.digest == second.values.digest
    assert np.array_equal(first.values.mean, second.values.mean, equal_nan=True)
    assert first.tensors == second.tensors


def test_deep_and_flat_are_kept_apart(run):
    list_checkpoints(run)
    assert list_checkpoints(run, deep=True)[0].finite is False


def test_changes_are_seen(run):
    list_checkpoints(run, deep=True)
    write(run, [1.0, 2.0, 3.0])
    assert list_checkpoints(run, deep=True)[0].finite is True


def test_young_files_are_not_kept(run, monkeypatch):
    os.utime(run / "model_step_3.npz")
    list_checkpoints(run)
    calls = []
    real = listing.read_file
    monkeypatch.setattr(listing, "read_file", lambda *a, **k: calls.append(a) or real(*a, **k))
    list_checkpoints(run)
    assert calls


@pytest.mark.parametrize("damage", [b"no database", b""])
def test_a_damaged_cache_is_no_cache(run, tmp_path, damage):
    list_checkpoints(run)
    for file in (tmp_path / "cache").iterdir():
        file.write_bytes(damage * 1000)
    assert len(list_checkpoints(run)) == 1


def test_a_cache_that_cannot_be_made(run, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RUNVET_CACHE", str(tmp_path / "file" / "below"))
    assert len(list_checkpoints(run)) == 1


def test_off(run, tmp_path):
    list_checkpoints(run, cache=False)
    assert not (tmp_path / "cache").exists()
