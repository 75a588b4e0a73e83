"""CRC-32C (Castagnoli) in numpy, over many messages at once.

A CRC is linear: apart from its start value it is the exclusive or of one table look-up for each byte, in a table
that depends only on how far the byte is from the end. So the bytes need no order: equal-length messages are done
column by column, a single long message all at once.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

ByteArray = npt.NDArray[np.uint8]
CrcArray = npt.NDArray[np.uint32]

_POLYNOMIAL = 0x82F63B78  # reversed bits
_SPAN = 4096  # bytes looked up at once: 4 MiB of tables
_MASK = 0xA282EAD8  # TFRecord files store (crc rotated right by 15) + this


def _first_table() -> CrcArray:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1).astype(np.uint32)
    return table


@lru_cache(maxsize=16)
def _tables(positions: int) -> CrcArray:
    """What a byte adds when it stands 0, 1, … from the end; uint32 (positions, 256)."""
    tables = np.empty((positions, 256), np.uint32)
    first = tables[0] = _first_table()
    for i in range(1, positions):
        tables[i] = first[tables[i - 1] & 0xFF] ^ (tables[i - 1] >> 8)
    return tables


def _tables_for(length: int) -> CrcArray:
    positions = 64
    while positions < min(length, _SPAN):
        positions *= 4
    return _tables(min(positions, _SPAN))


def crc32c(message: bytes | ByteArray, start: int = 0) -> int:
    """The CRC-32C of one message, going on from `start` (the CRC of what stands before it)."""
    data = np.array(np.frombuffer(message, np.uint8) if isinstance(message, bytes) else message)
    tables, state = _tables_for(len(data)), start ^ 0xFFFF_FFFF
    for at in range(0, len(data), _SPAN):
        chunk = data[at : at + _SPAN]
        seed = np.frombuffer(state.to_bytes(4, "little"), np.uint8)
        used = min(4, len(chunk))
        chunk[:used] ^= seed[:used]  # the start value acts like bytes laid over the first four
        terms = tables[np.arange(len(chunk) - 1, -1, -1), chunk]
        state = int(np.bitwise_xor.reduce(terms)) ^ (state >> 8 * used if used < 4 else 0)
    return state ^ 0xFFFF_FFFF


def crc32c_rows(rows: ByteArray) -> CrcArray:
    """The CRC-32C of every row of a matrix (n, length) of messages; uint32 (n,)."""
    n, length = rows.shape
    if length < 4 or length > n:
        return np.fromiter((crc32c(row) for row in rows), np.uint32, n)
    tables = _tables_for(length)
    state = np.zeros(n, np.uint32)
    constant = 0xFFFF_FFFF
    same = (rows == rows[0]).all(axis=0)
    for j in range(length):
        table = tables[length - 1 - j]
        flip = 0xFF if j < 4 else 0
        if same[j]:
            constant ^= int(table[int(rows[0, j]) ^ flip])
        else:
            state ^= (table[::-1] if flip else table)[rows[:, j]]
    state ^= np.uint32(constant)
    return state


def mask(crc: int) -> int:
    """The form in which TFRecord files store a CRC."""
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFF_FFFF


def unmask(stored: CrcArray) -> CrcArray:
    """The CRCs behind stored ones, (n,)."""
    rotated: CrcArray = stored - np.uint32(_MASK)
    crc: CrcArray = (rotated << np.uint32(15)) | (rotated >> np.uint32(17))
    return crc
