"""Near copies without comparing every pair: small sketches of items, of which only those that share a part are compared."""

from __future__ import annotations

from itertools import pairwise

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
SHARED = 0.9  # share of filled cells (Jaccard) from which grids are near


def picture_sketches(pictures: npt.NDArray[np.float32]) -> Sketches:
    """Thumbnails of 16 x 16 mean grey levels (0 to 255) of pictures (n, h, w, c), as (n, 256)."""
    n, h, w, c = pictures.shape
    colours = 3 if c >= 3 else 1
    rows, columns = (np.linspace(0, size, SIDE + 1).astype(int).tolist() for size in (h, w))
    strips = [_band(pictures.reshape(n, h, w * c), *ends) for ends in pairwise(rows)]
    grey = np.stack(strips, axis=2).reshape(n, w, c, SIDE)[:, :, :colours].mean(axis=2)
    cells = np.stack([_band(grey, *ends) for ends in pairwise(columns)], axis=2)
    return np.asarray(cells, np.uint8).reshape(n, BYTES)


def _band(array: npt.NDArray[np.float32], low: int, high: int) -> npt.NDArray[np.float32]:
    """The mean of some rows of (n, rows, k), shape (n, k); the row itself where pictures are smaller than sketches."""
    return np.asarray(array[:, low : max(high, low + 1)].mean(axis=1))


def grid_sketches(
    cells: npt.NDArray[np.int32], values: npt.NDArray[np.int64], owner: npt.NDArray[np.int64], count: int
) -> Sketches:
    """Smallest hashes of (cell, value) in 64 bins for each of `count` grids, as (count, 256) bytes.

    `cells`, `values` and `owner` (m,) tell place, value and grid of each filled cell. One-permutation hashing: two
    grids agree in a bin with the probability of their Jaccard index (Li, Owen and Zhang 2012, arXiv 1208.1259).
    """
    mixed = (cells.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) ^ (
        values.view(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
    )
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    low = np.full(count * BINS, EMPTY, np.uint32)
    np.minimum.at(low, owner * BINS + (mixed >> np.uint64(58)).astype(np.int64), (mixed >> np.uint64(20)).astype(np.uint32))  # fmt: skip
    return low.reshape(count, BINS).view(np.uint8).reshape(count, BYTES)


def pairs(sketches: Sketches, *, pictures: bool) -> Numbers:
    """Pairs (m, 2) of near items among sketches (n, 256), in order; at most 8 n times the number of bands are compared.

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
    close = _near_pictures if pictures else _near_grids
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


def _near_grids(a: Sketches, b: Sketches) -> npt.NDArray[np.bool_]:
    x, y = (np.ascontiguousarray(s).view(np.uint32).reshape(-1, BINS) for s in (a, b))
    used = (x != EMPTY) | (y != EMPTY)
    return np.asarray((((x == y) & used).sum(axis=1) >= SHARED * used.sum(axis=1)) & (used.sum(axis=1) >= BINS // 4))
