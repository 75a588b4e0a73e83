"""Keras weights: HDF5 files, alone or inside a .keras zip. Needs the extra `hdf5`."""

from __future__ import annotations

import io
from typing import Any

from runvet.checkpoints.content import Content, Store
from runvet.checkpoints.hdf5_store import store_of
from runvet.checkpoints.model import Role, Tensor
from runvet.checkpoints.names import role_of_key
from runvet.checkpoints.problems import Damaged, Unread
from runvet.checkpoints.window import Window
from runvet.checkpoints.zipdir import Zip

MAGIC = b"\x89HDF\r\n\x1a\n"
UNPACK_LIMIT = 64 << 20
_KNOWN = {
    "float64",
    "float32",
    "float16",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint64",
    "uint32",
    "uint16",
    "uint8",
    "bool",
}


class WindowFile(io.RawIOBase):
    """A window as a seekable file, for libraries that read files."""

    def __init__(self, window: Window) -> None:
        super().__init__()
        self._window, self._at = window, 0

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """It can be moved in."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to a position from the start, from here, or from the end."""
        self._at = max(0, offset + (0, self._at, self._window.size)[whence])
        return self._at

    def tell(self) -> int:
        """The position in bytes."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as there are bytes."""
        length = max(0, min(len(buffer), self._window.size - self._at))
        if length:
            self._window.fill(self._at, memoryview(buffer)[:length])
        self._at += length
        return length


def read_keras_zip(archive: Zip, content: Content, role: Role | None) -> None:
    """A .keras file: a zip with model.weights.h5. Raises Damaged, Unread."""
    member = archive.members.get("model.weights.h5")
    if member is None:
        raise Damaged("a .keras file without model.weights.h5")
    read_hdf5(archive.open(member, UNPACK_LIMIT), content, role)


def read_hdf5(window: Window, content: Content, role: Role | None) -> None:
    """List every array of an HDF5 file that lies in the file itself. Raises Damaged, and Unread without the extra."""
    if window.head(8) != MAGIC:
        raise Damaged("zero bytes" if not window.size else "not an HDF5 file: its first bytes are wrong")
    try:
        import h5py
    except ImportError:
        raise Unread("HDF5 files need an extra: pip install 'runvet[hdf5]'") from None
    content.kind = content.kind or "keras"
    try:
        file = h5py.File(WindowFile(window), "r")
        _group(h5py, file, "", content, role, 0)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        if isinstance(error, (Damaged, Unread)):
            raise
        raise Damaged(f"HDF5: {str(error)[:160]}") from None
    content.root = "dict" if len(file) else "empty"


def _group(h5py: Any, group: Any, name: str, content: Content, role: Role | None, depth: int) -> None:
    """Hard links only: soft and external links may lead out of the file."""
    if depth > 64:
        content.damaged("groups nested more than 64 deep")
        return
    for key in group:
        if not isinstance(group.get(key, getlink=True), h5py.HardLink):
            continue
        child, path = group[key], f"{name}.{key}"[:400] if name else str(key)
        inner = (role_of_key(str(key)) or role) if depth == 0 else role
        if isinstance(child, h5py.Group):
            _group(h5py, child, path, content, inner, depth + 1)
        elif isinstance(child, h5py.Dataset):
            _dataset(child, path, content, inner)


def _dataset(data: Any, name: str, content: Content, role: Role | None) -> None:
    kind = data.dtype.name
    if data.is_virtual or data.external or kind not in _KNOWN:
        return
    shape = tuple(int(n) for n in data.shape or ())
    if (
        shape == ()
        and kind in ("int64", "int32", "uint64", "uint8")
        and ("iteration" in name or "learning_rate" in name)
    ):
        content.note(name, int(data[()]))
    store: Store | None = store_of(data, shape, kind)
    from runvet.checkpoints.content import Piece, contiguous

    pieces = (Piece(store, kind, 0, shape, contiguous(shape)),) if store else ()
    content.add(Tensor(name, shape, kind, role or "model"), pieces)
