"""The checkpoints of a run, with their values where reading them costs little."""

from __future__ import annotations

from concurrent.futures import Executor
from pathlib import Path

from runvet.checkpoints.candidates import named_sure
from runvet.checkpoints.listing import list_checkpoints
from runvet.checkpoints.model import Checkpoint

# Values are scanned at about 1 GB/s for each core, so that this adds a second to a check; `--deep` has no bound.
BYTES = 1 << 30
TENSORS = 100_000  # a small tensor costs about 20 microseconds whatever its size


def below(
    root: Path, *, deep: bool | None = None, executor: Executor | None = None, cache: bool = True
) -> tuple[Checkpoint, ...]:
    """Every checkpoint at or below a path, by folder and step.

    Values are scanned where `deep` is true, or where it is None and all of them together are small (`BYTES`,
    `TENSORS`). A single file is opened only if its suffix says that it is a checkpoint: the others are logs.
    """
    if not root.exists() or (root.is_file() and not named_sure(root.name)):
        return ()
    found = tuple(list_checkpoints(root, deep=bool(deep), executor=executor, cache=cache))
    if deep is not None or not found:
        return found
    if sum(c.bytes for c in found) > BYTES or sum(len(c.tensors) for c in found) > TENSORS:
        return found
    return tuple(list_checkpoints(root, deep=True, executor=executor, cache=cache))
