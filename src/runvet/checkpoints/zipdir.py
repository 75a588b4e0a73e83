"""The members of a zip file from its central directory, checked before anything is unpacked."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from runvet.checkpoints.problems import Damaged
from runvet.checkpoints.streamed import Streamed
from runvet.checkpoints.window import Window

STORED, DEFLATED = 0, 8
DIRECTORY_LIMIT = 24 << 20  # bytes of names and offsets: 100,000 storages need 8 MB
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LEAVES = re.compile(r"(?:^|/)\.\.(?:/|$)|^/|^[A-Za-z]:|\\")


@dataclass(frozen=True, slots=True)
class Member:
    """One entry: `offset` of its local header, `packed` and `size` in bytes, `method` 0 stored or 8 deflated."""

    name: str
    offset: int
    packed: int
    size: int
    method: int
    crc: int
    encrypted: bool = False


class Zip:
    """A zip file within a window. Raises Damaged where the directory is missing, inconsistent or hostile."""

    __slots__ = ("members", "warnings", "window")

    def __init__(self, window: Window) -> None:
        self.window = window
        self.members: dict[str, Member] = {}
        self.warnings: list[str] = []
        start, size = _directory(window)
        self._entries(window.read(start, size))
        self._overlaps(start)

    def _entries(self, data: bytes) -> None:
        at = 0
        while at + _ENTRY.size <= len(data) and data[at : at + 4] == b"PK\1\2":
            _, _, _, flags, method, _, _, crc, packed, size, n, m, k, disk, _, _, offset = _ENTRY.unpack_from(data, at)
            name = data[at + _ENTRY.size : at + _ENTRY.size + n]
            extra = data[at + _ENTRY.size + n : at + _ENTRY.size + n + m]
            if 0xFFFFFFFF in (packed, size, offset):
                size, packed, offset = _zip64(extra, size, packed, offset)
            text = name.decode("utf-8", "replace")
            if disk not in (0, 0xFFFF):
                raise Damaged("a zip file in several volumes")
            if _LEAVES.search(text):
                self.warnings.append(f"the member name {text[:80]!r} leaves the archive")
            if text in self.members:
                self.warnings.append(f"the member {text[:80]!r} is there twice")
            self.members[text] = Member(text, offset, packed, size, method, crc, bool(flags & 1))
            at += _ENTRY.size + n + m + k
        if at != len(data):
            raise Damaged("the zip directory is inconsistent")

    def _overlaps(self, end: int) -> None:
        """Members that share bytes are how small zip bombs are made; no tool writes them."""
        before, name = 0, ""
        for member in sorted(self.members.values(), key=lambda m: m.offset):
            if member.offset < before:
                raise Damaged(f"members {name[:60]!r} and {member.name[:60]!r} share bytes")
            before, name = member.offset + 30 + member.packed, member.name
        if before > end:
            raise Damaged(f"member {name[:60]!r} reaches beyond the data")

    def stored(self, member: Member) -> Window:
        """The bytes of a stored member, in place. Raises Damaged, also for a packed one."""
        if member.encrypted or member.method != STORED or member.packed != member.size:
            raise Damaged(f"member {member.name[:80]!r} is packed or encrypted")
        return self.window.part(self._data(member), member.size)

    def open(self, member: Member, limit: int) -> Window:
        """The bytes of a member, in place or unpacked into memory up to `limit` bytes. Raises Damaged."""
        if member.method == STORED:
            return self.stored(member)
        if member.size > limit:
            raise Damaged(f"member {member.name[:80]!r} would unpack to {member.size:,} bytes")
        return Window.memory(b"".join(self.inflated(member)))

    def streamed(self, member: Member) -> Window:
        """The bytes of a member, in place or unpacked while they are read, in order: memory stays small. Raises Damaged."""
        if member.method == STORED:
            return self.stored(member)
        return Window(Streamed(lambda: self.inflated(member)), 0, member.size)

    def inflated(self, member: Member, block: int = 1 << 20) -> Iterator[bytes]:
        """The unpacked bytes of a deflated member in blocks; never more than it declares. Raises Damaged."""
        if member.encrypted or member.method != DEFLATED:
            raise Damaged(f"member {member.name[:80]!r} is packed by method {member.method}, which is not supported")
        packed = self.window.part(self._data(member), member.packed)
        unpacker, at, left = zlib.decompressobj(-15), 0, member.size
        pending = b""
        try:
            while left > 0:
                if not pending:
                    length = min(block, packed.size - at)
                    if not length:
                        raise Damaged(f"member {member.name[:80]!r} ends early")
                    pending, at = packed.read(at, length), at + length
                data = unpacker.decompress(pending, min(block, left))
                pending = unpacker.unconsumed_tail
                left -= len(data)
                if data:
                    yield data
                if unpacker.eof and left:
                    raise Damaged(f"member {member.name[:80]!r} unpacks to fewer bytes than it declares")
        except zlib.error as error:
            raise Damaged(f"member {member.name[:80]!r}: {error}") from None
        if unpacker.decompress(pending + (packed.read(at, min(64, packed.size - at))), 1):
            raise Damaged(f"member {member.name[:80]!r} unpacks to more than the {member.size:,} bytes it declares")

    def _data(self, member: Member) -> int:
        local = self.window.read(member.offset, 30)
        if local[:4] != b"PK\3\4":
            raise Damaged(f"member {member.name[:80]!r} does not start where the directory says")
        return member.offset + 30 + int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")


def _directory(window: Window) -> tuple[int, int]:
    """Where the central directory starts, and its length in bytes."""
    tail_at = max(0, window.size - 65_557)
    tail = window.read(tail_at, window.size - tail_at)
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) < at + _END.size:  # also what a growing or cut file looks like
        raise Damaged("cut off: the zip directory at the file's end is missing")
    _, disk, _, _, _, size, start, _ = _END.unpack_from(tail, at)
    if disk not in (0, 0xFFFF):
        raise Damaged("a zip file in several volumes")
    if 0xFFFFFFFF in (size, start):
        locator = tail[at - 20 : at] if at >= 20 else b""
        if locator[:4] != b"PK\6\7":
            raise Damaged("the zip64 directory is missing")
        record = window.read(int.from_bytes(locator[8:16], "little"), _END64.size)
        if record[:4] != b"PK\6\6":
            raise Damaged("the zip64 directory is missing")
        size, start = _END64.unpack(record)[8:10]
    if size > DIRECTORY_LIMIT:
        raise Damaged(f"a zip directory of {size:,} bytes")
    if start + size > tail_at + at:
        raise Damaged("the zip directory lies outside the file")
    return start, size


def _zip64(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """Sizes and offset with the 64-bit values of the extra field where the 32-bit ones are full."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            body = extra[at + 4 : at + 4 + length]
            wide = [int.from_bytes(body[i : i + 8], "little") for i in range(0, len(body) - 7, 8)]
            wide.reverse()
            try:
                size, packed, offset = (wide.pop() if v == 0xFFFFFFFF else v for v in (size, packed, offset))
            except IndexError:
                raise Damaged("a zip64 member without its sizes") from None
            return size, packed, offset
        at += 4 + length
    raise Damaged("a zip64 member without its sizes")
