"""Reading a LevelDB log (W&B) on where it ended: whole records as they come, from the block of the first unfinished one."""

from __future__ import annotations

import io
import struct
from typing import Protocol

from runvet.readers._leveldb_log import BLOCK, FULL, HEADER, LAST, batches
from runvet.sink import Sink

_PIECE = struct.Struct("<IHB").unpack_from


class Taker(Protocol):
    """What is done with the records."""

    def take_all(self, records: list[bytes]) -> None:
        """Take consecutive records."""

    def flush(self) -> None:
        """Hand over what was held back."""


class Damaged(ValueError):
    """A record does not match its checksum: only reading from the start tells where reading goes on."""


class Growing:
    """A log of records that is read as it grows (`Resumed`). `base` is the offset of a block, `begin` the place in it
    behind the last record that was taken.
    """

    def __init__(self, sink: Sink, taker: Taker) -> None:
        self.sink, self.taker, self.base, self.begin = sink, taker, 0, HEADER

    def feed(self, data: bytes) -> int:
        """Take the whole records; gives the bytes before the block of the last one's end. Raises Damaged."""
        end = last_end(data, self.begin)
        if end <= self.begin:
            return 0
        told = self.sink.told
        for batch in batches(io.BytesIO(data[:end]), self.sink, begin=self.begin, start=self.base):
            self.taker.take_all(batch)
        if self.sink.told > told:
            raise Damaged("a record is damaged")
        used = end // BLOCK * BLOCK
        self.base, self.begin = self.base + used, end - used
        return used

    def finish(self, rest: bytes) -> None:
        """Say what is wrong with the bytes behind the last record, and write out what was held back."""
        for batch in batches(io.BytesIO(rest), self.sink, begin=self.begin, start=self.base):
            self.taker.take_all(batch)
        self.taker.flush()


def last_end(data: bytes, begin: int) -> int:
    """Where the last whole record of `data` ends, which starts with a block and has records from `begin` on; `begin`
    if there is none. Headers are believed.
    """
    for block in range((len(data) - 1) // BLOCK, -1, -1):
        first = block * BLOCK
        at = first + (begin if block == 0 else 0)
        limit, found = min(first + BLOCK, len(data)), -1
        while at + HEADER <= limit:
            _, length, kind = _PIECE(data, at)
            at += HEADER + length
            if at > limit or not FULL <= kind <= LAST:
                break
            found = at if kind in (FULL, LAST) else found
        if found >= 0:
            return found
    return begin
