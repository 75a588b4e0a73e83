"""A file that torch writes into, and a second thread that reads it back and hashes it meanwhile."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from pathlib import Path
from types import TracebackType

from runvet.checkpoints.writing.atomic import write_all

BLOCK = 4 << 20  # bytes that are read back at once: few exchanges with the thread that writes


class HashedFile:
    """A new file, written front to back. `size` is in bytes; the SHA-256 of `hashed` is of what was read back.

    Used as a context: an error inside leaves the file closed and unfinished, for the caller to remove.
    """

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        self.size = 0
        self._ended = False
        self._changed = threading.Condition()
        self._digest = hashlib.sha256()
        self._read = 0
        self._failed: OSError | None = None
        self._reader = threading.Thread(target=self._follow, args=(path,), name="runvet-hash", daemon=True)
        self._reader.start()

    def write(self, data: bytes | memoryview) -> int:
        """Append. Raises OSError."""
        view = memoryview(data).cast("B")
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
        self._end()
        if self._failed is not None:
            raise self._failed
        if self._read != self.size:
            raise OSError(f"{self._read:,} of {self.size:,} bytes could be read back")
        return self._digest.hexdigest()

    def close(self) -> None:
        """Give the file back."""
        self._end()
        with contextlib.suppress(OSError):
            os.close(self._handle)

    def __enter__(self) -> HashedFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._reader.join()

    def _follow(self, path: Path) -> None:
        buffer = memoryview(bytearray(BLOCK))
        try:
            with path.open("rb", buffering=0) as file:
                while True:
                    with self._changed:
                        self._changed.wait_for(lambda: self._ended or self.size - self._read >= BLOCK)
                        if self._read >= self.size:
                            return
                    count = file.readinto(buffer)
                    if not count:
                        return
                    self._digest.update(buffer[:count])
                    self._read += count
        except OSError as error:
            self._failed = error
