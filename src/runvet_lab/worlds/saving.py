"""Checkpoints of a stage under the founding case's folder names, `<stage>_step_<N>/`: written soundly, or as it did.

Soundly: all ranks gather, rank 0 writes, verifies and renames (`runvet.checkpoints.save`). The founding case's code ran
on every rank, where `get_model_state_dict` with CPU offload gives all tensors to rank 0 and none to the others, and all
opened the same three files. Which rank came last was chance there; here it is prescribed, so that it can be repeated.
"""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import Any

import torch

from runvet.checkpoints import load, restore, save
from runvet_lab.worlds import three_files
from runvet_lab.worlds.config import Faults, Loop


class Saver:
    """Writes and finds the checkpoints of one stage."""

    def __init__(self, fabric: Any, folder: Path, name: str, faults: Faults, layout: str = "one") -> None:
        if layout not in ("one", "three"):
            raise ValueError(f"layout {layout!r}; known are one, three")
        self.fabric, self.folder, self.name, self.faults, self.layout = fabric, folder, name, faults, layout
        self.count = 0

    def due(self, loop: Loop, step: int, last: bool) -> bool:
        """Whether to save after this step. The founding case's code saved at step 0, and never after the last one."""
        if self.faults.save in ("whole", "rank0_gather"):
            return last or (step + 1) % loop.save_every == 0
        return step % loop.save_every == 0

    def save(self, number: int, module: Any, optimizer: Any, extra: dict[str, Any]) -> None:
        """Write the checkpoint of a step; every rank calls it."""
        path = self.folder / f"{self.name}_step_{number}"
        if self.faults.save == "whole" and self.layout == "three":
            three_files.save(path, module, optimizer, number, extra)
        elif self.faults.save == "whole":
            save(path, model=module, optimizer=optimizer, step=number, extra=extra)
        elif self.faults.save == "rank0_gather":
            if self.fabric.is_global_zero:
                _write(path, three_files.gathered(module, optimizer, number, extra))
            self.fabric.barrier()
        else:
            self._raced(path, three_files.gathered(module, optimizer, number, extra))
        self.count += 1

    @staticmethod
    def newest_of(folder: Path, name: str) -> Path | None:
        """The checkpoint of the highest step of a stage among those that have a manifest."""
        found = [
            (int(match[1]), path)
            for path in folder.glob(f"{name}_step_*")
            if (match := re.fullmatch(rf"{name}_step_(\d+)", path.name)) and (path / "manifest.json").is_file()
        ]
        return max(found)[1] if found else None

    def restore(self, module: Any, optimizer: Any, facts: dict[str, Any]) -> dict[str, Any]:
        """Put the newest checkpoint back; what else it holds. Raises ValueError where its facts are not these."""
        path = self.newest_of(self.folder, self.name)
        if path is None:
            return {}
        if three_files.is_at(path):
            state = three_files.restore(path, module, optimizer)
        else:
            state = restore(path, model=module, optimizer=optimizer)
        for key, value in facts.items():
            if state["extra"].get(key) != value:
                raise ValueError(f"{path}: {key} is {state['extra'].get(key)!r} there and {value!r} here")
        return state

    def _raced(self, path: Path, parts: dict[str, Any]) -> None:
        """Every rank writes the same files, one rank after the other."""
        path.mkdir(parents=True, exist_ok=True)
        for number, (name, part) in enumerate(parts.items()):
            first = 1 - self._last(number)
            if self.faults.save == "torn" and self._last(number) == 1 and name != "state.pt":
                self._over(path / name, part)
                continue
            for rank in (first, 1 - first):
                if self.fabric.global_rank == rank:
                    torch.save(part, path / name)
                self.fabric.barrier()

    def _last(self, number: int) -> int:
        """The rank that comes last at this save, for the file of this number."""
        if self.faults.full_at:
            return 0 if self.count in self.faults.full_at else 1
        return zlib.crc32(f"{self.name}/{self.count}/{number}".encode()) % 2

    def _over(self, path: Path, part: Any) -> None:
        """Both ranks open the file before either writes; rank 1 then writes its few bytes over the head of rank 0's."""
        with path.open("wb") as file:
            self.fabric.barrier()
            if self.fabric.global_rank == 0:
                torch.save(part, file)
                file.flush()
            self.fabric.barrier()
            if self.fabric.global_rank == 1:
                torch.save(part, file)
        self.fabric.barrier()


def weights(path: Path) -> dict[str, Any]:
    """The model's state dict in a checkpoint of either layout."""
    state: dict[str, Any] = three_files.load(path)["model"] if three_files.is_at(path) else load(path)["model"]
    return state


def _write(path: Path, parts: dict[str, Any]) -> None:
    path.mkdir(parents=True, exist_ok=True)
    for name, part in parts.items():
        torch.save(part, path / name)
