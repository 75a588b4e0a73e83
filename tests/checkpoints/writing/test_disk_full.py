"""A disk that is full, at whatever call it says so, costs the save that found it full and nothing else."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from runvet.checkpoints import CheckpointManager, SaveFailed, load, save, verify

CALLS = ("write", "fsync", "fdatasync", "open", "replace", "rename", "mkdir")


def weights(step: int, size: int = 64) -> dict[str, Any]:
    return {f"{i}.weight": torch.full((size, size), float(step)) for i in range(4)}


@contextlib.contextmanager
def full_from(number: int) -> Iterator[list[int]]:
    """From the n-th call on that changes the disk, every one fails with ENOSPC. Gives the number of calls made."""
    count = [0]
    kept = {name: getattr(os, name) for name in CALLS if hasattr(os, name)}

    def wrapped(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def act(*args: Any, **options: Any) -> Any:
            reading = name == "open" and not args[1] & (os.O_WRONLY | os.O_RDWR)
            setting_back = name in ("rename", "replace") and ".runvet-old-" in str(args[0])
            if not reading and not setting_back:
                count[0] += 1
                if count[0] >= number:
                    if name == "write" and count[0] == number and len(args[1]) > 2:
                        call(args[0], args[1][: len(args[1]) // 2])  # as a real disk does: half of it still fits
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return call(*args, **options)

        return act

    for name, call in kept.items():
        setattr(os, name, wrapped(name, call))
    try:
        yield count
    finally:
        for name, call in kept.items():
            setattr(os, name, call)


@pytest.mark.parametrize("kind", ["folder", "same", "file", "background"])
def test_full_at_every_call(kind: str, tmp_path: Path) -> None:
    last = tmp_path / "last.pt"
    manager = CheckpointManager(tmp_path, keep_last=1, background=kind == "background")

    def put(step: int, value: int) -> None:
        if kind == "file":
            save(last, model=weights(value), step=step)
        else:
            manager.save(step=step, model=weights(value))
            manager.wait()

    def lying() -> tuple[int, float]:
        if kind == "file":
            state = load(last)
        else:
            assert [p for p in tmp_path.glob("step-*") if verify(p)] == []
            state = manager.load()
        (value,) = {float(v) for t in state["model"].values() for v in t.unique()}
        return state["step"], value

    put(1, 1)
    failed, number, done = 0, 0, False
    while not done:
        number += 1
        before = lying()
        step = 1 if kind == "same" else number + 1
        with full_from(number) as count:
            error = None
            try:
                put(step, number + 1)
            except SaveFailed as raised:
                error = raised
            done = count[0] < number
        if error is not None:
            failed += 1
            assert error.errno == errno.ENOSPC
            assert "untouched" in str(error)
        after = lying()
        # Late failures (deleting the old one, tidying the manifest) come when the new one is complete.
        assert after in (before, (step, number + 1))
        assert not (tmp_path / "last.pt").exists() or verify(last) == []
        assert number < 400, "it never succeeds"
    assert failed >= 6
    assert lying() == (step, number + 1), "with room again, the next save succeeds"
    manager.close()
    with CheckpointManager(tmp_path):
        assert not [p for p in tmp_path.iterdir() if ".runvet-" in p.name]
    if out := os.environ.get("RUNVET_STRESS_OUT"):
        with Path(out).open("a") as file:
            file.write(json.dumps({"test": "disk-full", "kind": kind, "calls": number, "failed": failed}) + "\n")


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small tmpfs is not permitted here")
    try:
        with CheckpointManager(place, keep_last=None) as manager:
            manager.save(step=1, model=weights(1, 200))  # 640 kB
            with pytest.raises(SaveFailed, match="No space left"):
                manager.save(step=2, model=weights(2, 200))
            assert manager.trusted() == place / "step-00000001"
            assert not [p for p in place.iterdir() if ".runvet-" in p.name], "room is given back at once"
            manager.save(step=3, model=weights(3, 64))
            assert manager.load()["step"] == 3
    finally:
        subprocess.run(["umount", str(place)], check=True)
