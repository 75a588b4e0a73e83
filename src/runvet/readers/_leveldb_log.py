"""The LevelDB log framing that W&B and SwanLab write: blocks of 32 KiB, records split into checked pieces.

Both use zlib's CRC-32 over the type byte and the data, where LevelDB itself uses a masked CRC-32C. After damage
reading goes on at the next block.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import IO

from runvet.sink import Sink

BLOCK = 32_768
HEADER = 7  # of the file and of every piece
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
NAMED = 5  # damaged places named one by one
LARGEST = 256 << 20  # bytes of one record put together from pieces


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
    stream: IO[bytes], sink: Sink, *, begin: int = HEADER, checksum: Callable[[bytes], int] = zlib.crc32
) -> Iterator[list[bytes]]:
    """The whole records behind the `begin` bytes of the file's header, those that end in one block together.

    A record cut off at the end of the file is not spoken of: writers keep back up to a block. Damage is named in
    `sink` with its offset; reading goes on at the next block. `checksum` is taken over type byte and data.
    """
    pieces: list[bytes] = []
    size = bad = offset = 0
    last = False
    unpack = struct.Struct("<IHB").unpack_from
    while not last:
        block, last = _block(stream, sink, offset)
        at, end = begin if not offset else 0, len(block)
        whole: list[bytes] = []
        while at + HEADER <= end:
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
