"""The PNG decoder against Pillow, for every colour type, depth, filter and interlace; damage is refused."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runvet.artifacts.model import UnreadableError
from runvet.artifacts.png import CHANNELS, DEPTHS, decode

Image = pytest.importorskip("PIL.Image")
ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def packed(samples: np.ndarray, depth: int) -> list[bytes]:
    """Rows of samples (h, w, c) as bytes of the given depth."""
    rows = samples.reshape(samples.shape[0], -1)
    if depth == 16:
        return [row.astype(">u2").tobytes() for row in rows]
    if depth == 8:
        return [row.astype(np.uint8).tobytes() for row in rows]
    bits = ((rows[:, :, None] >> np.arange(depth - 1, -1, -1)) & 1).reshape(len(rows), -1).astype(np.uint8)
    return [np.packbits(row).tobytes() for row in bits]


def filtered(rows: list[bytes], kinds: list[int], step: int) -> bytes:
    """Rows with filters applied, as an encoder does it, written plainly after the specification."""
    out, above = b"", bytes(len(rows[0])) if rows else b""
    for row, kind in zip(rows, kinds, strict=True):
        line = bytearray()
        for i, value in enumerate(row):
            a = row[i - step] if i >= step else 0
            b = above[i]
            c = above[i - step] if i >= step else 0
            pa, pb, pc = abs(b - c), abs(a - c), abs(a + b - 2 * c)
            paeth = a if pa <= pb and pa <= pc else b if pb <= pc else c
            line.append((value - (0, a, b, (a + b) // 2, paeth)[kind]) & 255)
        out += bytes([kind]) + bytes(line)
        above = row
    return out


def encoded(
    samples: np.ndarray,
    kind: int,
    depth: int,
    kinds: list[int],
    *,
    interlace: bool,
    palette: bytes = b"",
    alpha: bytes = b"",
) -> bytes:
    h, w, c = samples.shape
    step = max(1, c * depth // 8)
    parts = [samples[r::dr, k::dk] for r, k, dr, dk in ADAM7] if interlace else [samples]
    raw = b""
    for part in parts:
        if part.size:
            raw += filtered(packed(part, depth), (kinds * part.shape[0])[: part.shape[0]], step)
    head = struct.pack(">IIBBBBB", w, h, depth, kind, 0, 0, int(interlace))
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head)
    if palette:
        out += chunk(b"PLTE", palette) + (chunk(b"tRNS", alpha) if alpha else b"")
    body = zlib.compress(raw)
    return out + chunk(b"IDAT", body[:7]) + chunk(b"IDAT", body[7:]) + chunk(b"IEND", b"")


def pillow(data: bytes, kind: int, depth: int) -> np.ndarray:
    picture = Image.open(io.BytesIO(data))
    if kind == 3:
        picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
    elif depth < 8:
        picture = picture.convert("L")
    array = np.asarray(picture)
    return array[:, :, None] if array.ndim == 2 else array


@pytest.mark.parametrize("interlace", [False, True])
@pytest.mark.parametrize(("kind", "depth"), [(k, d) for k, depths in DEPTHS.items() for d in depths])
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_every_kind_against_pillow(kind: int, depth: int, interlace: bool, data: st.DataObject) -> None:
    h, w = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    samples = rng.integers(0, 1 << depth, (h, w, CHANNELS[kind]))
    kinds = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=6))
    palette = rng.integers(0, 256, 3 * (1 << depth)).astype(np.uint8).tobytes() if kind == 3 else b""
    alpha = (
        rng.integers(0, 256, max(1, (1 << depth) // 2)).astype(np.uint8).tobytes()
        if kind == 3 and data.draw(st.booleans())
        else b""
    )
    file = encoded(samples, kind, depth, kinds, interlace=interlace, palette=palette, alpha=alpha)
    mine = decode(file)
    if depth == 16:
        # Pillow has no colour pictures of 16 bits: the samples themselves are the truth.
        assert mine.dtype == np.uint16
        assert np.array_equal(mine, samples)
    else:
        assert np.array_equal(mine, pillow(file, kind, depth))


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA", "1", "I;16"])
def test_what_pillow_writes_is_read(mode: str) -> None:
    rng = np.random.default_rng(0)
    base = Image.fromarray(rng.integers(0, 256, (31, 45, 3), dtype=np.uint8))
    picture = (
        Image.fromarray(rng.integers(0, 65536, (31, 45), dtype=np.uint16)) if mode == "I;16" else base.convert(mode)
    )
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    mine = decode(stream.getvalue())
    other = np.asarray(picture.convert("RGB") if mode == "P" else picture.convert("L") if mode == "1" else picture)
    assert np.array_equal(mine[:, :, :3] if mode == "P" else mine.reshape(other.shape), other)


def refused_or_read(file: bytes) -> str:
    """The reason of a refusal, or "read"; any other exception is a failure of the test."""
    try:
        decode(file)
    except UnreadableError as error:
        return str(error)
    return "read"


@pytest.mark.parametrize("kind", [0, 2, 4, 6])
@pytest.mark.parametrize("depth", [8, 16])
def test_large_pictures_give_the_same(kind: int, depth: int) -> None:
    samples = np.random.default_rng(1).integers(0, 1 << depth, (190, 201, CHANNELS[kind]))
    file = encoded(samples, kind, depth, [4, 3, 0, 1, 2, 4, 4], interlace=False)
    assert np.array_equal(decode(file), samples)


def valid() -> bytes:
    return encoded(np.arange(64).reshape(8, 8, 1), 0, 8, [0, 1, 2, 3, 4], interlace=False)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damage_is_refused_or_decoded_never_a_crash(data: st.DataObject) -> None:
    whole = bytearray(valid())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    assert refused_or_read(bytes(whole[: data.draw(st.integers(0, len(whole)))]))


def test_a_bomb_is_refused_by_its_header() -> None:
    head = struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 6, 0, 0, 0)
    with pytest.raises(UnreadableError, match="more than are decoded"):
        decode(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))


def test_few_pixels_are_told_as_cut_off() -> None:
    head = struct.pack(">IIBBBBB", 500, 500, 8, 2, 0, 0, 0)
    with pytest.raises(UnreadableError, match="cut off"):
        decode(
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", head)
            + chunk(b"IDAT", zlib.compress(b"\0" * 90))
            + chunk(b"IEND", b"")
        )
