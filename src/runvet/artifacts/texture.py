"""How much a picture holds: parts of one colour or in stripes, and the entropy of its colours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from runvet.artifacts.model import Array
from runvet.run import FloatArray

SIDE = 512  # larger pictures are looked at by every second (third, …) block of pixels, not scaled
SPLITS = (1, 2, 3, 4, 5, 6, 8)  # into how many equal rows or columns a picture of several panels is cut
POOR, RICH = 0.95, 0.5  # share of plain blocks from which a panel is plain, and up to which it is not


@dataclass(frozen=True, slots=True)
class Panels:
    """A picture cut into equal strips: which are plain, how many tiles those hold, and the entropy of both kinds.

    `entropy` is in bits a pixel, (plain strips, other strips); NaN where there is none. `colour` is the mean colour
    of the plain strips, one value a channel.
    """

    strips: int
    across: bool  # strips are rows of panels; else columns
    plain: tuple[int, ...]
    tiles: int
    single: int  # tiles of one colour among them; the others are striped
    entropy: tuple[float, float]
    colours: tuple[tuple[int, ...], ...]


def grey(picture: Array) -> FloatArray:
    """The picture (h, w) or (h, w, c) as float64 (h, w, c) in 0..255, an alpha channel dropped.

    Floats within [0, 1] or [-1, 1] are scaled.
    """
    out = np.asarray(picture, np.float64)
    out = out[:, :, None] if out.ndim == 2 else out
    if picture.dtype == np.uint16:
        out = out / 257.0
    elif picture.dtype.kind == "f":
        low, high = (float(np.nanmin(out)), float(np.nanmax(out))) if out.size else (0.0, 1.0)
        out = np.nan_to_num(
            (out + 1) * 127.5
            if low < 0 and low >= -1.001 and high <= 1.001
            else out * 255
            if low >= 0 and high <= 1.001
            else out
        )
    return out[:, :, : 3 if out.shape[2] == 4 else 1 if out.shape[2] == 2 else out.shape[2]]


def plain_blocks(picture: FloatArray, tolerance: float) -> npt.NDArray[np.bool_]:
    """Which blocks of a picture (h, w, c) vary in one direction at most: one colour, or stripes along an axis.

    Blocks have a side of about an eighth of the shorter side, at least 4 pixels; the result is (rows, columns).
    """
    h, w = picture.shape[:2]
    side = max(4, min(h, w) // 4) if min(h, w) < 32 else max(6, min(h, w) // 8)
    rows, columns = max(1, h // side), max(1, w // side)
    cut = picture[: rows * side, : columns * side] if h >= side and w >= side else picture
    if cut is picture and (h < side or w < side):
        return np.array([[_residual(picture[None, None])[0, 0] <= tolerance]])
    blocks = cut.reshape(rows, side, columns, side, -1).transpose(0, 2, 1, 3, 4)
    return np.asarray(_residual(blocks) <= tolerance)


def _residual(blocks: FloatArray) -> FloatArray:
    """What is left of the variation of blocks (r, c, h, w, k) after stripes along one axis are taken away, (r, c)."""
    along = [np.sqrt(((blocks - blocks.mean(axis=axis, keepdims=True)) ** 2).mean(axis=(2, 3, 4))) for axis in (2, 3)]
    return np.asarray(np.minimum(*along))


def entropy(picture: FloatArray) -> float:
    """Shannon entropy of the colours of a picture (h, w, c), 4 bits a channel, in bits a pixel."""
    levels = np.clip(picture, 0, 255).astype(np.int64) // 16
    keys = levels[..., 0] * 1
    for channel in range(1, min(3, levels.shape[-1])):
        keys = keys * 16 + levels[..., channel]
    share = np.unique(keys, return_counts=True)[1] / keys.size
    return float(-(share * np.log2(share)).sum()) + 0.0


def panels(picture: Array) -> Panels | None:
    """The plain strips of a picture, or None where no strip (or only a part of one) is plain.

    The whole picture is one strip first; then rows, then columns of equal size: pictures often show the truth in
    one row and the model's answer in the next.
    """
    image = grey(picture)
    if min(image.shape[:2]) < 8:
        return None
    step = max(1, max(image.shape[:2]) // (2 * SIDE))
    image = image[::step, ::step]
    tolerance = max(0.3, 0.05 * float(image.std()))
    for count in SPLITS:
        for across in (True, False):
            size = image.shape[0 if across else 1]
            if (count == 1 and not across) or size // count < 8 or (count > 1 and size % count > 2 * count + 2):
                continue
            strips = [_trimmed(image, number, count, across) for number in range(count)]
            shares = [float(plain_blocks(s, tolerance).mean()) for s in strips]
            poor = [i for i, s in enumerate(shares) if s >= POOR]
            # A margin or a strip of sky is no panel: plain panels make up a third of the picture at least.
            if 3 * len(poor) >= count and all(s <= RICH or s >= POOR for s in shares):
                return _panels(strips, poor, count, across)
    return None


def _trimmed(image: FloatArray, number: int, count: int, across: bool) -> FloatArray:
    """One strip without its outermost pixels, where panels of several are separated by lines."""
    size = image.shape[0 if across else 1]
    low, high = round(number * size / count), round((number + 1) * size / count)
    edge = 0 if count == 1 else max(1, (high - low) // 16)
    part = slice(low + edge, high - edge)
    return image[part] if across else image[:, part]


def _panels(strips: list[FloatArray], poor: list[int], count: int, across: bool) -> Panels:
    tiles = [t for i in poor for t in _tiles(strips[i], across)]
    single = sum(float(t.reshape(-1, t.shape[-1]).std(axis=0).max()) <= 3.0 for t in tiles)
    rich = [s for i, s in enumerate(strips) if i not in poor]
    bits = (
        float(np.mean([entropy(t) for t in tiles])),
        float(np.mean([entropy(t) for s in rich for t in _tiles(s, across)])) if rich else float("nan"),
    )
    colours = tuple(tuple(int(v) for v in t.reshape(-1, t.shape[-1]).mean(axis=0)) for t in tiles)
    return Panels(count, across, tuple(poor), len(tiles), single, bits, colours)


def _tiles(strip: FloatArray, across: bool) -> Iterator[FloatArray]:
    """A strip as square tiles along its length (one tile where it is shorter)."""
    long, short = (strip.shape[1], strip.shape[0]) if across else (strip.shape[0], strip.shape[1])
    number = max(1, round(long / (short * 1.1)))
    for part in np.array_split(strip, number, axis=1 if across else 0):
        edge = part.shape[1 if across else 0] // 16
        yield (part[:, edge : part.shape[1] - edge] if across else part[edge : part.shape[0] - edge]) if edge else part


def roughness(picture: Array) -> float:
    """Mean squared difference of neighbouring pixels over twice the variance: von Neumann's ratio, halved.

    1 for white noise, 0.01 to 0.3 for pictures, NaN for one colour. The median over channels, the mean of both axes.
    """
    image = grey(picture)
    variance = image.reshape(-1, image.shape[-1]).var(axis=0)
    if min(image.shape[:2]) < 4 or not (variance > 1e-6).any():
        return float("nan")
    steps = [(np.diff(image, axis=axis) ** 2).mean(axis=(0, 1)) for axis in (0, 1)]
    return float(np.median((sum(steps) / 4 / np.maximum(variance, 1e-12))[variance > 1e-6]))
