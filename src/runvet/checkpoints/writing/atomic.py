"""Files and folders that appear whole or not at all: written under a temporary name, synced, renamed, synced again.

Temporary names begin with a dot and hold `.runvet-`: `.NAME.runvet-new-PID-XXXX` is unfinished, `.NAME.runvet-old-…` is
what a replacement of the same name set aside for the moment between two renames.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import secrets
import shutil
import time
from pathlib import Path

_TEMPORARY = re.compile(r"^\.(?P<name>.+)\.runvet-(?P<kind>new|old)-(?P<host>[\w-]*)-(?P<pid>\d+)-[0-9a-f]{8}$")
STALE = 24 * 3600.0  # seconds after which an unfinished file of another machine is taken for abandoned


def temporary(final: Path, kind: str = "new") -> Path:
    """A fresh temporary name in the folder of `final`."""
    return final.with_name(f".{final.name}.runvet-{kind}-{_host()}-{os.getpid()}-{secrets.token_hex(4)}")


def sync(path: Path) -> None:
    """Force a file or folder onto the disk. Raises OSError; folders of systems without that notion are left out."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except PermissionError:
        if os.name == "nt" and path.is_dir():
            return
        raise
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def commit_file(made: Path, final: Path) -> None:
    """Make a synced temporary file visible under its name, in place of what was there. Raises OSError."""
    os.replace(made, final)
    sync(final.parent)


def commit_folder(made: Path, final: Path) -> None:
    """Make a folder of synced files visible under its name. Raises OSError, and then the former one is back.

    A folder can't be replaced in one step: the former one is set aside first. A crash between the two renames is
    repaired by `clean`.
    """
    sync(made)
    aside: Path | None = None
    if final.exists():
        aside = temporary(final, "old")
        os.rename(final, aside)
    try:
        os.rename(made, final)
    except OSError:
        if aside is not None:
            os.rename(aside, final)
        raise
    sync(final.parent)
    if aside is not None:
        remove(aside)


def write(final: Path, data: bytes) -> None:
    """A small file, atomically and synced. Raises OSError."""
    made = temporary(final)
    try:
        fill(made, data)
        commit_file(made, final)
    except BaseException:
        remove(made)
        raise


def fill(path: Path, data: bytes) -> None:
    """Write a new file and sync it. Raises OSError."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        write_all(handle, memoryview(data))
        os.fsync(handle)
    finally:
        os.close(handle)


def write_all(handle: int, data: memoryview) -> None:
    """Write every byte; the system may take fewer at once. Raises OSError."""
    done = 0
    while done < len(data):
        done += os.write(handle, data[done : done + (64 << 20)])


def remove(path: Path) -> None:
    """Delete a file or folder if it is there. Never raises: what stays is cleaned at the next start.

    A folder first gets a temporary name, so that a half-deleted one is never taken for a checkpoint.
    """
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            if not _TEMPORARY.match(path.name):
                hidden = temporary(path)
                os.rename(path, hidden)
                path = hidden
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def clean(folder: Path, *, name: str | None = None, own: bool = False) -> list[Path]:
    """Delete what dead writers left in a folder, and give back what they had set aside. The paths that are gone.

    Files of a process that still runs, or of another machine, are left alone for a day. `own`: this process has no
    save in flight, so that files under its number are those of a dead one (in containers every restart has the same).
    `name` cleans up after the writers of this one only.
    """
    gone = []
    with contextlib.suppress(OSError):
        for path in sorted(folder.iterdir()):
            match = _TEMPORARY.match(path.name)
            if match is None or (name is not None and match["name"] != name) or not _dead(path, match, own=own):
                continue
            final = folder / match["name"]
            if match["kind"] == "old" and not final.exists():
                with contextlib.suppress(OSError):
                    os.rename(path, final)
                    sync(folder)
                    continue
            remove(path)
            gone.append(path)
    return gone


def _dead(path: Path, match: re.Match[str], *, own: bool) -> bool:
    pid = int(match["pid"])
    if match["host"] == _host() and os.name != "nt":  # on Windows, asking for a process by signal would end it
        if pid == os.getpid():
            return own
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            pass
    # Another machine's, or a number that may have been given to another process since: only age can tell.
    try:
        return time.time() - path.stat().st_mtime > STALE
    except OSError:
        return False


def _host() -> str:
    return re.sub(r"[^\w-]", "-", platform.node()) or "host"
