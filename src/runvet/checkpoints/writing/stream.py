"""A file that torch writes into: hashed while it is written, and sent to the disk meanwhile instead of at the end."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from pathlib import Path
from types import TracebackType

from runvet.checkpoints.writing.atomic import write_all

LARGE = 1 << 20  # bytes from which hashing beside writing is worth a second thread
AHEAD = 128 << 20  # bytes between two calls that start the disk


class HashedFile:
    """A new file, written front to back. After `close` it is synced, and `sha256` and `size` are of what was written.

    Used as a context: an error inside leaves the file closed and unfinished, for the caller to remove.
    """

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        self._digest = hashlib.sha256()
        self._started = 0
        self._flusher: threading.Thread | None = None
        self._failed: OSError | None = None
        self.size = 0

    @property
    def sha256(self) -> str:
        """64 hex digits of everything written so far."""
        return self._digest.hexdigest()

    def write(self, data: bytes | memoryview) -> int:
        """Append and hash. Raises OSError."""
        view = memoryview(data).cast("B")
        if len(view) >= LARGE:
            hashing = threading.Thread(target=self._digest.update, args=(view,))
            hashing.start()
            try:
                write_all(self._handle, view)
            finally:
                hashing.join()
        else:
            self._digest.update(view)
            write_all(self._handle, view)
        self.size += len(view)
        if self.size - self._started >= AHEAD:
            self._start_disk()
        return len(view)

    def flush(self) -> None:
        """Nothing is held back."""

    def sync(self) -> None:
        """Force everything onto the disk. Raises OSError."""
        if self._flusher is not None:
            self._flusher.join()
        if self._failed is not None:
            raise self._failed
        os.fsync(self._handle)

    def close(self) -> None:
        """Give the file back."""
        if self._flusher is not None:
            self._flusher.join()
        with contextlib.suppress(OSError):
            os.close(self._handle)

    def __enter__(self) -> HashedFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start_disk(self) -> None:
        """Let the disk begin with what is there, so that the sync at the end is short."""
        if self._flusher is not None and self._flusher.is_alive():
            return
        self._started = self.size
        self._flusher = threading.Thread(target=self._flush, daemon=True)
        self._flusher.start()

    def _flush(self) -> None:
        # The system reports a failed write to the disk once per handle: it must not be lost here.
        try:
            getattr(os, "fdatasync", os.fsync)(self._handle)
        except OSError as error:
            self._failed = error
