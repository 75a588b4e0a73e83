"""Two processes: the empty checkpoint that a common mistake gives, and the right one from the same training."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ranks_worker import build, train

from runvet.checkpoints import list_checkpoints, load, verify

WORKER = Path(__file__).with_name("ranks_worker.py")
NAMES = {"0.weight", "0.bias", "2.weight", "2.bias", "3.weight", "3.bias"}


WRONG = ["wrong:ddp", "wrong:fsdp2"]
RIGHT = ["full:ddp", "full:compiled-ddp", "full:fsdp2", "sharded:fsdp2", "background:fsdp2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes left behind: a folder for each mode."""
    made = tmp_path_factory.mktemp("ranks")
    run(",".join([*WRONG, *RIGHT]), made)
    return made


def run(modes: str, folder: Path, world: int = 2) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, str(WORKER), modes]
    processes = [
        subprocess.Popen(
            [*command, str(r), str(world), port, str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for r in range(world)
    ]
    try:
        said = [p.communicate(timeout=180)[0] for p in processes]
    finally:
        for p in processes:
            p.kill()
    assert [p.returncode for p in processes] == [0] * world, "\n".join(said)[-6000:]


@pytest.mark.slow
@pytest.mark.parametrize("mode", WRONG)
def test_the_wrong_code_gives_an_empty_checkpoint(mode: str, folder: Path) -> None:
    (found,) = list_checkpoints(folder / mode.replace(":", "-"))
    assert found.usable is False
    assert [p.name for p in found.problems] == ["empty-checkpoint"]


@pytest.mark.slow
@pytest.mark.parametrize("mode", RIGHT)
def test_ours_gives_the_whole_state_under_stable_names(mode: str, folder: Path) -> None:
    own = folder / mode.replace(":", "-")
    place = own / "all" / "step-00000003"
    assert verify(own) == []
    state = load(place)
    assert set(state["model"]) == NAMES
    assert len(state["rng"]) == 2
    assert set(state["optimizer"]["state"]) == NAMES
    assert state["extra"] == {"note": "three"}
    model, optimizer = build("plain")
    train(model, optimizer, 3)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(state["model"][name], value, rtol=1e-5, atol=1e-6)
    seen = list_checkpoints(own / "all", deep=True)
    assert [c.step for c in seen] == [3]
    assert all(c.usable and c.finite for c in seen)
