"""npy and npz files: numeric arrays read within a size bound; arrays of objects are pickles and stay unread."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from runvet.artifacts.model import Array, Contents, UnreadableError
from runvet.artifacts.opening import start_of
from runvet.artifacts.zipped import members

LIMIT = 128 << 20  # bytes of one array, and of all arrays of one file
MEMBERS = 10_000
SMALL = 8 << 20  # bytes of a file that is read at once
HEADER = 10_000  # bytes of the longest header of an array
Shapes = Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]]
_DAMAGE = (OSError, ValueError, EOFError, KeyError, IndexError, SyntaxError, TypeError, MemoryError, OverflowError,
           RecursionError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error)  # fmt: skip


def header(stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether column by column, and element type of an npy stream, which is left at the first value.

    Raises UnreadableError for objects (pickles), absurd shapes and damage.
    """
    try:
        version = npy.read_magic(stream)
        length = stream.read(2 if version == (1, 0) else 4)
        size = int.from_bytes(length, "little")
        if size > HEADER:
            raise UnreadableError(f"a header of {size:,} bytes")
        shape, fortran, kind = _parsed(version, length + stream.read(size))
    except _DAMAGE as error:
        raise UnreadableError(f"no npy header: {str(error)[:100] or type(error).__name__}") from None
    if kind.hasobject:
        raise UnreadableError("an array of objects is a pickle, which is not read", "save plain numbers")
    if len(shape) > 32 or any(not isinstance(n, int) or n < 0 for n in shape):
        raise UnreadableError("a negative or absurd shape")
    return tuple(shape), bool(fortran), kind


@lru_cache(maxsize=256)
def _parsed(version: tuple[int, int], raw: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """What a header says; the files of one data set share few of them, and parsing costs more than reading."""
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    found: tuple[tuple[int, ...], bool, np.dtype[Any]] = read(io.BytesIO(raw), max_header_size=HEADER)
    return found


def values(stream: BinaryIO, limit: int = LIMIT) -> Array:
    """The array of an npy stream. Raises UnreadableError where it is larger than `limit` bytes, or cut off."""
    shape, fortran, kind = header(stream)
    need = math.prod(shape) * kind.itemsize
    if need > limit:
        raise UnreadableError(f"{need:,} bytes, more than the {limit:,} that are read")
    try:
        data = bytearray()
        while len(data) < need:  # in blocks: a stream that ends early never costs what its header promises
            block = stream.read(min(1 << 20, need - len(data)))
            if not block:
                raise UnreadableError(f"cut off: {len(data):,} of {need:,} bytes")
            data += block
        return np.frombuffer(bytes(data), kind).reshape(shape, order="F" if fortran else "C")
    except _DAMAGE as error:
        raise UnreadableError(f"damaged: {str(error)[:100]}") from None


def read_npy(path: Path) -> Contents:
    """The array of an npy file under the name `array`. Raises UnreadableError."""
    try:
        with path.open("rb") as stream:
            return Contents({"array": values(stream)})
    except OSError as error:
        raise UnreadableError(str(error)) from None


def read_npz(path: Path) -> Contents:
    """The readable arrays of an npz file; each other member is a problem. Raises UnreadableError where none is left."""
    small = _small(path)
    if small:
        return Contents(small)
    arrays: dict[str, Array] = {}
    problems: list[str] = []
    left = LIMIT
    for name, stream in _members(path, problems):
        array = _array(name, stream, left, problems)
        if array is not None:
            arrays[name] = array
            left -= array.nbytes
    if not arrays:
        raise UnreadableError("; ".join(problems[:3]) or "no array in it")
    return Contents(arrays, tuple(problems))


def _small(path: Path) -> dict[str, Array] | None:
    """The arrays of a small file in which nothing is wrong, in a third of the time; else None, and the long way tells."""
    data = start_of(path, SMALL)
    found = members(data, LIMIT) if len(data) <= SMALL else None
    try:
        return None if found is None else {n.removesuffix(".npy"): from_bytes(d) for n, d in found.items() if n.endswith(".npy")}  # fmt: skip
    except UnreadableError:
        return None


def _array(name: str, stream: BinaryIO, limit: int, problems: list[str]) -> Array | None:
    try:
        return values(stream, limit)
    except UnreadableError as error:
        problems.append(f"{name[:80]!r}: {error}")
        return None


def peek_npy(path: Path) -> Shapes:
    """Shape and type of an npy file, values unread. Raises UnreadableError."""
    try:
        with path.open("rb") as stream:
            shape, _, kind = header(stream)
    except OSError as error:
        raise UnreadableError(str(error)) from None
    return {"array": (shape, kind)}


def peek_npz(path: Path) -> Shapes:
    """Shapes and types of the readable members of an npz file. Raises UnreadableError."""
    out = {}
    for name, stream in _members(path, []):
        try:
            shape, _, kind = header(stream)
        except UnreadableError:
            continue
        out[name] = (shape, kind)
    return out


def _members(path: Path, problems: list[str]) -> Iterator[tuple[str, BinaryIO]]:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [e for e in archive.infolist() if e.filename.endswith(".npy")]
            if len(entries) > MEMBERS:
                problems.append(f"{len(entries):,} members, of which {MEMBERS:,} are read")
            for entry in entries[:MEMBERS]:
                name = entry.filename.removesuffix(".npy")
                if entry.flag_bits & 1:
                    problems.append(f"{name[:80]!r}: encrypted")
                    continue
                try:
                    stream = archive.open(entry)
                except _DAMAGE as error:
                    problems.append(f"{name[:80]!r}: {str(error)[:100]}")
                    continue
                with stream:
                    yield name, stream  # type: ignore[misc]  # a ZipExtFile reads as a binary file does
    except _DAMAGE as error:
        raise UnreadableError(f"no readable zip archive: {str(error)[:100]}") from None


def from_bytes(data: bytes) -> Array:
    """The array of npy bytes, which shares their memory. Raises UnreadableError."""
    stream = io.BytesIO(data)
    shape, fortran, kind = header(stream)
    at, need = stream.tell(), math.prod(shape) * kind.itemsize
    if need > len(data) - at:
        raise UnreadableError(f"cut off: {len(data) - at:,} of {need:,} bytes")
    try:
        return np.frombuffer(data, kind, math.prod(shape), at).reshape(shape, order="F" if fortran else "C")
    except _DAMAGE as error:
        raise UnreadableError(f"damaged: {str(error)[:100]}") from None
