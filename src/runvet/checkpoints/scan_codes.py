"""Figures of small element types by counting bit patterns: exact, and as fast whatever the values are."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from runvet.checkpoints.dtypes import DType, decoded

_MANY = 1 << 16  # elements from which counting pairs of bytes is worth a table of as many counts
_FOLD = np.uint16(5)


class Codes:
    """How often each bit pattern of an 8- or 16-bit element type occurs, over any number of blocks."""

    __slots__ = ("_counts", "_kind", "_pairs")

    def __init__(self, kind: DType) -> None:
        self._kind = kind
        self._counts = np.zeros(256 if kind.size == 1 else 65536, np.int64)
        self._pairs: npt.NDArray[np.int64] | None = None

    def add(self, raw: npt.NDArray[Any]) -> None:
        """Count a block of raw elements, shape (n,)."""
        if self._kind.size == 1 and len(raw) >= _MANY:
            # Two bytes at once. Folded, since pairs of bytes that differ little would compete for the same cache lines.
            pairs = raw[: len(raw) // 2 * 2].view(np.uint16)
            folded = pairs >> _FOLD
            folded ^= pairs
            found = np.bincount(folded, minlength=65536)
            if self._pairs is None:
                self._pairs = found
            else:
                self._pairs += found
            raw = raw[len(pairs) * 2 :]
        codes = raw.view(np.uint8 if self._kind.size == 1 else np.uint16)
        self._counts += np.bincount(codes, minlength=len(self._counts))

    def counts(self) -> npt.NDArray[np.int64]:
        """By bit pattern, shape (256,) or (65536,)."""
        if self._pairs is None:
            return self._counts
        code = np.arange(65536, dtype=np.uint16)
        square = self._pairs[code ^ (code >> _FOLD)].reshape(256, 256)
        return np.asarray(self._counts + square.sum(axis=0) + square.sum(axis=1))

    def figures(self) -> tuple[int, int, int, float, float, float, float]:
        """Non-finite, zero, finite elements; mean, sum of squared distances from it, minimum, maximum of the finite."""
        counts, values = self.counts(), _values(self._kind)
        held = counts > 0
        counts, values = counts[held], values[held]
        good = np.isfinite(values)
        bad, zero = int(counts[~good].sum()), int(counts[values == 0].sum())
        counts, values = counts[good], values[good]
        total = int(counts.sum())
        if not total:
            return bad, zero, 0, 0.0, 0.0, 0.0, 0.0
        mean = float((counts * values).sum() / total)
        squares = float((counts * (values - mean) ** 2).sum())
        return bad, zero, total, mean, squares, float(values.min()), float(values.max())


@cache
def _values(kind: DType) -> npt.NDArray[np.float64]:
    """The value of every bit pattern."""
    raw = np.arange(256, dtype=np.uint8) if kind.size == 1 else np.arange(65536, dtype=np.uint16)
    with np.errstate(invalid="ignore"):
        return decoded(raw.view(kind.raw.newbyteorder("=")), kind).astype(np.float64)


def halves(raw: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    """float16 bit patterns as float32, without a table. Those of infinity and NaN become 65536 and more, by magnitude.

    The fields are moved to their places in a float32; a multiplication by 2**112 makes up for the other exponent bias.
    """
    wide = raw.view(np.int16).astype(np.int32)
    wide <<= 13
    wide &= np.int32(~0x70000000)  # the sign was extended over the top bits of the exponent
    values = wide.view(np.float32)
    values *= np.float32(2.0**112)
    return values
