"""Checkpoints as the project behind the founding case lays them out, so that its programs read them: three files a folder.

`model_state_dict.pt` and `optim_state_dict.pt` are bare state dicts, `state.pt` the step and what else belongs to it. All
ranks gather, rank 0 writes into a temporary folder, reads back and renames: the layout was never what was wrong.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from runvet.checkpoints import SaveFailed, manifest
from runvet.checkpoints.writing import atomic, ranks

FILES = ("model_state_dict.pt", "optim_state_dict.pt", "state.pt")
WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)


def gathered(module: Any, optimizer: Any, number: int, extra: dict[str, Any]) -> dict[str, Any]:
    """Contents by file name: everything on rank 0, no tensors on the others. Every rank calls it."""
    rank = dist.get_rank() if dist.is_initialized() else 0
    return {
        FILES[0]: get_model_state_dict(module, options=WHOLE),
        FILES[1]: get_optimizer_state_dict(module, optimizer, options=WHOLE),
        FILES[2]: {
            "scheduler_state_dict": {"last_epoch": number}, "config": extra, "step": number, "rank": rank, "timestamp": time.time(),
        },
    }  # fmt: skip


def save(path: Path, module: Any, optimizer: Any, number: int, extra: dict[str, Any]) -> None:
    """Write a checkpoint whole or not at all. Every rank calls it; raises SaveFailed or OSError on all of them."""
    parts = gathered(module, optimizer, number, extra)

    def write() -> None:
        if ranks.rank() == 0:
            _write(path, parts, number)

    ranks.together(write)


def is_at(path: Path) -> bool:
    """Whether the checkpoint in a folder is of this layout."""
    return (path / FILES[0]).is_file()


def load(path: Path) -> dict[str, Any]:
    """What a checkpoint holds, named as `runvet.checkpoints.load` does: model, optimizer, step, extra."""
    model, optimizer, state = (torch.load(path / name, weights_only=True) for name in FILES)
    return {"model": model, "optimizer": optimizer, "step": state["step"], "extra": state["config"]}


def restore(path: Path, module: Any, optimizer: Any) -> dict[str, Any]:
    """Put model and optimizer back; all that the checkpoint holds. Raises SaveFailed for one without tensors."""
    held = load(path)
    if not held["model"] or not held["optimizer"].get("state"):
        raise SaveFailed(f"{path} holds no tensors")
    set_model_state_dict(module, held["model"], options=WHOLE)
    set_optimizer_state_dict(module, optimizer, held["optimizer"], options=WHOLE)
    return held


def _write(path: Path, parts: dict[str, Any], number: int) -> None:
    made, count, elements = atomic.temporary(path), 0, 0
    made.mkdir(parents=True)
    try:
        for name, part in parts.items():
            torch.save(part, made / name)
            atomic.sync(made / name)
            wrote, read = _sizes(part), _sizes(torch.load(made / name, weights_only=True))
            if read != wrote or (name != FILES[2] and not wrote):
                raise SaveFailed(f"{path} was not saved: {name} holds {len(read)} tensors, {len(wrote)} were written")
            count, elements = count + len(wrote), elements + sum(wrote)
        entries = tuple(manifest.entry(made, name) for name in FILES)
        facts = manifest.Manifest(
            entries, step=number, world_size=ranks.world(), tensors=count, parameters=elements, created=time.time()
        )
        atomic.fill(made / manifest.NAME, facts.to_json())
        atomic.commit_folder(made, path)
    finally:
        atomic.remove(made)


def _sizes(value: Any) -> list[int]:
    """Elements of every tensor within nested dicts and lists."""
    if isinstance(value, torch.Tensor):
        return [value.numel()]
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [size for each in inside for size in _sizes(each)]
