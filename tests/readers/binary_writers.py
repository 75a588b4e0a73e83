"""Writers of binary log formats at the level of bytes, for tests."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable

import numpy as np


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def message(number: int, payload: bytes | str) -> bytes:
    data = payload.encode() if isinstance(payload, str) else payload
    return varint(number << 3 | 2) + varint(len(data)) + data


def integer(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def double(number: int, value: float) -> bytes:
    return varint(number << 3 | 1) + struct.pack("<d", value)


def single(number: int, value: float) -> bytes:
    return varint(number << 3 | 5) + struct.pack("<f", value)


def timestamp(number: int, seconds: float) -> bytes:
    return message(number, integer(1, int(seconds)) + integer(2, int(seconds % 1 * 1e9)))


def crc32c(data: bytes) -> int:
    """One bit at a time, as in the definition."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def tfrecord(payload: bytes) -> bytes:
    length = struct.pack("<Q", len(payload))
    return length + struct.pack("<I", masked(crc32c(length))) + payload + struct.pack("<I", masked(crc32c(payload)))


def event(step: int, *values: bytes, time: float = 1.7e9, extra: bytes = b"") -> bytes:
    """A TensorBoard event with Summary.Values."""
    summary = message(5, b"".join(message(1, value) for value in values)) if values else b""
    return tfrecord(double(1, time) + (integer(2, step) if step else b"") + summary + extra)


def scalar(tag: str, value: float) -> bytes:
    return message(1, tag) + single(2, value)


def version() -> bytes:
    return tfrecord(double(1, 1.7e9) + message(3, "brain.Event:2"))


def leveldb(records: Iterable[bytes], ident: bytes, magic: int, version: int) -> bytes:
    """LevelDB log framing with zlib's CRC-32, as W&B and SwanLab write it."""
    out = bytearray(struct.pack("<4sHB", ident, magic, version))
    for record in records:
        at, kind_first = 0, True
        while True:
            left = 32_768 - len(out) % 32_768
            if left < 7:
                out += bytes(left)
                left = 32_768
            piece = record[at : at + left - 7]
            at += len(piece)
            end = at == len(record)
            kind = (1 if end else 2) if kind_first else (4 if end else 3)
            out += struct.pack("<IHB", zlib.crc32(bytes([kind]) + piece), len(piece), kind) + piece
            kind_first = False
            if end:
                break
    return bytes(out)


def mutated(data: bytes, places: list[tuple[float, int]], cut: float) -> bytes:
    """Some bytes changed, and the end cut off."""
    array = np.frombuffer(data, np.uint8).copy()
    for where, byte in places:
        array[int(where * (len(array) - 1))] = byte
    return array.tobytes()[: int(len(array) * cut)]
