"""Killed at any instant, a writer loses nothing: the newest good checkpoint is there, whole, bit for bit.

Short by default; RUNVET_STRESS=1 (`make stress`) kills 240 times, and notes the figures in RUNVET_STRESS_OUT.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch
from kill_worker import main, state

from runvet.checkpoints import CheckpointManager, load, verify

STRESS = os.environ.get("RUNVET_STRESS") == "1"
KINDS = ("folder", "same", "file", "background")
KILLS = 60 if STRESS else 6  # of each kind


def exactly(found: dict[str, object]) -> int:
    """The step of a loaded state, all of whose values must be those that were saved."""
    step = found["step"]
    assert isinstance(step, int)
    wanted, got = state(step), found["model"]
    assert isinstance(got, dict)
    assert list(got) == list(wanted)
    assert all(torch.equal(got[n], wanted[n]) for n in wanted)
    return step


def newest(folder: Path, kind: str) -> int:
    """The newest good step as a reader finds it before any cleaning, 0 where nothing was completed yet."""
    if kind == "file":
        return exactly(load(folder / "last.pt")) if (folder / "last.pt").exists() else 0
    assert not (list(folder.glob("step-*")) and verify(folder)), "a checkpoint with a visible name is not whole"
    with CheckpointManager(folder, keep_last=2) as manager:  # cleans, as a restarted training would
        place = manager.trusted()
        assert manager.latest() == place
        step = exactly(manager.load()) if place else 0
    assert not [p for p in folder.iterdir() if ".runvet-" in p.name], "temporary files stay"
    return step


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("kind", KINDS)
def test_the_newest_good_checkpoint_survives(kind: str, tmp_path: Path) -> None:
    chance = random.Random(20)
    last, done, during = 0, 0, 0
    fresh = multiprocessing.get_context("forkserver")  # torch is imported once, each writer is a process of its own
    fresh.set_forkserver_preload(["torch", "numpy", "runvet.checkpoints.writing.manager", "kill_worker"])
    for _ in range(KILLS):
        here, there = fresh.Pipe()
        stale = set(tmp_path.iterdir())
        process = fresh.Process(target=main, args=(tmp_path, kind, there))
        process.start()
        assert here.recv() == "ready"
        time.sleep(chance.uniform(0.0, 0.5))
        assert process.is_alive(), "the writer ended by itself"
        process.kill()
        process.join()
        here.close()
        there.close()
        during += any(".runvet-" in p.name for p in set(tmp_path.iterdir()) - stale)
        step = newest(tmp_path, kind)
        assert step >= last, f"step {last} was there before the kill, now {step} is the newest"
        done += step > last
        last = step
    assert done, "no save was ever completed"
    _note(kind, during, last)


def _note(kind: str, during: int, last: int) -> None:
    out = os.environ.get("RUNVET_STRESS_OUT")
    if out:
        with Path(out).open("a") as file:
            file.write(
                json.dumps({"test": "kill", "kind": kind, "kills": KILLS, "during": during, "saves": last}) + "\n"
            )
