"""RocksDB's write-ahead log: what was put into a database since its last table file, in order.

The framing is LevelDB's log with a masked CRC-32C; each record is a batch of operations.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO

from runvet.protobuf import Malformed, varint
from runvet.readers._crc32c import crc32c, mask
from runvet.readers._leveldb_log import records
from runvet.sink import Sink

BATCH = 12  # sequence number (u64) and count (u32) before the operations
WORK = 50_000_000  # keys looked at for ranges to delete
# operation -> (has a column family's number, byte strings that follow)
_OPERATIONS = {
    0: (False, 1), 1: (False, 2), 2: (False, 2), 3: (False, 1), 4: (True, 1), 5: (True, 2), 6: (True, 2), 7: (False, 1),
    8: (True, 1), 13: (False, 0), 14: (True, 2), 15: (False, 2),
}  # fmt: skip
_PUT, _DELETE, _DELETE_RANGE = (1, 5), (0, 4, 7, 8), (14, 15)


def log_contents(stream: IO[bytes], sink: Sink) -> dict[bytes, bytes]:
    """Keys and values after all operations of one log, in the order in which they were put.

    Aim deletes the range [key, key + 0xFF) before it puts a key that ends in `0xFE`: of that only the key itself is
    looked for, what may have stood below an array's cell stays. Other ranges are deleted as RocksDB does.
    """
    log = _Contents()
    for number, batch in enumerate(records(stream, sink, begin=0, checksum=_checksum), 1):
        why = log.take(batch)
        if why:
            sink.problem(f"batch {number} is damaged ({why}); the rest of it is skipped", line=number)
    return log.values


class _Contents:
    """Keys and values after the operations taken so far."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.work = 0

    def take(self, batch: bytes) -> str:
        """Apply one batch. Gives what is wrong with it, '' if nothing."""
        try:
            for operation, first, second in _operations(batch):
                if operation in _PUT:
                    self.values.pop(first, None)
                    self.values[first] = second
                elif operation in _DELETE or (operation in _DELETE_RANGE and _is_cell(first, second)):
                    self.values.pop(first, None)
                elif operation in _DELETE_RANGE:
                    self._delete(first, second)
        except Malformed as error:
            return str(error)
        return ""

    def _delete(self, first: bytes, last: bytes) -> None:
        self.work += len(self.values)
        if self.work > WORK:
            raise Malformed("too many ranges are deleted")
        for key in [key for key in self.values if first <= key < last]:
            del self.values[key]


def _is_cell(first: bytes, last: bytes) -> bool:
    """Whether a range is one cell of an array: a path that ends in an integer."""
    return last == first + b"\xff" and first[-1:] == b"\xfe" and first[-10:-9] == b"\xfe"


def _checksum(data: bytes) -> int:
    return mask(crc32c(data))


def _operations(batch: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """(kind, key, value or end of range) of every operation. Raises Malformed."""
    if len(batch) < BATCH:
        raise Malformed("no batch")
    at, end = BATCH, len(batch)
    for _ in range(struct.unpack_from("<I", batch, 8)[0]):
        if at >= end:
            raise Malformed("operations are missing")
        kind = batch[at]
        if kind not in _OPERATIONS:
            raise Malformed(f"unknown operation {kind}")
        at += 1
        family, strings = _OPERATIONS[kind]
        if family:
            _, at = varint(batch, at, end)
        found = [b"", b""]
        for i in range(strings):
            size, at = varint(batch, at, end)
            if at + size > end:
                raise Malformed("an operation breaks off")
            found[i] = batch[at : at + size]
            at += size
        yield kind, found[0], found[1]
