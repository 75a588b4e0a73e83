"""Writing in the background, SIGTERM, and what dead writers leave behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from runvet.checkpoints import CheckpointManager, SaveFailed, load, save, verify
from runvet.checkpoints.writing import atomic
from runvet.checkpoints.writing import manager as manager_module


def test_training_may_go_on_while_it_is_written(tmp_path: Path, monkeypatch: Any) -> None:
    model, gate, inside = torch.nn.Linear(20, 20), threading.Event(), threading.Event()
    written = manager_module.write_full

    def slow(*args: Any) -> Any:
        inside.set()
        assert gate.wait(20)
        return written(*args)

    monkeypatch.setattr(manager_module, "write_full", slow)
    with CheckpointManager(tmp_path, background=True) as manager:
        before = model.weight.detach().clone()
        place = manager.save(step=1, model=model)
        assert inside.wait(20)
        assert not place.exists()
        torch.nn.init.zeros_(model.weight)
        second = threading.Thread(target=lambda: manager.save(step=2, model=model))
        second.start()
        time.sleep(0.2)
        assert second.is_alive(), "at most one save is in flight"
        gate.set()
        second.join(20)
    assert torch.equal(load(place)["model"]["weight"], before)
    assert torch.equal(load(tmp_path / "step-00000002")["model"]["weight"], torch.zeros(20, 20))


def test_a_copy_is_taken_before_the_next_step(tmp_path: Path) -> None:
    """Everything a training changes right after `save` has returned, again and again through the same buffers."""
    model = torch.nn.Sequential(torch.nn.Linear(300, 300), torch.nn.BatchNorm1d(300))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    wanted = {}
    with CheckpointManager(tmp_path, background=True, keep_last=None) as manager:
        for step in range(1, 6):
            optimizer.zero_grad()
            model(torch.randn(8, 300)).square().sum().backward()
            optimizer.step()
            place = manager.save(step=step, model=model, optimizer=optimizer)
            state = {n: t.detach().clone() for n, t in model.state_dict().items()}
            moments = [s["exp_avg_sq"].clone() for s in optimizer.state.values()]
            wanted[place] = state, moments
            with torch.no_grad():
                for tensor in (*model.parameters(), *(s["exp_avg_sq"] for s in optimizer.state.values())):
                    tensor.fill_(0.5)
    for place, (state, moments) in wanted.items():
        found = load(place)
        assert all(torch.equal(found["model"][n], t) for n, t in state.items())
        saved = [s["exp_avg_sq"] for s in found["optimizer"]["state"].values()]
        assert all(torch.equal(a, b) for a, b in zip(saved, moments, strict=True))


def test_an_error_comes_with_the_next_call_and_once(tmp_path: Path, monkeypatch: Any) -> None:
    manager = CheckpointManager(tmp_path, background=True)

    def broken(*_: Any) -> None:
        raise SaveFailed("the disk is gone")

    with monkeypatch.context() as patched:
        patched.setattr(manager_module, "write_full", broken)
        manager.save(step=1, model={"a": torch.ones(1)})
        assert manager.latest() is None
        with pytest.raises(SaveFailed, match="gone"):
            manager.save(step=2, model={"a": torch.ones(1)})
    manager.save(step=3, model={"a": torch.ones(1)})
    assert manager.latest() == tmp_path / "step-00000003"
    manager.close()


def test_the_interpreter_waits_at_its_end(tmp_path: Path) -> None:
    code = (
        "import sys, torch; from runvet.checkpoints import CheckpointManager\n"
        "m = CheckpointManager(sys.argv[1], background=True)\n"
        "m.save(step=7, model={'a': torch.ones(2_000_000)})"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert verify(tmp_path) == []
    assert load(tmp_path / "step-00000007")["step"] == 7


@pytest.mark.skipif(os.name == "nt", reason="needs SIGTERM")
@pytest.mark.parametrize("background", [False, True])
def test_sigterm_saves_at_the_next_step_and_stops(background: bool, tmp_path: Path) -> None:
    former = signal.getsignal(signal.SIGTERM)
    with CheckpointManager(tmp_path, save_every=4, background=background, handle_sigterm=True) as manager:
        stopped = None
        for step in range(1, 20):
            if step == 6:
                os.kill(os.getpid(), signal.SIGTERM)
                os.kill(os.getpid(), signal.SIGTERM)
            if manager.after_step(step, model={"a": torch.full((3,), float(step))}):
                stopped = step
                break
        assert stopped == 6
        assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000004", "step-00000006"]
        assert manager.load()["step"] == 6
    assert signal.getsignal(signal.SIGTERM) == former


def test_sigterm_without_a_handler_rolls_back(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys, torch; from runvet.checkpoints import CheckpointManager\n"
        "from runvet.checkpoints.writing import write\n"
        "m = CheckpointManager(sys.argv[1]); m.save(step=1, model={'a': torch.ones(10)})\n"
        "write.compare = lambda *a, **k: os.kill(os.getpid(), signal.SIGTERM)\n"
        "m.save(step=2, model={'a': torch.ones(10)})"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGTERM
    assert any(".runvet-new-" in p.name for p in tmp_path.iterdir())
    with CheckpointManager(tmp_path) as manager:
        assert [p.name for p in tmp_path.iterdir()] == ["step-00000001"]
        assert manager.trusted() == tmp_path / "step-00000001"


def test_saving_one_file_cleans_up_after_its_dead_writers(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    host = atomic.temporary(tmp_path / "x").name.split("-new-")[1].rsplit("-", 2)[0]
    left = [tmp_path / f".{name}.runvet-new-{host}-{dead.pid}-0123abcd" for name in ("last.pt", "other.pt")]
    for path in left:
        path.write_text("half")
    save(tmp_path / "last.pt", model={"a": torch.ones(2)})
    assert [p.exists() for p in left] == [False, True]


def test_cleaning_gives_back_what_was_set_aside(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    host = atomic.temporary(tmp_path / "x").name.split("-new-")[1].rsplit("-", 2)[0]
    aside = tmp_path / f".step-00000001.runvet-old-{host}-{dead.pid}-0123abcd"
    aside.mkdir()
    (aside / "state.pt").write_text("whole")
    unfinished = tmp_path / f".step-00000002.runvet-new-{host}-{dead.pid}-0123abcd"
    unfinished.mkdir()
    alive = tmp_path / f".step-00000003.runvet-new-{host}-{os.getppid()}-0123abcd"
    alive.mkdir()
    elsewhere = tmp_path / ".step-00000004.runvet-new-another-host-5-0123abcd"
    elsewhere.mkdir()
    assert atomic.clean(tmp_path) == [unfinished]
    assert (tmp_path / "step-00000001" / "state.pt").read_text() == "whole"
    assert alive.exists()
    assert elsewhere.exists()
    os.utime(elsewhere, (0, 0))
    assert atomic.clean(tmp_path) == [elsewhere]
