"""Members of a small zip archive straight from its bytes; what is unusual is left to the standard library's reader."""

from __future__ import annotations

import struct
import zlib

STORED, DEFLATED = 0, 8
MEMBERS = 64  # of an archive that is read this way
_END, _ENTRY = struct.Struct("<4s4H2LH"), struct.Struct("<4s6H3L5H2L")
_LOCAL = 30  # bytes before the name of a member
_ENCRYPTED = 0x41  # flag bits


def members(data: bytes, limit: int) -> dict[str, bytes] | None:
    """All members of an archive by their names, unpacked and checked (CRC-32).

    None for everything that needs a second look: damage, encryption, zip64 entries, comments, names that are not ASCII,
    other methods than "stored" and "deflated", more than 64 members or `limit` bytes. Layout: PKWARE APPNOTE 4.3.
    """
    if len(data) < _END.size:
        return None
    magic, disk, first_disk, here, count, size, offset, comment = _END.unpack_from(data, len(data) - _END.size)
    if magic != b"PK\5\6" or disk or first_disk or comment or here != count or count > MEMBERS:
        return None
    if offset + size != len(data) - _END.size:
        return None
    found: dict[str, bytes] = {}
    at, left = offset, limit
    for _ in range(count):
        made = _member(data, at, offset, left)
        if made is None or made[0] in found:
            return None
        name, unpacked, at = made
        found[name] = unpacked
        left -= len(unpacked)
    return found


def _member(data: bytes, at: int, offset: int, limit: int) -> tuple[str, bytes, int] | None:
    """The member whose entry of the central directory begins at `at`, and where the next entry begins."""
    if at + _ENTRY.size > len(data):
        return None
    magic, _, _, flags, method, _, _, crc, packed, size, name_size, extra, comment, _, _, _, start = _ENTRY.unpack_from(data, at)  # fmt: skip
    if magic != b"PK\1\2" or flags & _ENCRYPTED or size > limit or start + _LOCAL > offset:
        return None
    name = data[at + _ENTRY.size : at + _ENTRY.size + name_size]
    if data[start : start + 4] != b"PK\3\4" or not name.isascii():
        return None
    begin = start + _LOCAL + int.from_bytes(data[start + 26 : start + 28], "little") + int.from_bytes(data[start + 28 : start + 30], "little")  # fmt: skip
    if begin + packed > offset:
        return None
    unpacked = _unpacked(data[begin : begin + packed], method, size)
    if unpacked is None or len(unpacked) != size or zlib.crc32(unpacked) != crc:
        return None
    return name.decode(), unpacked, at + _ENTRY.size + name_size + extra + comment


def _unpacked(packed: bytes, method: int, size: int) -> bytes | None:
    if method == STORED:
        return packed
    if method != DEFLATED:
        return None
    try:
        return zlib.decompressobj(-15).decompress(packed, size + 1)
    except zlib.error:
        return None
