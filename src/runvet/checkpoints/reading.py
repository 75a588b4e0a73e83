"""The checkpoints of a run, with their values where reading them costs little."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor

from runvet.checkpoints.candidates import named_sure
from runvet.checkpoints.listing import list_checkpoints
from runvet.checkpoints.model import Checkpoint
from runvet.checkpoints.names import stem, words
from runvet.checkpoints.places import Place, RemotePath

# Values are scanned at about 1 GB/s for each core, so that this adds a second to a check; `--deep` has no bound.
BYTES = 1 << 30
SAMPLE = 500  # of more checkpoints than this, as many are read, evenly chosen
NEWEST = 16
NAMED = frozenset(("best", "last", "latest", "final"))
TENSORS = 100_000  # a small tensor costs about 20 microseconds whatever its size


def below(
    root: Place, *, deep: bool | None = None, executor: Executor | None = None, cache: bool = True
) -> tuple[Checkpoint, ...]:
    """Every checkpoint at or below a path, by folder and step.

    Values are scanned where `deep` is true, or where it is None and all of them together are small (`BYTES`,
    `TENSORS`) and lie on this machine; of very many, a sample is read (`SAMPLE`). A single file is opened only if its suffix says that it is a checkpoint: the others are logs.
    """
    if not root.exists() or (root.is_file() and not named_sure(root.name)):
        return ()
    wanted = _cheap if deep is None and not isinstance(root, RemotePath) else bool(deep)
    return tuple(list_checkpoints(root, deep=wanted, executor=executor, cache=cache))


def _cheap(found: Sequence[Checkpoint]) -> frozenset[str]:
    """The paths of the checkpoints whose values are read: all, an even sample of very many, or none of large ones.

    The newest, and those that are named as the last or the best, are always in the sample.
    """
    if sum(c.bytes for c in found) > BYTES:
        return frozenset()
    chosen = list(found)
    if len(found) > SAMPLE:
        newest = sorted(found, key=lambda c: c.modified)[-NEWEST:]
        order = sorted(found, key=lambda c: (c.step if c.step is not None else -1, c.epoch or 0.0, c.path))
        even = [order[i * (len(found) - 1) // (SAMPLE - 1)] for i in range(SAMPLE)]
        chosen = [*even, *newest, *(c for c in found if words(stem(c.path.rpartition("/")[2])) & NAMED)]
    if sum(len(c.tensors) for c in chosen) > TENSORS:
        return frozenset()
    return frozenset(c.path for c in chosen)
