"""A block of lines as arrays: where its lines and digits are, and the shape of every line."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from runvet.run import FloatArray, IntArray

LONGEST = 15  # digits of a number that is converted here: its mantissa is exact in a double

_MASK = bytes(48 if 48 <= i <= 57 else i for i in range(256))  # every digit becomes 0
_BEFORE_SIGN = np.zeros(256, np.bool_)  # characters after which `-` or `+` before a digit is the number's own
_BEFORE_SIGN[np.frombuffer(b" \t=([", np.uint8)] = True
_POWERS = 10.0 ** np.arange(23)  # exact doubles


def owns_sign(before: str) -> bool:
    """Whether a sign after this character belongs to the number behind it and is no part of the line's shape."""
    return before != "" and before in " \t=(["


class Scan:
    """One block of whole lines. `shapes` holds one byte string a line: its text with every run of digits as one `0`.

    `text` (bytes,) is the block, `begin` and `end` (n,) the offsets of the lines without their ends, `run` (n,) the
    index of each line's first run of digits in `start` and `length` (runs,).
    """

    def __init__(self, block: bytes) -> None:
        self.block = block
        self.text = np.frombuffer(block, np.uint8)
        digit = (self.text - np.uint8(48)) < 10
        ends = np.flatnonzero(self.text == 10)
        self.begin = np.concatenate(([0], ends[:-1] + 1))
        self.end = ends
        edges = np.flatnonzero(digit[1:] != digit[:-1]) + 1
        if digit[0]:
            edges = np.concatenate(([0], edges))
        self.start = edges[0::2]  # the block ends with a newline, so edges come in pairs
        self.length = edges[1::2] - self.start
        self.run = np.searchsorted(self.start, self.begin)
        keep = np.empty(len(digit), np.bool_)
        keep[0] = True
        np.logical_and(digit[1:], digit[:-1], out=keep[1:])
        np.logical_not(keep[1:], out=keep[1:])
        sign = self.start[self.start >= 2] - 1
        sign = sign[((self.text[sign] == 45) | (self.text[sign] == 43)) & _BEFORE_SIGN[self.text[sign - 1]]]
        keep[sign] = False
        self.shapes = self.text[keep].tobytes().translate(_MASK).split(b"\n")[:-1]

    @cached_property
    def short(self) -> npt.NDArray[np.bool_]:
        """Which lines (n,) have no number of too many digits."""
        fine = np.ones(len(self.begin), np.bool_)
        long = np.flatnonzero(self.length > LONGEST)
        fine[np.searchsorted(self.begin, self.start[long], side="right") - 1] = False
        return fine

    def line(self, at: int) -> bytes:
        """One line without its end."""
        return self.block[self.begin[at] : self.end[at]].removesuffix(b"\r")

    def whole(self, runs: IntArray) -> IntArray:
        """The non-negative integers (n,) that runs of at most `LONGEST` digits spell; runs (n,) are indices."""
        start, length = self.start[runs], self.length[runs]
        longest = int(length.max(initial=0))
        value = np.zeros(len(runs), np.int64)
        if longest == length.min(initial=longest):
            for place in range(longest):
                value = value * 10 + (self.text[start + place] - np.uint8(48))
            return value
        end = start + length
        for place in range(longest, 0, -1):
            digit = np.where(length >= place, self.text[end - place] - np.uint8(48), 0)
            value = value * 10 + digit
        return value

    def minus(self, runs: IntArray) -> npt.NDArray[np.bool_]:
        """Whether a minus stands right before each run (n,)."""
        return np.asarray(self.text[self.start[runs] - 1] == 45)

    def signed(self, runs: IntArray) -> npt.NDArray[np.bool_]:
        """Whether a sign stands right before each run (n,)."""
        before = self.text[self.start[runs] - 1]
        return np.asarray((before == 45) | (before == 43))


def decimal(whole: IntArray, part: IntArray | None, places: IntArray, power: IntArray | None) -> FloatArray:
    """`whole.part × 10**power` (n,), `places` being the digits of `part`; exact where |power - places| <= 22.

    Digits of at most 10**15 and powers of ten up to 10**22 are exact doubles, so that one division or multiplication
    rounds as `float` of the same text does.
    """
    mantissa = (whole if part is None else whole * 10**places + part).astype(np.float64)
    scale = -places if power is None else power - places
    size = _POWERS[np.minimum(np.abs(scale), 22)]
    return np.where(scale < 0, mantissa / size, mantissa * size)
