"""A range of a file, read by position. Never mapped into memory: a file cut off meanwhile must not kill the process."""

from __future__ import annotations

import io
import os
from typing import Any, Protocol

from runvet.checkpoints.places import Place, RemotePath
from runvet.checkpoints.problems import Damaged


class Readable(Protocol):
    """What a window reads from: an unbuffered local file, bytes in memory, or a remote file with ranged reads."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to a position."""
        ...

    def readinto(self, buffer: Any, /) -> int | None:
        """Fill as much of the buffer as one read gives."""
        ...

    def close(self) -> None:
        """Give the file back."""
        ...


class Window:
    """`size` bytes of a file from `start` on. Offsets are relative to the window; reads never leave it."""

    __slots__ = ("_stream", "size", "start")

    def __init__(self, stream: Readable, start: int, size: int) -> None:
        self._stream, self.start, self.size = stream, start, size

    @staticmethod
    def of(path: Place) -> Window:
        """A whole file. Raises OSError."""
        if isinstance(path, RemotePath):
            return Window(path.open(), 0, path.stat().st_size)
        stream = path.open("rb", buffering=0)
        return Window(stream, 0, os.fstat(stream.fileno()).st_size)

    @staticmethod
    def memory(data: bytes) -> Window:
        """Bytes that are in memory already."""
        return Window(io.BytesIO(data), 0, len(data))

    def part(self, offset: int, length: int) -> Window:
        """A range within this one. Raises Damaged where it would leave it."""
        if offset < 0 or length < 0 or offset + length > self.size:
            raise Damaged(f"a range of {length:,} bytes at {offset:,} lies outside the {self.size:,} bytes there are")
        return Window(self._stream, self.start + offset, length)

    def fill(self, offset: int, buffer: memoryview) -> None:
        """Read len(buffer) bytes at an offset. Raises Damaged where the data end early."""
        if offset < 0 or offset + len(buffer) > self.size:
            raise Damaged(f"cut off: {len(buffer):,} bytes wanted at {offset:,} of {self.size:,}")
        self._stream.seek(self.start + offset)
        done = 0
        while done < len(buffer):
            got = self._stream.readinto(buffer[done:])
            if not got:
                raise Damaged(f"cut off while it was read, at byte {self.start + offset + done:,}")
            done += got

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes at an offset. Raises Damaged where the data end early, before allocating."""
        if offset < 0 or length < 0 or offset + length > self.size:
            raise Damaged(f"cut off: {length:,} bytes wanted at {offset:,} of {self.size:,}")
        data = bytearray(length)
        self.fill(offset, memoryview(data))
        return bytes(data)

    def head(self, length: int) -> bytes:
        """The first bytes, fewer where there are fewer."""
        return self.read(0, min(length, self.size))

    def close(self) -> None:
        """Close the file below; every window of it ends."""
        self._stream.close()
