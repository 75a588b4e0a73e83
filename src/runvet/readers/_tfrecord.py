"""The frames of a TFRecord file: length (u64), its checksum, the payload, the payload's checksum.

There are no blocks, so nothing can be found again behind a damaged length.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import IO

import numpy as np
import numpy.typing as npt

from runvet.readers._crc32c import crc32c, mask
from runvet.run import IntArray
from runvet.sink import Sink

BLOCK = 8 << 20  # bytes read at once
LARGEST = 256 << 20  # a longer record is skipped, unread
HEAD, TAIL = 12, 4  # bytes before and after a payload


@dataclass(frozen=True, slots=True)
class Frames:
    """Whole records in one buffer. `at` (n,) is where each begins, `length` (n,) its payload's bytes.

    The first one is record number `first` (from 1) of the file, and `buffer` begins at byte `offset` of it.
    """

    buffer: bytes
    at: IntArray
    length: IntArray
    first: int
    offset: int

    def payload(self, index: int) -> bytes:
        start = int(self.at[index]) + HEAD
        return self.buffer[start : start + int(self.length[index])]


@lru_cache(maxsize=65_536)
def length_crc(length: int) -> int:
    """The checksum that stands behind a length."""
    return mask(crc32c(struct.pack("<Q", length)))


def is_frame(head: bytes) -> bool:
    """Whether a file begins with a length and its right checksum."""
    if len(head) < HEAD:
        return False
    length, crc = struct.unpack_from("<QI", head)
    return bool(crc == length_crc(length))


def words(buffer: bytes) -> npt.NDArray[np.uint32]:
    """The little-endian u32 at every byte of a buffer, shape (bytes - 3,), without a copy."""
    words: npt.NDArray[np.uint32] = np.ndarray((max(len(buffer) - 3, 0),), np.dtype("<u4"), buffer, strides=(1,))
    return words


_ALIKE = 8  # records of one length in a row after which the next ones are looked at together


def frames(stream: IO[bytes], sink: Sink, *, first: int = 1, offset: int = 0) -> Iterator[Frames]:
    """All whole records, about `BLOCK` bytes at a time; the stream begins with record `first` at byte `offset`. A record cut off at the end of the file is not spoken of:
    that is how a growing file looks. Damaged lengths and oversized records are named in `sink`.
    """
    rest, wanted = b"", BLOCK
    while True:
        try:
            fresh = stream.read(max(wanted - len(rest), BLOCK))
        except (EOFError, OSError, ValueError) as error:
            sink.problem(f"packed data end early: {error}", offset=offset)
            fresh = b""
        buffer = rest + fresh
        at, length, end = _walk(buffer)
        good = _good_lengths(buffer, at, length)
        if good:
            yield Frames(buffer, at[:good], length[:good], first, offset)
        first += good
        if good < len(at) or (len(buffer) - end >= HEAD and not is_frame(buffer[end : end + HEAD])):
            _damaged(sink, first, offset + (int(at[good]) if good < len(at) else end))
            return
        if not fresh:
            return
        rest, offset, wanted = buffer[end:], offset + end, BLOCK
        if len(rest) >= HEAD:
            wanted = HEAD + TAIL + struct.unpack_from("<Q", rest)[0]
        if wanted > LARGEST:
            if not _skip(stream, wanted - len(rest)):
                return
            sink.problem(f"record {first} of {wanted:,} bytes is too large to read; skipped", line=first, offset=offset)
            rest, first, offset, wanted = b"", first + 1, offset + wanted, BLOCK


def _walk(buffer: bytes) -> tuple[IntArray, IntArray, int]:
    """Where each whole record begins, its payload's length, and the position behind the last one."""
    unpack = struct.Struct("<Q").unpack_from
    pieces: list[IntArray] = []
    starts: list[int] = []
    add = starts.append
    at, last, former, alike = 0, len(buffer) - HEAD - TAIL, -1, 0
    while at <= last:
        size = unpack(buffer, at)[0] + HEAD + TAIL
        after = at + size
        if after > last + HEAD + TAIL:
            break
        add(at)
        at = after
        alike = alike + 1 if size == former else 0
        former = size
        if alike >= _ALIKE:  # records of one length mostly come in long runs
            more = _run(buffer, at, size, last)
            pieces += [np.array(starts, np.int64), more]
            starts.clear()
            at, alike = at + size * len(more), 0
    begin = np.concatenate([*pieces, np.array(starts, np.int64)])
    return begin, np.diff(begin, append=at) - (HEAD + TAIL), at


def _run(buffer: bytes, at: int, size: int, last: int) -> IntArray:
    """Where the records of one size begin that follow one another from `at` on, whole ones only."""
    room = max((last + HEAD + TAIL - at) // size, 0)
    lengths = np.ndarray((room,), np.dtype("<u8"), buffer, at if room else 0, (size,))
    other = np.flatnonzero(lengths[:1_024] != size - HEAD - TAIL)
    if not len(other):
        other = np.flatnonzero(lengths != size - HEAD - TAIL)
    count = int(other[0]) if len(other) else room
    return at + size * np.arange(count, dtype=np.int64)


def _good_lengths(buffer: bytes, at: IntArray, length: IntArray) -> int:
    """How many records from the first on have a length that agrees with its checksum."""
    if not len(at):
        return 0
    kinds, which = np.unique(length, return_inverse=True)
    right = np.array([length_crc(int(kind)) for kind in kinds], np.uint32)[which]
    wrong = np.flatnonzero(words(buffer)[at + 8] != right)
    return int(wrong[0]) if len(wrong) else len(at)


def _skip(stream: IO[bytes], count: int) -> bool:
    """Read past `count` bytes; False where the file ends before."""
    while count > 0:
        got = len(stream.read(min(count, BLOCK)))
        if not got:
            return False
        count -= got
    return True


def _damaged(sink: Sink, record: int, offset: int) -> None:
    sink.problem(
        f"the length of record {record} does not match its checksum: the rest of the file cannot be resynchronised",
        line=record,
        offset=offset,
        remedy="copy the file again from where it was written; everything before this record is read",
    )
