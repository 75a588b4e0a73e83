"""Values of tensors, streamed once: what is not finite, how much is zero, mean, spread, extremes and a digest."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from runvet.checkpoints.blocks import SPAN, folded, raw_blocks, whole
from runvet.checkpoints.content import Content, Found, Piece
from runvet.checkpoints.dtypes import DType, decoded, dtype
from runvet.checkpoints.model import Values
from runvet.checkpoints.problems import Damaged, Unread
from runvet.checkpoints.scan_codes import Codes, halves

READS = 4  # a file's bytes are read at most so often, whatever overlapping views it declares
UNPACKED = 1 << 30  # bytes beyond that: small files with many views, packed arrays
_PRIME = 0x9E3779B97F4A7C15
_ALL = (1 << 64) - 1
_HALF = 65536.0  # no finite float16 is as large


@dataclass(slots=True)
class Tally:
    """Running figures of one tensor; blocks are merged by the pairwise formula, so that large means cost no digits."""

    count: int = 0
    non_finite: int = 0
    zero: int = 0
    mean: float = 0.0
    squares: float = 0.0  # sum of squared distances from the mean
    minimum: float = math.inf
    maximum: float = -math.inf
    crc: int = 0
    mixed: int = 0
    scanned: bool = False

    def merge(self, count: int, mean: float, squares: float, low: float, high: float) -> None:
        """Add finite values by their figures."""
        if count:
            total = self.count + count
            apart = mean - self.mean
            self.mean += apart * count / total
            self.squares += squares + apart * apart * self.count * count / total
            self.count, self.minimum, self.maximum = total, min(self.minimum, low), max(self.maximum, high)

    def digest(self, label: str) -> str:
        """24 hex digits over the bytes, the element type and the shape."""
        return f"{zlib.crc32(label.encode(), self.crc):08x}{self.mixed:016x}"


def scan(content: Content, size: int) -> Values:
    """Scan all tensors of a file of `size` bytes. What cannot be read becomes a problem of the content."""
    done: dict[Any, Tally] = {}
    left = READS * size + UNPACKED
    tallies = []
    for found in content.found:
        key = tuple((p.store.key, p.dtype, p.start, p.shape, p.stride) for p in found.pieces) or id(found)
        tally = done.get(key)
        if tally is None:
            tally = done[key] = Tally()
            left -= sum(min(p.span, p.elements) * _width(p) for p in found.pieces)
            if left >= 0:
                _tensor(found, tally, content)
            elif not any("views" in p.message for p in content.problems):
                content.damaged(f"its views and packed arrays stand for more than {READS} times its bytes")
        tallies.append((found, tally))
    return _columns(tallies)


def _tensor(found: Found, tally: Tally, content: Content) -> None:
    if not found.pieces:
        return
    try:
        with np.errstate(all="ignore"):
            for piece in found.pieces:
                _piece(piece, tally)
        missing = found.tensor.elements - sum(p.elements for p in found.pieces)
        if missing > 0 and found.tensor.layout == "sparse":
            tally.zero += missing
            tally.merge(missing, 0.0, 0.0, 0.0, 0.0)
        tally.scanned = missing <= 0 or found.tensor.layout != "dense" or dtype_packed(found.tensor.dtype)
    except (Damaged, OSError) as error:
        content.damaged(f"tensor {found.tensor.name[:120]!r}: {error}")
    except Unread:
        return


def _width(piece: Piece) -> int:
    known = dtype(piece.dtype)
    return known.size if known else 1


def dtype_packed(name: str) -> bool:
    """Whether several elements share a byte, so that counts are of bytes."""
    known = dtype(name)
    return known is not None and known.decode == "packed"


def _piece(piece: Piece, tally: Tally) -> None:
    small, times = folded(piece)
    known = dtype(piece.dtype)
    assert known is not None
    before = tally.crc
    tally.crc = 0
    codes = Codes(known) if known.size <= 2 and known.name != "complex32" else None
    counted = False
    for raw in raw_blocks(small):
        flat = np.ascontiguousarray(raw)
        data = flat.view(np.uint8).data
        tally.crc = zlib.crc32(data, tally.crc)
        tally.mixed = (tally.mixed * _PRIME + _mix(flat)) & _ALL
        if known.decode == "packed":
            continue
        if piece.store.big:
            flat = flat.astype(known.raw)
        if codes is None:
            _figures(flat, decoded(flat, known), tally, times)
        elif known.size == 1 or not _small_floats(flat, known, tally, times):
            codes.add(flat)
            counted = True
    if codes is not None and counted:
        _counted(codes, tally, times)
    entire = whole(small) and small.start == 0 and small.elements * known.size == piece.store.size
    if entire and piece.store.crc and tally.crc != piece.store.crc:
        raise Damaged("its bytes are not those that were written: the archive's checksum differs")
    tally.crc ^= (before * 31) & 0xFFFFFFFF


def _mix(raw: npt.NDArray[Any]) -> int:
    """A weighted sum of the bytes as 64-bit words: as fast as memory, and sensitive to place."""
    data = raw.view(np.uint8)
    words = len(data) // 8
    total = int(np.dot(data[: words * 8].view(np.uint64), _weights()[:words])) if words else 0
    rest = data[words * 8 :]
    return (total + int.from_bytes(rest.tobytes(), "little") * 0x2545F4914F6CDD1D) & _ALL if len(rest) else total


@cache
def _weights() -> npt.NDArray[np.uint64]:
    """Fixed odd weights, enough for the longest block."""
    weights: npt.NDArray[np.uint64] = np.random.PCG64(20).random_raw(SPAN // 8) | np.uint64(1)
    return weights


def _counted(codes: Codes, tally: Tally, times: int) -> None:
    bad, zero, good, mean, squares, low, high = codes.figures()
    tally.non_finite += bad * times
    tally.zero += zero * times
    tally.merge(good * times, mean, squares * times, low, high)


def _small_floats(raw: npt.NDArray[Any], known: DType, tally: Tally, times: int) -> bool:
    """Merge a block of 16-bit floats at the speed of float32; False, and nothing merged, where that isn't exact enough."""
    if known.decode not in ("table", "shift"):
        return False
    values = halves(raw) if known.decode == "table" else decoded(raw, known)
    low, high = float(values.min()), float(values.max())
    if known.decode == "table" and not max(-low, high) < _HALF:
        return False
    return _plain(values, low, high, tally, times)


def _figures(raw: npt.NDArray[Any], values: npt.NDArray[Any], tally: Tally, times: int) -> None:
    """Merge a block of decoded values; `times` for expanded tensors, whose elements stand for several."""
    if values.dtype.kind == "c" or len(values) != len(raw):
        _complex(values, tally, times)
        return
    if values.dtype.byteorder == ">":
        values = values.astype(values.dtype.newbyteorder("="))
    low, high = float(values.min()), float(values.max())
    if values.dtype.kind in "iub":
        real = values.astype(np.float64)
        mean = float(real.mean())
        real -= mean
        tally.zero += (len(values) - int(np.count_nonzero(values))) * times
        tally.merge(len(values) * times, mean, _square(real) * times, low, high)
    elif not _plain(values, low, high, tally, times):
        tally.zero += (len(values) - int(np.count_nonzero(values != 0))) * times
        _careful(values, tally, times)


def _plain(values: npt.NDArray[Any], low: float, high: float, tally: Tally, times: int) -> bool:
    """Merge finite floats in their own precision; False, and nothing merged, where that isn't enough."""
    count, square, total = len(values), _square(values), float(values.sum())
    if not math.isfinite(square + total):
        return False
    mean = total / count
    spread = square - count * mean * mean
    if spread < 1e-3 * square:  # a narrow distribution far from zero
        return False
    tally.zero += (count - int(np.count_nonzero(values != 0))) * times
    tally.merge(count * times, mean, spread * times, low, high)
    return True


def _square(values: npt.NDArray[Any]) -> float:
    """The sum of squares, in this thread: in double precision, BLAS would wake others."""
    return float(np.dot(values, values) if values.itemsize == 4 else np.einsum("i,i->", values, values))


def _careful(values: npt.NDArray[Any], tally: Tally, times: int) -> None:
    """The same in double precision over the finite values only."""
    good = np.isfinite(values)
    tally.non_finite += (len(values) - int(np.count_nonzero(good))) * times
    real = (values if good.all() else values[good]).astype(np.float64)
    if len(real):
        low, high, mean = float(real.min()), float(real.max()), float(real.mean())
        real -= mean
        tally.merge(len(real) * times, mean, _square(real) * times, low, high)


def _complex(values: npt.NDArray[Any], tally: Tally, times: int) -> None:
    """Complex values: counted as numbers, figures over both parts."""
    parts = values.view(values.real.dtype) if values.dtype.kind == "c" else values
    pairs = parts.reshape(-1, 2)
    good = np.isfinite(pairs).all(axis=1)
    tally.zero += int(np.count_nonzero((pairs == 0).all(axis=1))) * times
    bad = (len(pairs) - int(np.count_nonzero(good))) * times
    _careful(np.ascontiguousarray(pairs[good]).reshape(-1), tally, times)
    tally.non_finite += bad


def _columns(tallies: list[tuple[Found, Tally]]) -> Values:
    if not tallies:
        return Values.empty()
    rows = [t for _, t in tallies]
    known = np.array([t.count > 0 for t in rows])

    def real(values: list[float]) -> npt.NDArray[np.float64]:
        return np.where(known, np.array(values, dtype=np.float64), np.nan)

    return Values(
        scanned=np.array([t.scanned for t in rows], dtype=np.bool_),
        non_finite=np.array([t.non_finite for t in rows], dtype=np.int64),
        zero=np.array([t.zero for t in rows], dtype=np.int64),
        mean=real([t.mean for t in rows]),
        std=real([math.sqrt(t.squares / t.count) if t.count and t.squares > 0 else 0.0 for t in rows]),
        minimum=real([t.minimum for t in rows]),
        maximum=real([t.maximum for t in rows]),
        digest=tuple(t.digest(f"{f.tensor.dtype}{f.tensor.shape}") if t.scanned else "" for f, t in tallies),
    )
