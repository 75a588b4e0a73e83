"""The processes of a training: who writes, and how all of them learn the outcome. One process needs no group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from runvet.checkpoints.writing.errors import need_torch

Result = TypeVar("Result")


def _group() -> Any:
    distributed = need_torch().distributed
    return distributed if distributed.is_available() and distributed.is_initialized() else None


def rank() -> int:
    """This process's number, 0 where there is one process only."""
    group = _group()
    return int(group.get_rank()) if group else 0


def world() -> int:
    """How many processes train together."""
    group = _group()
    return int(group.get_world_size()) if group else 1


def told(value: Any) -> Any:
    """Rank 0's value, on every rank."""
    group = _group()
    if group is None or world() == 1:
        return value
    box = [value]
    group.broadcast_object_list(box, src=0)
    return box[0]


def collected(value: Any) -> list[Any]:
    """Every rank's value in order, on every rank."""
    group = _group()
    if group is None or world() == 1:
        return [value]
    box: list[Any] = [None] * world()
    group.all_gather_object(box, value)
    return box


def together(act: Callable[[], Result]) -> Result:
    """Do this rank's part, then learn whether every rank managed its own; collective.

    An error of any rank is raised on all, so that none waits for another: a rank raises its own, the others that of
    the first rank which has one.
    """
    error: BaseException | None = None
    result: Any = None
    try:
        result = act()
    except Exception as raised:
        error = raised
    try:
        every = collected(_portable(error))
        if error is not None:
            raise error
        first = next((e for e in every if e is not None), None)
        if first is not None:
            raise first
        made: Result = result
        return made
    finally:
        error = result = None  # the error knows this frame: they would keep each other, and the state, in memory


def _portable(error: BaseException | None) -> BaseException | None:
    """An error that survives the way to another process."""
    from runvet.checkpoints.writing.errors import RefusedCheckpoint, SaveFailed

    if error is None or isinstance(error, (RefusedCheckpoint, SaveFailed)):
        return error
    return SaveFailed(f"rank {rank()}: {type(error).__name__}: {error}")
