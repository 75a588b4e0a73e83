"""The arrays of an Orbax folder through tensorstore, an extra: shapes, types, and values a slab at a time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runvet.checkpoints.content import Piece, Store, contiguous
from runvet.checkpoints.dtypes import dtype
from runvet.checkpoints.model import Scalar
from runvet.checkpoints.places import Place
from runvet.checkpoints.problems import Damaged
from runvet.checkpoints.streamed import Streamed
from runvet.checkpoints.window import Window

CHUNK_LIMIT = 128 << 20  # bytes of one block of the database: it can only be unpacked as a whole
SLAB = 4 << 20  # bytes read at once


@dataclass(frozen=True, slots=True)
class Opened:
    """One array: its shape and type, where its values are, and its value where it is a single number."""

    shape: tuple[int, ...]
    dtype: str
    pieces: tuple[Piece, ...]
    value: Scalar


def opened(
    folder: Place, item: str, names: Sequence[str], *, ocdbt: bool, zarr3: bool
) -> tuple[dict[str, Opened] | None, list[str]]:
    """The arrays of one item by name, and why others cannot be opened.

    None instead without tensorstore, and for a folder that is not on this machine.
    """
    if not isinstance(folder, Path):
        return None, []
    try:
        import tensorstore
    except ImportError:
        return None, []
    base = {"driver": "file", "path": f"{(folder / item).absolute().as_posix()}/"}
    context = tensorstore.Context({"cache_pool": {"total_bytes_limit": 32 << 20}})
    waiting = []
    for name in names:
        kv = (
            {"driver": "ocdbt", "base": base, "path": f"{name}/"}
            if ocdbt
            else {**base, "path": f"{base['path']}{name}/"}
        )
        spec = {"driver": "zarr3" if zarr3 else "zarr", "kvstore": kv}
        waiting.append((name, tensorstore.open(spec, open=True, read=True, context=context)))
    made, lost = {}, []
    for name, future in waiting:
        error = future.exception()
        if error is None:
            made[name] = _opened(future.result(), f"{item}{name}")
        else:
            lost.append(f"array {name[:80]!r} cannot be opened: {str(error).split('[')[0][:160]}")
    return made, lost


def _opened(array: Any, key: str) -> Opened:
    shape, label = tuple(int(n) for n in array.shape), str(array.dtype.name)
    known = dtype(label)
    if known is None:
        return Opened(shape, label, (), None)
    value: Scalar = None
    if not shape and label.startswith(("int", "uint", "float")):
        value = np.asarray(array.read().result()).item()
    block = math.prod(array.chunk_layout.read_chunk.shape or (1,)) * known.size
    if block > CHUNK_LIMIT:
        return Opened(shape, label, (), value)
    size = math.prod(shape) * known.size
    store = Store(("orbax", key), size, lambda: Window(Streamed(lambda: _slabs(array, shape, known.size)), 0, size))
    return Opened(shape, label, (Piece(store, label, 0, shape, contiguous(shape)),), value)


def _slabs(array: Any, shape: tuple[int, ...], width: int) -> Iterator[bytes]:
    """The bytes of an array in row order: slabs of rows along the outermost axis below which a row is small enough."""
    axis = next((i for i in range(len(shape)) if math.prod(shape[i + 1 :]) * width <= SLAB), len(shape))
    if axis == len(shape):
        yield _bytes(array)
        return
    rows = max(1, SLAB // max(1, math.prod(shape[axis + 1 :]) * width))
    for before in itertools.product(*(range(n) for n in shape[:axis])):
        for first in range(0, shape[axis], rows):
            index = (*before, slice(first, min(first + rows, shape[axis])))
            yield _bytes(array[index])


def _bytes(part: Any) -> bytes:
    try:
        values = np.ascontiguousarray(part.read().result())
    except (ValueError, OSError, RuntimeError) as error:
        raise Damaged(f"its values cannot be read: {str(error).split('[')[0][:160]}") from None
    return values.view(np.uint8).tobytes() if values.dtype.itemsize else b""
