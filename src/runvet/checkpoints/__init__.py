"""Checkpoints read without running them: tensors, plain values, completeness, and what is wrong with each file.

No torch, no unpickling: a pickle is interpreted opcode by opcode into names and numbers (`unpickle.py`), every size
is checked against the file before it is believed, and values are streamed through one small buffer (`scan.py`).

`save`, `load`, `restore` and `CheckpointManager` (in `writing/`) write checkpoints so that none is lost; they alone
need torch, and import it when they are called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runvet.checkpoints.contract import to_json
from runvet.checkpoints.listing import list_checkpoints
from runvet.checkpoints.manifest import BadManifest, Manifest, NoManifest, verify
from runvet.checkpoints.model import Checkpoint, Group, Tensor, Values
from runvet.checkpoints.problems import PROBLEMS, Problem

if TYPE_CHECKING:
    from runvet.checkpoints.writing.errors import MissingTorch, RefusedCheckpoint, SaveFailed
    from runvet.checkpoints.writing.loading import load, restore
    from runvet.checkpoints.writing.manager import CheckpointManager
    from runvet.checkpoints.writing.saving import save

__all__ = [
    "PROBLEMS",
    "BadManifest",
    "Checkpoint",
    "CheckpointManager",
    "Group",
    "Manifest",
    "MissingTorch",
    "NoManifest",
    "Problem",
    "RefusedCheckpoint",
    "SaveFailed",
    "Tensor",
    "Values",
    "list_checkpoints",
    "load",
    "restore",
    "save",
    "to_json",
    "verify",
]

_WRITING = {
    "CheckpointManager": "manager",
    "MissingTorch": "errors",
    "RefusedCheckpoint": "errors",
    "SaveFailed": "errors",
    "load": "loading",
    "restore": "loading",
    "save": "saving",
}


def __getattr__(name: str) -> Any:
    """Writing loads on first use: reading a run needs none of it."""
    if name not in _WRITING:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"runvet.checkpoints.writing.{_WRITING[name]}"), name)
