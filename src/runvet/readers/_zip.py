"""Members of zip archives from strangers, read without unpacking anything to disk."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO

from runvet.sink import Sink
from runvet.source import Source

DIRECTORY = 1 << 20  # bytes of a central directory: an experiment has a few members, not thousands
LARGEST = 4 << 30  # unpacked bytes of one member
RATIO = 400  # unpacked to packed bytes, from `SMALL` on; logs reach about 50
SMALL = 16 << 20
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, NotImplementedError)


def member_names(source: Source) -> frozenset[str]:
    """The members of a `.zip`; nothing for any other file or where the directory is damaged. Never raises."""
    if source.suffix != ".zip" or not source.head.startswith(b"PK\x03\x04"):
        return frozenset()
    return _names(source.path, source.modified, source.size)


@lru_cache(maxsize=64)
def _names(path: Path, _modified: float, size: int) -> frozenset[str]:
    try:
        with path.open("rb") as stream:
            stream.seek(max(size - 65_557, 0))
            tail = stream.read(65_557)
        end = tail.rfind(b"PK\x05\x06")
        if end < 0 or struct.unpack_from("<I", tail, end + 12)[0] > DIRECTORY:
            return frozenset()
        with zipfile.ZipFile(path) as archive:
            return frozenset(archive.namelist())
    except (*DAMAGE, struct.error):
        return frozenset()


@contextmanager
def member(source: Source, name: str, sink: Sink) -> Iterator[IO[bytes] | None]:
    """A member as a stream of its unpacked bytes; None where it is refused or can't be opened, which is named."""
    try:
        archive = zipfile.ZipFile(source.path)
    except DAMAGE as error:
        sink.problem(f"the archive is damaged: {error}")
        yield None
        return
    with archive:
        try:
            info = archive.getinfo(name)
            stream = archive.open(info)
        except (KeyError, *DAMAGE) as error:
            sink.problem(f"{name} in the archive can't be opened: {error}")
            yield None
            return
        large = info.file_size > LARGEST
        if large or (info.file_size > SMALL and info.file_size > RATIO * max(info.compress_size, 1)):
            sink.problem(f"{name} would unpack from {info.compress_size:,} to {info.file_size:,} bytes; not read")
            stream.close()
            yield None
            return
        with stream:
            yield _Lines(stream)  # type: ignore[misc]


def beginning(source: Source, name: str, sink: Sink, limit: int) -> bytes | None:
    """At most `limit` bytes of a member; None, and a problem, where it is missing or damaged: the others are read all the same."""
    with member(source, name, sink) as stream:
        if stream is None:
            return None
        try:
            return stream.read(limit)
        except ValueError as error:
            sink.problem(f"{name} in the archive is damaged: {error}")
            return None


class _Lines:
    """A stream whose every kind of damage is a ValueError."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def readline(self, limit: int = -1) -> bytes:
        try:
            return self._stream.readline(limit)
        except DAMAGE as error:
            raise ValueError(str(error)) from None

    def read(self, count: int = -1) -> bytes:
        try:
            return self._stream.read(count)
        except DAMAGE as error:
            raise ValueError(str(error)) from None
