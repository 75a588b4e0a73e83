"""A written file read back by the static reader and compared with memory, byte by byte. Nothing is unpickled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from runvet.checkpoints import danger
from runvet.checkpoints.blocks import folded, raw_blocks, whole
from runvet.checkpoints.content import Content, Found, Piece
from runvet.checkpoints.formats import read_window
from runvet.checkpoints.problems import Damaged, Unread
from runvet.checkpoints.window import Window
from runvet.checkpoints.writing.errors import SaveFailed, need_torch
from runvet.checkpoints.writing.inert_state import tensors
from runvet.checkpoints.writing.stream import HashedFile, equal

if TYPE_CHECKING:
    import torch


def compare(
    path: Path, state: Mapping[str, Any], written: HashedFile | None = None, *, values: bool = True
) -> tuple[int, int]:
    """Check that a torch file holds exactly this state; the number of its tensors and of their elements.

    Names, shapes, element types and every byte of every dense tensor; bytes that `written` has read back and compared
    already are not read again, and none are without `values`. Raises SaveFailed with the first difference.
    """
    content = Content("torch-zip")
    try:
        window = Window.of(path)
        try:
            read_window(window, path.name, content, None)
            _listed(path, content)
            wanted = list(tensors(state))
            if len(wanted) != len(content.found):
                raise _differs(path, f"{len(content.found)} tensors were read back, {len(wanted)} were written")
            done: set[Any] = set()
            for (name, tensor), found in zip(wanted, content.found, strict=True):
                place = _placed(path, name, tensor, found)
                if place is not None and values:
                    _same(path, name, tensor, place, done, written)
        finally:
            window.close()
    except (Damaged, Unread) as error:
        raise _differs(path, str(error)) from None
    return len(content.found), sum(f.tensor.elements for f in content.found)


def _listed(path: Path, content: Content) -> None:
    if content.problems:
        raise _differs(path, content.problems[0].message)
    foreign, _ = danger.foreign(content.names)
    if foreign:
        raise _differs(path, f"it names callables that loading would need: {', '.join(foreign[:4])}")


def _placed(path: Path, name: str, tensor: torch.Tensor, found: Found) -> Piece | None:
    """Where the bytes of a tensor are, which must be all of them; None where it has none of its own."""
    kind = str(tensor.dtype).rpartition(".")[2]
    read = found.tensor
    if read.name != name or read.shape != tuple(tensor.shape) or read.dtype != kind:
        raise _differs(
            path, f"tensor {name} is {kind}{tuple(tensor.shape)}, read back {read.name} {read.dtype}{read.shape}"
        )
    if read.layout not in ("dense", "view") or not tensor.numel() or not found.pieces:
        if tensor.numel() and read.layout == "unstored":
            raise _differs(path, f"tensor {name} has no values in the file")
        return None
    piece, _ = folded(found.pieces[0])
    if not whole(piece) or piece.elements != tensor.numel():
        raise _differs(path, f"tensor {name} is not stored row by row")
    return piece


def _same(
    path: Path, name: str, tensor: torch.Tensor, piece: Piece, done: set[Any], written: HashedFile | None
) -> None:
    key = (piece.store.key, piece.start, piece.elements, tensor.data_ptr(), tensor.dtype)
    if key in done:  # tied weights
        return
    done.add(key)
    memory, at = raw_bytes(tensor), 0
    start = piece.store.open().start + piece.start * tensor.element_size()
    if written is not None and written.same(start, memory):
        return
    for block in raw_blocks(piece):
        data = block.view(np.uint8)
        if not equal(data, memory[at : at + len(data)]):
            raise _differs(path, f"tensor {name} has other values than were written")
        at += len(data)
    if at != len(memory):
        raise _differs(path, f"tensor {name} has {at:,} of {len(memory):,} bytes")


def raw_bytes(tensor: torch.Tensor) -> npt.NDArray[np.uint8]:
    """The bytes of a contiguous CPU tensor, shape (bytes,), without a copy."""
    torch = need_torch()
    data: npt.NDArray[np.uint8] = tensor.reshape(-1).view(torch.uint8).numpy()
    return data


def _differs(path: Path, what: str) -> SaveFailed:
    return SaveFailed(f"{path.name.split('.runvet-')[0].lstrip('.')} was read back and is not what was written: {what}")
