"""Pictures as small PNG texts: scaled by means of blocks, encoded with zlib alone."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from runvet.artifacts.model import Array
from runvet.artifacts.texture import grey
from runvet.run import FloatArray

SIDE = 192  # pixels of a thumbnail's longer side at most
Bytes = npt.NDArray[np.uint8]


def thumbnail(picture: Array, side: int = SIDE) -> dict[str, Any]:
    """A picture (h, w) or (h, w, c) as `{"png": base64, "w": …, "h": …}`; never enlarged.

    Floats within [0, 1] or [-1, 1] are scaled to 0..255 (see `texture.grey`); alpha is dropped.
    """
    small = shrunk(grey(picture), side)
    pixels = np.clip(np.round(small), 0, 255).astype(np.uint8)
    pixels = pixels if pixels.shape[2] in (1, 3) else pixels[:, :, :1]
    return {"png": base64.b64encode(png(pixels)).decode(), "w": pixels.shape[1], "h": pixels.shape[0]}


def heat(values: Array, low: float, high: float, side: int = SIDE) -> dict[str, Any]:
    """A map (h, w) of numbers as a grey thumbnail, `low` black and `high` white; non-finite cells are black."""
    span = high - low if high > low else 1.0
    scaled = np.nan_to_num((np.asarray(values, np.float64) - low) / span, nan=0.0, posinf=0.0, neginf=0.0)
    return thumbnail(np.asarray(np.clip(scaled, 0, 1) * 255, np.uint8), side)


def shrunk(picture: FloatArray, side: int) -> FloatArray:
    """A picture (h, w, c) whose longer side is at most `side`: each pixel the mean of those it stands for."""
    h, w = picture.shape[:2]
    longest = max(h, w)
    if longest <= side:
        return picture
    rows, columns = (np.linspace(0, n, max(1, round(n * side / longest)) + 1).round().astype(int) for n in (h, w))
    sums = np.add.reduceat(np.add.reduceat(picture, rows[:-1], axis=0), columns[:-1], axis=1)
    return np.asarray(sums / (np.diff(rows)[:, None] * np.diff(columns)[None])[:, :, None])


def png(pixels: Bytes) -> bytes:
    """uint8 (h, w, 1 or 3) as a PNG file. Each row holds its differences from the row above (filter type 2)."""
    h, w, channels = pixels.shape
    rows = pixels.reshape(h, w * channels)
    above = np.vstack([np.zeros((1, w * channels), np.uint8), rows[:-1]])
    filtered = np.hstack([np.full((h, 1), 2, np.uint8), rows - above])
    header = struct.pack(">IIBBBBB", w, h, 8, 0 if channels == 1 else 2, 0, 0, 0)
    body = zlib.compress(filtered.tobytes(), 9)
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*c) for c in ((b"IHDR", header), (b"IDAT", body), (b"IEND", b"")))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
