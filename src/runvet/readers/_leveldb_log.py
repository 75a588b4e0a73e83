"""The LevelDB log framing that W&B and SwanLab write: blocks of 32 KiB, records split into checked pieces.

Both use zlib's CRC-32 over the type byte and the data, where LevelDB itself uses a masked CRC-32C. After damage
reading goes on at the next block.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from itertools import pairwise, repeat
from typing import IO

import numpy as np

from runvet.sink import Sink

BLOCK = 32_768
HEADER = 7  # of the file and of every piece
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
NAMED = 5  # damaged places named one by one
LARGEST = 256 << 20  # bytes of one record put together from pieces
_SEED = zlib.crc32(bytes([FULL]))  # the checksum is taken over the type byte, too


def header(ident: bytes, magic: int) -> bytes:
    """The first six bytes of a file; the seventh is a version."""
    return struct.pack("<4sH", ident, magic)


def records(
    stream: IO[bytes], sink: Sink, *, begin: int = HEADER, checksum: Callable[[bytes], int] = zlib.crc32
) -> Iterator[bytes]:
    """Every whole record behind the `begin` bytes of the file's header (see `batches`)."""
    for batch in batches(stream, sink, begin=begin, checksum=checksum):
        yield from batch


def batches(
    stream: IO[bytes],
    sink: Sink,
    *,
    begin: int = HEADER,
    checksum: Callable[[bytes], int] = zlib.crc32,
    start: int = 0,
) -> Iterator[list[bytes]]:
    """The whole records behind the `begin` bytes of the file's header, those that end in one block together.

    The stream starts at the offset `start` of the file, with a block, of which `begin` bytes are passed over.

    A record cut off at the end of the file is not spoken of: writers keep back up to a block. Damage is named in
    `sink` with its offset; reading goes on at the next block. `checksum` is taken over type byte and data.
    """
    pieces: list[bytes] = []
    size = bad = 0
    offset = start
    last = False
    unpack = struct.Struct("<IHB").unpack_from
    while not last:
        block, last = _block(stream, sink, offset)
        at, end = begin if offset == start else 0, len(block)
        whole: list[bytes] = []
        together = checksum is zlib.crc32
        while at + HEADER <= end:
            if together and block[at + 6] == FULL:
                together = False
                whole_ones, at = _full(block, at)
                whole += whole_ones
                if whole_ones:
                    pieces, size = [], 0
                    continue
            crc, length, kind = unpack(block, at)
            stop = at + HEADER + length
            if not (kind or length or crc) and (last or not block[at:].strip(b"\0")):
                break  # zeros: space set aside, or the padding of a block
            if stop > end and last:
                break  # cut off: the normal end of a killed run or a growing file
            if stop > end or not FULL <= kind <= LAST or checksum(block[at + 6 : stop]) != crc:
                bad += 1
                if bad <= NAMED:
                    _damaged(sink, offset + at)
                pieces, size = [], 0
                break
            data = block[at + HEADER : stop]
            at = stop
            if kind == FULL:
                pieces, size = [], 0
                whole.append(data)
            elif kind == FIRST:
                pieces, size = [data], length
            elif pieces:
                pieces.append(data)
                size += length
                if size > LARGEST:
                    sink.problem(f"a record of more than {LARGEST:,} bytes is skipped", offset=offset + at)
                    pieces = []
                elif kind == LAST:
                    whole.append(b"".join(pieces))
                    pieces = []
        offset += end
        yield whole
    if bad > NAMED:
        sink.problem(f"{bad - NAMED} further damaged blocks")


def _full(block: bytes, at: int) -> tuple[list[bytes], int]:
    """The records from `at` on that are in one piece, up to the first that is not or is damaged, and where that begins."""
    first, end, last = at, len(block), len(block) - HEADER
    starts: list[int] = []
    keep = starts.append
    while at <= last:
        keep(at)
        at += HEADER + block[at + 4] + (block[at + 5] << 8)
    if at > end:
        at = starts.pop()
    if not starts:
        return [], first
    whole = [block[begin + HEADER : stop] for begin, stop in pairwise((*starts, at))]
    where = np.array(starts)
    stored = np.ndarray(end - 3, "<u4", block, strides=(1,))[where]
    own = np.fromiter(map(zlib.crc32, whole, repeat(_SEED)), np.uint32, len(whole))
    fine = (own == stored) & (np.frombuffer(block, np.uint8)[where + 6] == FULL)
    if fine.all():
        return whole, at
    count = int(fine.argmin())
    return whole[:count], starts[count]


def _block(stream: IO[bytes], sink: Sink, offset: int) -> tuple[bytes, bool]:
    """The next block and whether it is the last one: shorter than a whole block, or nothing."""
    try:
        block = stream.read(BLOCK)
    except (EOFError, OSError, ValueError) as error:
        sink.problem(f"packed data end early: {error}", offset=offset)
        block = b""
    return block, len(block) < BLOCK


def _damaged(sink: Sink, offset: int) -> None:
    sink.problem(
        f"a record at byte {offset} does not match its checksum; reading goes on at the next block of {BLOCK:,} bytes",
        offset=offset,
    )
