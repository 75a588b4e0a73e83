"""PNG pictures with zlib and numpy: every colour type, bit depth, filter and interlace of the specification."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from runvet.artifacts.model import UnreadableError

Bytes = npt.NDArray[np.uint8]
LARGE = 32_768  # bytes of pixels from which filters are undone by diagonals, not byte by byte
PIXELS = 64 << 20  # pixels times channels of the largest picture that is decoded
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_MAGIC = b"\x89PNG\r\n\x1a\n"
# Adam7: first row and column, and the distance of rows and columns, of each pass.
_PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def decode(data: bytes) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """The picture as (height, width, channels): uint8, or uint16 where it has 16 bits a channel.

    Grey has 1 channel, grey with alpha 2, colour 3, colour with alpha 4; a palette gives 3, or 4 where it has
    transparent entries; depths below 8 bits are scaled to 0..255. Raises UnreadableError.
    """
    chunks = _chunks(data)
    width, height, depth, kind, interlace = _header(chunks.get(b"IHDR", b""))
    packed = chunks.get(b"IDAT", b"")
    channels = CHANNELS[kind]
    sizes = (
        [(height, width)]
        if not interlace
        else [(_count(height, r, dr), _count(width, c, dc)) for r, c, dr, dc in _PASSES]
    )
    rows = [(h, (w * channels * depth + 7) // 8, w) for h, w in sizes]
    need = sum(h * (n + 1) for h, n, w in rows if h and w)
    raw = _inflate(packed, need)
    out: npt.NDArray[Any] = np.zeros((height, width, channels), np.uint16 if depth == 16 else np.uint8)
    at = 0
    for number, (h, n, w) in enumerate(rows):
        if not h or not w:
            continue
        lines = np.frombuffer(raw, np.uint8, h * (n + 1), at).reshape(h, n + 1)
        at += h * (n + 1)
        pixels = _unpack(_unfilter(lines, max(1, channels * depth // 8)), w, channels, depth, scale=kind != 3)
        if interlace:
            r, c, dr, dc = _PASSES[number]
            out[r::dr, c::dc] = pixels
        else:
            out = pixels
    return _colour(out, chunks) if kind == 3 else out


def _count(size: int, start: int, step: int) -> int:
    return max(0, -(-(size - start) // step))


def _chunks(data: bytes) -> dict[bytes, bytes]:
    if data[:8] != _MAGIC:
        raise UnreadableError("not a PNG file")
    found: dict[bytes, list[bytes]] = {}
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        name = data[at + 4 : at + 8]
        if at + 12 + length > len(data):
            raise UnreadableError("cut off")
        body = data[at + 8 : at + 8 + length]
        if name in (b"IHDR", b"IDAT", b"PLTE", b"tRNS"):
            if zlib.crc32(name + body) != int.from_bytes(data[at + 8 + length : at + 12 + length], "big"):
                raise UnreadableError(f"the checksum of {name.decode()} does not fit")
            found.setdefault(name, []).append(body)
        at += 12 + length
        if name == b"IEND":
            break
    else:
        raise UnreadableError("cut off")
    return {name: b"".join(parts) if name == b"IDAT" else parts[0] for name, parts in found.items()}


def _header(body: bytes) -> tuple[int, int, int, int, bool]:
    if len(body) != 13:
        raise UnreadableError("no PNG header")
    width, height = int.from_bytes(body[:4], "big"), int.from_bytes(body[4:8], "big")
    depth, kind, compression, filters, interlace = body[8:]
    if depth not in DEPTHS.get(kind, ()) or compression or filters or interlace > 1 or not width or not height:
        raise UnreadableError(f"no PNG that the standard knows (colour type {kind}, {depth} bits)")
    if width * height * CHANNELS[kind] > PIXELS:
        raise UnreadableError(f"{width:,} x {height:,} pixels are more than are decoded")
    return width, height, depth, kind, bool(interlace)


def _inflate(packed: bytes, need: int) -> bytes:
    try:
        raw = zlib.decompressobj().decompress(packed, need)
    except zlib.error as error:
        raise UnreadableError(f"damaged: {error}") from None
    if len(raw) < need:
        raise UnreadableError(f"cut off: {len(raw):,} of {need:,} bytes of pixels")
    return raw


def _unfilter(lines: Bytes, step: int) -> Bytes:
    """Undo the filters of all rows: (rows, 1 + n) -> (rows, n). `step` is the distance to the pixel on the left."""
    if lines.size > LARGE and (lines[:, 0] > 2).any() and lines.shape[1] % step == 1 % step:
        return _diagonals(lines, step)
    out = np.zeros((len(lines), lines.shape[1] - 1), np.uint8)
    above = np.zeros(out.shape[1], np.uint8)
    for number, line in enumerate(lines):
        row = line[1:]
        match int(line[0]):
            case 0:
                above = row.copy()
            case 1:
                above = _sub(row, step)
            case 2:
                above = row + above
            case 3:
                above = _average(row, above, step)
            case 4:
                above = _paeth(row, above, step)
            case other:
                raise UnreadableError(f"damaged: filter {other}")
        out[number] = above
    return out


def _diagonals(lines: Bytes, step: int) -> Bytes:
    """The same, one diagonal of pixels at a time: each depends on its left, upper and upper left neighbour alone.

    Row r is shifted right by r pixels, so that the neighbours of a column stand in the two columns before it.
    """
    kind = lines[:, 0].astype(np.int16)[:, None]
    if int(kind.max()) > 4:
        raise UnreadableError(f"damaged: filter {int(kind.max())}")
    height, width = len(lines), (lines.shape[1] - 1) // step
    raw = np.zeros((height + width - 1, height, step), np.int16)
    rows = np.arange(height)
    at = rows[:, None] + np.arange(width)[None]
    raw[at, rows[:, None]] = lines[:, 1:].reshape(height, width, step)
    before = older = np.zeros((height, step), np.int16)
    for column in raw:
        up, corner = np.zeros_like(before), np.zeros_like(before)
        up[1:], corner[1:] = before[:-1], older[:-1]
        pa, pb, pc = np.abs(up - corner), np.abs(before - corner), np.abs(before + up - 2 * corner)
        paeth = np.where((pa <= pb) & (pa <= pc), before, np.where(pb <= pc, up, corner))
        column += np.choose(kind, [np.zeros_like(before), before, up, (before + up) >> 1, paeth])
        column &= 255
        older, before = before, column
    return np.asarray(raw[at, rows[:, None]].reshape(height, -1), np.uint8)


def _sub(row: Bytes, step: int) -> Bytes:
    padded = np.zeros(-(-len(row) // step) * step, np.uint8)
    padded[: len(row)] = row
    return np.cumsum(padded.reshape(-1, step), axis=0, dtype=np.uint8).reshape(-1)[: len(row)]


def _average(row: Bytes, above: Bytes, step: int) -> Bytes:
    out, up = row.tolist(), above.tolist()
    for i in range(len(out)):
        left = out[i - step] if i >= step else 0
        out[i] = (out[i] + ((left + up[i]) >> 1)) & 255
    return np.array(out, np.uint8)


def _paeth(row: Bytes, above: Bytes, step: int) -> Bytes:
    out, up = row.tolist(), above.tolist()
    for i in range(len(out)):
        a, b, c = (out[i - step], up[i], up[i - step]) if i >= step else (0, up[i], 0)
        pa, pb, pc = abs(b - c), abs(a - c), abs(a + b - 2 * c)
        out[i] = (out[i] + (a if pa <= pb and pa <= pc else b if pb <= pc else c)) & 255
    return np.array(out, np.uint8)


def _unpack(rows: Bytes, width: int, channels: int, depth: int, *, scale: bool) -> Bytes | npt.NDArray[np.uint16]:
    if depth == 16:
        return rows.view(">u2").astype(np.uint16).reshape(len(rows), width, channels)
    if depth == 8:
        return rows.reshape(len(rows), width, channels)
    bits = np.unpackbits(rows, axis=1)[:, : width * depth].reshape(len(rows), width, depth)
    values: Bytes = np.zeros((len(rows), width), np.uint8)
    for bit in range(depth):
        values = np.asarray((values << 1) | bits[:, :, bit], np.uint8)
    return (values * (255 // ((1 << depth) - 1)) if scale else values)[:, :, None]


def _colour(indices: npt.NDArray[np.integer], chunks: dict[bytes, bytes]) -> Bytes:
    palette = chunks.get(b"PLTE", b"")
    if not palette or len(palette) % 3:
        raise UnreadableError("a palette picture without its palette")
    table = np.frombuffer(palette, np.uint8).reshape(-1, 3)
    if int(indices.max()) >= len(table):
        raise UnreadableError("a pixel beyond the palette")
    if b"tRNS" in chunks:
        alpha = np.full((len(table), 1), 255, np.uint8)
        told = np.frombuffer(chunks[b"tRNS"][: len(table)], np.uint8)
        alpha[: len(told), 0] = told
        table = np.hstack([table, alpha])
    return np.asarray(table[indices[:, :, 0]], np.uint8)
