"""Where a run lies: on this machine, or behind a URL that fsspec reads (`s3://`, `gs://`, `hf://`, `https://`, …).

A `RemotePath` is the small part of `pathlib.Path` that the readers use. Files are read by ranges, never as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from runvet.secrets import mask

_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*(?:::[A-Za-z][A-Za-z0-9+.-]*)*://")
_PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "hf": "huggingface_hub", "az": "adlfs", "abfs": "adlfs",
             "abfss": "adlfs", "http": "aiohttp", "https": "aiohttp", "sftp": "paramiko", "ssh": "paramiko", "oci": "ocifs"}  # fmt: skip
_TIMES = ("mtime", "LastModified", "last_modified", "last_commit", "updated", "created")
LEAST = 1 << 14  # bytes of one request: neighbouring headers come along
MOST = 8 << 20  # bytes fetched ahead while values are read in order


class RemoteError(OSError):
    """A remote place that cannot be read: a package is missing, or the store refuses. The message says what to do."""


class Stat(NamedTuple):
    """Size in bytes and time of the last change in unix seconds (0.0 where the store does not tell)."""

    st_size: int
    st_mtime: float


@dataclass(frozen=True, slots=True, repr=False)
class RemotePath:
    """A file or folder behind a URL; `known` is what a listing said of it, so that it is not asked again."""

    url: str
    known: Stat | None = None
    folder: bool | None = None

    def __str__(self) -> str:
        """The URL as it may be shown: without user and password, and without the query of a signed one."""
        return re.sub(r"(?<=://)[^/@]*@", "", re.split(r"[?#]", self.url)[0])

    __repr__ = __str__

    def __truediv__(self, name: str) -> RemotePath:
        return RemotePath(f"{self.url.rstrip('/')}/{name}")

    @property
    def name(self) -> str:
        """The last part of the path, without the query of a signed URL."""
        return re.split(r"[?#]", self.url.split("://", 1)[-1])[0].rstrip("/").rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """The suffix of the name, with its dot."""
        return Path(self.name).suffix

    @property
    def parent(self) -> RemotePath:
        """The folder above."""
        return RemotePath(self.url.rstrip("/").rpartition("/")[0])

    def absolute(self) -> RemotePath:
        """Itself: a URL is absolute."""
        return self

    def exists(self) -> bool:
        """Whether there is something. Raises RemoteError where the store cannot be asked."""
        try:
            self._info()
        except FileNotFoundError:
            return False
        return True

    def is_dir(self) -> bool:
        """Whether it is a folder."""
        if self.folder is not None:
            return self.folder
        return self.exists() and self._info().get("type") == "directory"

    def is_file(self) -> bool:
        """Whether it is a file."""
        return self.known is not None or (self.exists() and not self.is_dir())

    def stat(self) -> Stat:
        """Size and time. Raises RemoteError, FileNotFoundError."""
        return self.known or _stat(self._info())

    def iterdir(self) -> Iterator[RemotePath]:
        """The files and folders directly in a folder."""
        system, path = _system(self.url)
        for entry in _asked(lambda: system.ls(path, detail=True)):
            name = str(entry["name"]).rstrip("/").rpartition("/")[2]
            inside = entry.get("type") == "directory"
            if name and name != self.name:
                yield RemotePath((self / name).url, None if inside else _stat(entry), inside)

    def find(self) -> Iterator[tuple[str, Stat]]:
        """Every file below, by its path relative to this folder, in one listing."""
        system, path = _system(self.url)
        base = path.rstrip("/") + "/"
        for name, entry in _asked(lambda: system.find(path, detail=True)).items():
            text = str(name)
            relative = text[len(base) :] if text.startswith(base) else text.lstrip("/").removeprefix(base.lstrip("/"))
            if relative and ".." not in relative.split("/"):
                yield relative, _stat(entry)

    def read_bytes(self) -> bytes:
        """All of a small file."""
        with self.open() as stream:
            data = bytearray(self.stat().st_size)
            done, view = 0, memoryview(data)
            while done < len(data) and (got := stream.readinto(view[done:])):
                done += got
        return bytes(data[:done])

    def open(self) -> RangeStream:
        """The file for reading by position."""
        return RangeStream(self.url, self.stat().st_size)

    def _info(self) -> dict[str, Any]:
        system, path = _system(self.url)
        found: dict[str, Any] = _asked(lambda: system.info(path))
        return found


Place: TypeAlias = "Path | RemotePath"


class RangeStream:
    """A remote file, a range at a time. Reads in order fetch ever longer ranges, others as little as they need."""

    def __init__(self, url: str, size: int) -> None:
        self._system, self._path = _system(url)
        self._size, self._at, self._start, self._block, self._ahead = size, 0, 0, b"", LEAST

    def __enter__(self) -> RangeStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to a byte from the start."""
        del whence
        self._at = offset
        return offset

    def readinto(self, buffer: Any, /) -> int:
        """Some bytes from here; 0 at the end. Raises RemoteError."""
        inside = self._at - self._start
        if not 0 <= inside < len(self._block):
            if self._at >= self._size:
                return 0
            in_order = self._block and self._at == self._start + len(self._block)
            self._ahead = min(MOST, 4 * self._ahead) if in_order else LEAST
            end = min(self._size, self._at + max(len(buffer), self._ahead))
            self._block, self._start = _asked(lambda: self._system.cat_file(self._path, self._at, end)), self._at
            inside = 0
        part = self._block[inside : inside + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def close(self) -> None:
        """Let go of what was fetched."""
        self._block = b""


def is_url(path: str) -> bool:
    """Whether a path is a URL (or a chain of them) and no path of this machine."""
    return _URL.match(path) is not None


def place(path: str | PathLike[str] | Place) -> Place:
    """A path as it is read: a URL through fsspec, anything else on this machine."""
    if isinstance(path, RemotePath):
        return path
    return RemotePath(path) if isinstance(path, str) and is_url(path) else Path(path)


@lru_cache(64)
def _system(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path within it. Raises RemoteError naming the package that is missing."""
    protocol = url.split("://", 1)[0].rsplit("::", 1)[0].split("::", maxsplit=1)[0].lower()
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise RemoteError("remote paths need the extra: pip install 'runvet[remote]'") from None
    try:
        system, path = url_to_fs(url)
    except ImportError:
        package = _PACKAGES.get(protocol)
        needs = (
            f"{package}: pip install {package}"
            if package
            else "a package of their own (see the documentation of fsspec)"
        )
        raise RemoteError(f"{protocol}:// paths need {needs}") from None
    except Exception as error:  # each store has errors of its own
        raise RemoteError(
            f"{protocol}:// cannot be read: {type(error).__name__}: {mask(str(error)[:200])[0]}"
        ) from None
    return system, str(path)


def _asked(ask: Any) -> Any:
    """What a store answers; its own kinds of errors become one. Raises FileNotFoundError, RemoteError."""
    try:
        return ask()
    except (FileNotFoundError, MemoryError, RemoteError):
        raise
    except Exception as error:  # each store has errors of its own
        raise RemoteError(f"the store says {type(error).__name__}: {mask(str(error)[:200])[0]}") from None


def _stat(entry: dict[str, Any]) -> Stat:
    modified = 0.0
    for key in _TIMES:
        value = entry.get(key)
        if value is not None and not isinstance(value, (datetime, int, float, str)):
            value = getattr(value, "date", None)  # the last commit of a Hugging Face repository
        if isinstance(value, datetime):
            modified = value.timestamp()
        elif isinstance(value, (int, float)):
            modified = float(value)
        if modified:
            break
    return Stat(int(entry.get("size") or 0), modified)
