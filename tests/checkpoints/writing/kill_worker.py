"""Saves in a loop until it is killed. Every state is a function of its step."""

from __future__ import annotations

from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from runvet.checkpoints import CheckpointManager, restore, save


def state(step: int) -> dict[str, Any]:
    """About 3 MB, the same for the same step."""
    generator = torch.Generator().manual_seed(step)
    return {f"layer{i}.weight": torch.randn(256, 256, generator=generator) for i in range(12)}


def main(folder: Path, kind: str, ready: Connection) -> None:
    """Tell when the loop begins, then save for ever."""
    torch.set_num_threads(1)
    if kind == "file":
        step = restore(folder / "last.pt")["step"] if (folder / "last.pt").exists() else 0
        ready.send("ready")
        while True:
            step += 1
            save(folder / "last.pt", model=state(step), step=step)
    manager = CheckpointManager(folder, keep_last=2, background=kind == "background")
    found = manager.restore()
    step = int(found.get("step", 0))
    ready.send("ready")
    while True:
        # Every third save replaces a checkpoint of the same step.
        step += 0 if step and step % 3 == 0 and kind == "same" else 1
        manager.save(model=state(step), step=step)
        step += kind == "same" and step % 3 == 0
