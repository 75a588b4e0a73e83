"""npy and npz: numpy arrays, their headers read as text, object arrays refused."""

from __future__ import annotations

import ast
import math

import numpy as np

from runvet.checkpoints.content import Content, Piece, Store, contiguous
from runvet.checkpoints.model import Role, Tensor
from runvet.checkpoints.names import role_of_key
from runvet.checkpoints.problems import Damaged
from runvet.checkpoints.window import Window
from runvet.checkpoints.zipdir import Member, Zip

HEADER_LIMIT = 65_536
_MAGIC = b"\x93NUMPY"


def read_npy(window: Window, content: Content, role: Role | None, name: str = "array") -> None:
    """List one array. Raises Damaged."""
    kind, shape, fortran, start = _header(window.head(12 + HEADER_LIMIT))
    _add(
        name,
        kind,
        shape,
        fortran,
        Store((window.start,), window.size - start, lambda: window.part(start, window.size - start)),
        content,
        role,
    )


def read_npz(archive: Zip, content: Content, role: Role | None) -> None:
    """List every array of a zip of npy members; the damaged ones become problems."""
    for warning in archive.warnings:
        content.damaged(warning)
    for member in archive.members.values():
        if not member.name.endswith(".npy"):
            continue
        name = member.name.removesuffix(".npy").replace("/", ".")
        try:
            kind, shape, fortran, start = _header(_head(archive, member))
            size = member.size - start
            _add(
                name,
                kind,
                shape,
                fortran,
                _store(archive, member, start),
                content,
                role_of_key(name.partition(".")[0]) or role,
                size,
            )
        except Damaged as error:
            content.damaged(f"{name[:80]!r}: {error}")


def _head(archive: Zip, member: Member) -> bytes:
    if member.method:
        return next(archive.inflated(member, 12 + HEADER_LIMIT), b"")
    return archive.stored(member).head(12 + HEADER_LIMIT)


def _store(archive: Zip, member: Member, start: int) -> Store:
    def opened() -> Window:
        whole = archive.streamed(member)
        return whole.part(start, whole.size - start)

    return Store((member.offset,), member.size - start, opened)


def _header(head: bytes) -> tuple[np.dtype[np.void], tuple[int, ...], bool, int]:
    """Element type, shape, whether column by column, and where the values start. Raises Damaged."""
    if head[:6] != _MAGIC or len(head) < 12:
        raise Damaged("not an npy file" if head else "zero bytes")
    wide = head[6] >= 2
    length = int.from_bytes(head[8:12] if wide else head[8:10], "little")
    start = (12 if wide else 10) + length
    if length > HEADER_LIMIT or start > len(head):
        raise Damaged(f"cut off, or a header of {length:,} bytes")
    text = head[start - length : start].decode("latin-1").strip()
    if sum(text.count(c) for c in "([{") > 200:
        raise Damaged("the header is no description of an array")
    try:
        said = ast.literal_eval(text)
        kind, shape, fortran = np.dtype(said["descr"]), tuple(said["shape"]), bool(said["fortran_order"])
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError):
        raise Damaged("the header is no description of an array") from None
    if kind.hasobject:
        raise Damaged("an array of objects is a pickle, which is not read")
    if not all(type(n) is int and 0 <= n < 1 << 62 for n in shape) or len(shape) > 64:
        raise Damaged("a negative or absurd shape")
    return kind, shape, fortran, start


def _add(
    name: str,
    kind: np.dtype[np.void],
    shape: tuple[int, ...],
    fortran: bool,
    store: Store,
    content: Content,
    role: Role | None,
    size: int | None = None,
) -> None:
    size = store.size if size is None else size
    if math.prod(shape) * kind.itemsize > size:
        raise Damaged(f"needs {math.prod(shape) * kind.itemsize:,} bytes, there are {size:,}")
    label = kind.newbyteorder("=").name
    if kind.kind not in "fiubc" or label == "longdouble":  # text and records are listed, not counted as weights
        return
    store.big = kind.byteorder == ">"
    memory = tuple(reversed(shape)) if fortran else shape
    content.add(Tensor(name, shape, label, role or "model"), (Piece(store, label, 0, memory, contiguous(memory)),))
