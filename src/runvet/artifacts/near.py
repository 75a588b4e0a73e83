"""Near copies without comparing every pair: small sketches of items, of which only those that share a part are compared."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt

from runvet.artifacts.components import Numbers, joined

Sketches = npt.NDArray[np.uint8]
SIDE = 16  # a picture's sketch is its thumbnail of 16 x 16 grey levels
BINS = 64  # a grid's sketch is the smallest hash of its filled cells in each of 64 bins
EMPTY = np.uint32(0xFFFFFFFF)
BYTES = 256  # of either sketch
NEXT = 8  # neighbours in sorted order that an item is compared with, for each band
GREY = 4.0  # levels of 255 (root mean square, after the mean is taken away) up to which thumbnails are near
FLAT = 4.0  # thumbnails of less contrast tell nothing
WINDOW = 8  # bytes of the windows of a text that are compared
SHARED = 0.9  # share of filled cells (Jaccard) from which grids are near
ALIKE = 0.8  # the same for the windows of texts


def picture_sketches(pictures: npt.NDArray[np.float32]) -> Sketches:
    """Thumbnails of 16 x 16 mean grey levels (0 to 255) of pictures (n, h, w, c), as (n, 256)."""
    n, h, w, c = pictures.shape
    colours = 3 if c >= 3 else 1
    strips = _bands(pictures.reshape(n, h, w * c)).reshape(n, SIDE, w, c)
    grey = sum((strips[..., k] for k in range(1, colours)), start=strips[..., 0])
    cells = _bands(np.swapaxes(grey, 1, 2)) / colours
    return np.ascontiguousarray(np.swapaxes(np.asarray(cells, np.uint8), 1, 2)).reshape(n, BYTES)


def _bands(array: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The means of 16 bands of rows of (n, rows, k), shape (n, 16, k); rows themselves where there are fewer than 16."""
    n, rows, k = array.shape
    if rows % SIDE == 0:
        sums = np.einsum("nbrk->nbk", array.reshape(n, SIDE, rows // SIDE, k))
        return np.asarray(sums / np.float32(rows // SIDE), np.float32)
    ends = np.linspace(0, rows, SIDE + 1).astype(int)
    bands = np.add.reduceat(array, ends[:-1], axis=1)
    return np.asarray(bands / np.maximum(np.diff(ends), 1).astype(np.float32)[:, None], np.float32)


def mixed(cells: npt.NDArray[np.int64], values: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """One hash for each filled cell (m,) of its place in the grid and its value."""
    out: npt.NDArray[np.uint64] = (cells.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) ^ (
        values.view(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
    )
    out ^= out >> np.uint64(29)
    out *= np.uint64(0xBF58476D1CE4E5B9)
    return out


def grid_sketches(hashes: npt.NDArray[np.uint64], owner: npt.NDArray[np.int64], count: int) -> Sketches:
    """Smallest hashes of filled cells (see `mixed`) in 64 bins for each of `count` grids, as (count, 256) bytes.

    `owner` (m,) tells the grid of each cell. One-permutation hashing: two grids agree in a bin with the probability of
    their Jaccard index (Li, Owen and Zhang 2012, arXiv 1208.1259).
    """
    low = np.full(count * BINS, EMPTY, np.uint32)
    place = owner * BINS + (hashes >> np.uint64(58)).view(np.int64)
    np.minimum.at(low, place, (hashes >> np.uint64(20)).astype(np.uint32))
    return low.reshape(count, BINS).view(np.uint8).reshape(count, BYTES)


def text_sketch(text: npt.NDArray[np.uint8]) -> bytes:
    """The sketch of a text's bytes (k,): its windows of eight bytes, capital letters as small ones; empty for short texts."""
    if len(text) < 5 * WINDOW:
        return b""
    small = np.where((text >= 65) & (text <= 90), text | 32, text).astype(np.uint64)
    windows = np.zeros(len(text) - WINDOW + 1, np.uint64)
    for i in range(WINDOW):
        windows |= small[i : i + len(windows)] << np.uint64(8 * i)
    hashes = mixed(windows.view(np.int64), np.ones(len(windows), np.int64))
    return grid_sketches(hashes, np.zeros(len(windows), np.int64), 1).tobytes()


def array_sketch(values: npt.NDArray[np.float64], mean: float, sd: float) -> bytes:
    """The course of an array's values (k,) in 256 steps, 32 levels a standard deviation; empty for few or equal values."""
    if len(values) < SIDE or not sd > 0:
        return b""
    if len(values) < BYTES:
        course = values[np.arange(BYTES) * len(values) // BYTES]
    else:
        ends = np.linspace(0, len(values), BYTES + 1).astype(int)
        course = np.add.reduceat(values, ends[:-1]) / np.diff(ends)
    return np.clip(128 + 32 * (course - mean) / sd, 0, 255).astype(np.uint8).tobytes()


def pairs(sketches: Sketches, *, pictures: bool, shared: float = SHARED) -> Numbers:
    """Pairs (m, 2) of near items among sketches (n, 256), in order; at most 8 n times the number of bands are compared.

    `pictures` are thumbnails and courses of arrays, whose levels are compared; else they are smallest hashes, near where
    the share `shared` of them is equal.

    Items are sorted by each of a few parts (bands) of their sketch; only neighbours with an equal part are compared.
    """
    n = len(sketches)
    keys = _picture_bands(sketches) if pictures else _grid_bands(sketches)
    found = []
    for key in keys:
        order = np.argsort(key, kind="stable")
        for distance in range(1, min(NEXT, n - 1) + 1):
            a, b = order[:-distance], order[distance:]
            same = (key[a] == key[b]) & (key[a] != 0)
            found.append(np.stack([a[same], b[same]], axis=1))
    candidates = np.unique(np.sort(np.concatenate(found), axis=1), axis=0) if found else np.zeros((0, 2), np.int64)
    close = _near_pictures if pictures else partial(_near_hashes, shared=shared)
    kept = [part[close(sketches[part[:, 0]], sketches[part[:, 1]])] for part in np.array_split(candidates, len(candidates) // 10_000 + 1)]  # fmt: skip
    return np.concatenate(kept) if kept else candidates


def groups(count: int, near: Numbers) -> list[list[int]]:
    """The groups of two or more that pairs (m, 2) join among `count` items, the largest first."""
    root = joined(count, (near[:, 0], near[:, 1]))
    members: dict[int, list[int]] = {}
    for i in np.unique(near).tolist():
        members.setdefault(int(root[i]), []).append(i)
    return sorted((g for g in members.values() if len(g) > 1), key=lambda g: (-len(g), g[0]))


def _picture_bands(sketches: Sketches) -> list[npt.NDArray[np.uint64]]:
    """Four parts of 16 bits of the differences between neighbouring eighths (dHash), 0 for pictures without contrast."""
    coarse = sketches.reshape(-1, 8, 2, 8, 2).astype(np.float64).mean(axis=(2, 4))
    wrapped = np.concatenate([coarse, coarse[:, :, :1]], axis=2)
    bits = np.packbits((np.diff(wrapped, axis=2) > 0).reshape(len(sketches), 64), axis=1)
    flat = coarse.reshape(len(coarse), 64).std(axis=1) < FLAT
    bands = bits.reshape(-1, 4, 2).astype(np.uint64)
    return [np.where(flat, 0, bands[:, i, 0] * 256 + bands[:, i, 1] + 1).astype(np.uint64) for i in range(4)]


def _grid_bands(sketches: Sketches) -> list[npt.NDArray[np.uint64]]:
    """Sixteen parts of four bins, 0 where all of them are empty: one at least is equal, in all likelihood, where 90 % are."""
    low = np.ascontiguousarray(sketches).view(np.uint32).reshape(-1, 16, 4).astype(np.uint64)
    weights = np.array([1, 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], np.uint64)
    empty = (low == np.uint64(EMPTY)).all(axis=2)
    keys = np.where(empty, 0, (low * weights).sum(axis=2, dtype=np.uint64) | np.uint64(1))
    return [keys[:, i].astype(np.uint64) for i in range(16)]


def _near_pictures(a: Sketches, b: Sketches) -> npt.NDArray[np.bool_]:
    x, y = (s.astype(np.float64) for s in (a, b))
    x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    spread = np.minimum(x.std(axis=1), y.std(axis=1))
    apart = np.sqrt(((x - y) ** 2).mean(axis=1))
    return np.asarray((apart <= np.minimum(GREY, 0.1 * spread)) & (spread >= FLAT))


def _near_hashes(a: Sketches, b: Sketches, shared: float) -> npt.NDArray[np.bool_]:
    x, y = (np.ascontiguousarray(s).view(np.uint32).reshape(-1, BINS) for s in (a, b))
    used = (x != EMPTY) | (y != EMPTY)
    return np.asarray((((x == y) & used).sum(axis=1) >= shared * used.sum(axis=1)) & (used.sum(axis=1) >= BINS // 4))
