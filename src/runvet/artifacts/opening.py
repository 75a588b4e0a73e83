"""The bytes of a file, bounded; every error has one type."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from runvet.artifacts.model import UnreadableError


def start_of(path: Path, limit: int) -> bytes:
    """The first `limit` + 1 bytes of a file (one more tells that it is longer). Raises UnreadableError.

    A pipe or a device that stands among the files is refused: reading it could wait for ever.
    """
    try:
        with open(path, "rb", buffering=0, opener=_at_once) as stream:
            about = os.fstat(stream.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise UnreadableError("no regular file")
            # Asking for much more than there is would set that memory aside first.
            data = stream.read(min(about.st_size, limit) + 1) or b""
            # Only a file that grew meanwhile gives the one byte more than it had.
            while about.st_size < len(data) <= limit and (more := stream.read(min(1 << 20, limit + 1 - len(data)))):
                data += more
            return data
    except OSError as error:
        raise UnreadableError(str(error)) from None


def _at_once(path: str, flags: int) -> int:
    """Opening a pipe waits for its other end unless told otherwise."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
