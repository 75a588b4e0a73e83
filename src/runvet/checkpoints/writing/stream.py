"""A file that torch writes into, while a second thread reads it back, hashes it and compares it with memory."""

from __future__ import annotations

import bisect
import contextlib
import hashlib
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from runvet.checkpoints.writing.atomic import write_all

BLOCK = 4 << 20  # bytes that are read back at once: few exchanges with the thread that writes
BEHIND = 8 * BLOCK  # bytes to catch up on from which the second thread only hashes: comparing can be shared, that can't


class HashedFile:
    """A new file, written front to back. `size` is in bytes; the SHA-256 of `hashed` is of what was read back.

    `storages` maps addresses of memory to bytes: what is written from there is compared with it when it is read back, as
    far as time permits; see `same`. That memory must not change, nor go, while the file is open. Without `reading`
    nothing is read back, `hashed` is empty, and nothing is the `same`.

    Used as a context: an error inside leaves the file closed and unfinished, for the caller to remove.
    """

    def __init__(self, path: Path, storages: Mapping[int, int] | None = None, *, reading: bool = True) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        self.size = 0
        self._storages = storages or {}
        self._sources: list[tuple[int, npt.NDArray[np.uint8]]] = []  # offset in the file, memory; front to back
        self._left: set[int] = set()  # numbers of sources that were not compared, or not found equal
        self._ended = False
        self._changed = threading.Condition()
        self._digest = hashlib.sha256()
        self._read = 0
        self._failed: OSError | None = None
        self._reader: threading.Thread | None = None
        if reading:
            self._reader = threading.Thread(target=self._follow, args=(path,), name="runvet-hash", daemon=True)
            self._reader.start()

    def write(self, data: bytes | memoryview) -> int:
        """Append. Raises OSError."""
        view = memoryview(data).cast("B")
        source = np.frombuffer(view, np.uint8)
        if len(source) and self._storages.get(source.ctypes.data, 0) >= len(source):
            self._sources.append((self.size, source))
        write_all(self._handle, view)
        with self._changed:
            self.size += len(view)
            self._changed.notify()
        return len(view)

    def flush(self) -> None:
        """Nothing is held back."""

    def sync(self) -> None:
        """Force everything onto the disk. Raises OSError."""
        os.fsync(self._handle)

    def hashed(self) -> str:
        """Wait until all is read back; 64 hex digits. Raises OSError, also where less can be read than was written."""
        self.end()
        if self._reader is None:
            return ""
        self._reader.join()
        if self._failed is not None:
            raise self._failed
        if self._read != self.size:
            raise OSError(f"{self._read:,} of {self.size:,} bytes could be read back")
        return self._digest.hexdigest()

    def end(self) -> None:
        """Nothing more is written: the second thread only hashes from now on."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def same(self, offset: int, memory: npt.NDArray[Any]) -> bool:
        """Whether the bytes at an offset were written from just this memory, and have been read back and found equal."""
        number = bisect.bisect_right(self._sources, offset, key=_start) - 1
        if number < 0:
            return False
        start, source = self._sources[number]
        stop = start + len(source)
        known = stop <= self._read and number not in self._left
        return known and offset + memory.nbytes <= stop and source.ctypes.data + offset - start == memory.ctypes.data

    def close(self) -> None:
        """Give the file back."""
        self.end()
        if self._reader is not None:
            self._reader.join()
        with contextlib.suppress(OSError):
            os.close(self._handle)

    def __enter__(self) -> HashedFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _follow(self, path: Path) -> None:
        buffer = np.empty(BLOCK, np.uint8)
        try:
            with path.open("rb", buffering=0) as file:
                while True:
                    with self._changed:
                        self._changed.wait_for(lambda: self._ended or self.size - self._read >= BLOCK)
                        if self._read >= self.size:
                            return
                    count = file.readinto(buffer.data)
                    if not count:
                        return
                    self._digest.update(buffer[:count].data)
                    self._compare(buffer[:count], busy=self._ended or self.size - self._read > BEHIND)
                    self._read += count
        except OSError as error:
            self._failed = error

    def _compare(self, block: npt.NDArray[np.uint8], *, busy: bool) -> None:
        """Compare a block that was read back with the memory that it was written from, where that is known."""
        end = self._read + len(block)
        first = max(0, bisect.bisect_right(self._sources, self._read, key=_start) - 1)
        for number in range(first, bisect.bisect_left(self._sources, end, key=_start)):
            start, source = self._sources[number]
            begin, stop = max(start, self._read), min(start + len(source), end)
            if begin < stop and number not in self._left:
                read, written = block[begin - self._read : stop - self._read], source[begin - start : stop - start]
                if busy or not equal(read, written):
                    self._left.add(number)


def _start(source: tuple[int, npt.NDArray[np.uint8]]) -> int:
    return source[0]


def equal(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> bool:
    """Whether two arrays of the same number of bytes are equal; as 64-bit words, and then the bytes that are left."""
    whole = len(first) // 8 * 8
    return bool(
        np.array_equal(first[:whole].view(np.uint64), second[:whole].view(np.uint64))
        and np.array_equal(first[whole:], second[whole:])
    )
