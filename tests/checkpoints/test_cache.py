"""The cache gives what was read, notices changes, and never stands in the way."""

from __future__ import annotations

import ast
import os
import time
from pathlib import Path

import numpy as np
import pytest

from runvet.checkpoints import cache, list_checkpoints, listing
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


def test_results_of_other_code_are_read_again(run, monkeypatch):
    """A change of a reader or a judgement is a change of the digest: nobody has to remember to raise a number."""
    (first,) = list_checkpoints(run, deep=True)
    monkeypatch.setattr(cache, "code", lambda: "other code")
    calls = []
    real = listing.read_file
    monkeypatch.setattr(listing, "read_file", lambda *a, **k: calls.append(a) or real(*a, **k))
    list_checkpoints(run, deep=True)
    assert calls
    calls.clear()
    assert entry(list_checkpoints(run, deep=True)[0]) == entry(first)
    assert not calls, "what the new code read is kept"


def test_the_digest_follows_the_sources(tmp_path, monkeypatch):
    folder = tmp_path / "runvet" / "checkpoints"
    folder.mkdir(parents=True)
    for name in cache.BESIDE:
        (folder.parent / name).write_text("")
    (folder / "judge.py").write_text("LIMIT = 1")
    monkeypatch.setattr(cache, "__file__", str(folder / "cache.py"))
    found = []
    for text in ("LIMIT = 1", "LIMIT = 2", "LIMIT = 1"):
        (folder / "judge.py").write_text(text)
        found.append(cache.code.__wrapped__())
    assert found[0] != found[1]
    assert found[0] == found[2]
    for name in cache.BESIDE:
        (folder.parent / name).unlink()
    assert cache.code.__wrapped__() == "", "sources that cannot be read: nothing is kept"


def test_every_module_that_reading_uses_is_in_the_digest():
    folder = Path(cache.__file__).parent
    used = set()
    waiting = [*folder.glob("*.py"), *(folder.parent / name for name in cache.BESIDE)]
    for node in (n for file in waiting for n in ast.walk(ast.parse(file.read_text()))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("runvet."):
            used.add(node.module)
    beside = {
        f"{m.removeprefix('runvet.').replace('.', '/')}.py" for m in used if not m.startswith("runvet.checkpoints")
    }
    assert beside == set(cache.BESIDE)
