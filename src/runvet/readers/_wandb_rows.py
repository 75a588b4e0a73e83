"""Rows of a W&B history by the thousand: records whose bytes have a known form become a matrix of numbers at once.

Nothing is guessed: every byte of such a record but the digits of its numbers is compared with the form. Records that
differ in anything are left to the reader, which walks their fields one by one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import orjson

from runvet.run import FloatArray, IntArray
from runvet.sink import Sink

_ITEM, _VALUE, _STEP, _NUMBER, _HISTORY = 0x0A, b"\x82\x01", 0x12, 0x08, 0x12
_SHORT = 128  # lengths below take one byte
_READ = frozenset((0x12, 0x2A, 0x3A, 0x8A, 0x92))  # first bytes of the fields that say something: see `wandb.py`
_PLAIN = b"-+.0123456789eENaInfity"  # what numbers consist of
_ODD = np.ones(256, np.bool_)
_ODD[np.frombuffer(_PLAIN, np.uint8)] = False
_PAD = bytes(512)
_TIMESTAMP, _RUNTIME = 1, 2  # where the names of all series have them
NUMERIC = frozenset(b"%c" % c for c in b"0123456789-NI")  # what the text of a number begins with

ByteArray = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


class Chunk:
    """Consecutive records side by side. `begin` and `end` (n,) are the offsets of the records in `data` (bytes,).

    `rows` are the indices of those that begin as a numbered history row does, `body` (n,) where the items of such a
    row begin; `others` are the indices of the records that must be looked at one by one.
    """

    def __init__(self, records: list[bytes]) -> None:
        self.joined = b"".join((*records, _PAD))
        self.data: ByteArray = np.frombuffer(self.joined, np.uint8)
        self.words: npt.NDArray[np.uint64] = np.ndarray(len(self.joined) - 7, "<u8", self.joined, strides=(1,))
        self.end: IntArray = np.cumsum(np.fromiter(map(len, records), np.int64, len(records)))
        begin = np.concatenate(([0], self.end[:-1]))
        kind = self._past_number(begin + 1)
        numbered = (self.data[begin] == _NUMBER) & (kind < self.end)
        tag = self.data[kind]
        row = numbered & (tag == _HISTORY)
        self.body = self._past_number(kind + 1)
        self.rows: IntArray = np.flatnonzero(row)
        silent = ~np.isin(tag, list(_READ)) & (tag & 7 == 2) & (tag < _SHORT)
        self.others: IntArray = np.flatnonzero(~row & ~(numbered & silent))

    def _past_number(self, at: IntArray) -> IntArray:
        """The offsets behind the varints that begin at `at` (n,); of broken ones any offset within `data`."""
        more = self.data[at] >= _SHORT
        for _ in range(9):
            if not more.any():
                break
            at = at + more
            more &= self.data[at] >= _SHORT
        return np.minimum(at + 1, len(self.joined) - len(_PAD))


class Form:
    """The keys of one kind of row. `which` says for each item that is read which series it belongs to.

    `_runtime` is not read where `_timestamp` stands beside it.
    """

    def __init__(self, keys: list[bytes], which: list[int]) -> None:
        needless = {_RUNTIME} if _TIMESTAMP in which else set()
        self.used = [at for at, index in enumerate(which) if index not in needless]
        self.which = [which[at] for at in self.used]
        self.keys = [key + _VALUE for key in keys]
        self.literals = [_literal(key) for key in self.keys]

    @staticmethod
    def can(keys: list[bytes], which: list[int]) -> bool:
        """Whether rows of these keys can be read as a matrix: no key stands there twice, none is overlong."""
        return 0 < len(keys) == len(set(which)) and max(map(len, keys)) < _SHORT - 32

    def match(self, chunk: Chunk, rows: IntArray) -> tuple[IntArray, FloatArray]:
        """Which of the records have this form, as indices (n,), and their numbers (n, items)."""
        at = chunk.body[rows]
        spans: list[tuple[IntArray, IntArray]] = []
        for key, literal in zip(self.keys, self.literals, strict=True):
            size, length = chunk.data[at + 1], chunk.data[at + 2 + len(key)].astype(np.int64)
            fine = (chunk.data[at] == _ITEM) & (size < _SHORT) & (size == len(key) + 1 + length)
            fine &= at < chunk.end[rows]
            for offset, mask, word in literal:
                fine &= (chunk.words[at + (2 + offset)] & mask) == word
            if not fine.all():
                rows, at, length = rows[fine], at[fine], length[fine]
                spans = [(start[fine], stop[fine]) for start, stop in spans]
            start = at + (3 + len(key))
            at = start + length
            spans.append((start, at))
        fine = _ends(chunk, at, chunk.end[rows])
        start = np.stack([spans[at][0] for at in self.used], axis=1)
        stop = np.stack([spans[at][1] for at in self.used], axis=1)
        if not fine.all():
            rows, start, stop = rows[fine], start[fine], stop[fine]
        return _numbers(chunk, rows, start, stop)


def _literal(key: bytes) -> list[tuple[int, np.uint64, np.uint64]]:
    """Bytes to be found, as words of eight bytes: offset, mask and value of each."""
    words = []
    for offset in range(0, len(key), 8):
        part = key[offset : offset + 8]
        mask = int.from_bytes(b"\xff" * len(part), "little")
        words.append((offset, np.uint64(mask), np.uint64(int.from_bytes(part, "little"))))
    return words


def _ends(chunk: Chunk, at: IntArray, end: IntArray) -> Mask:
    """Whether nothing but the step stands between the last item and the end of a record."""
    rest = end - at
    at = np.minimum(at, len(chunk.joined) - len(_PAD))
    step = (chunk.data[at] == _STEP) & (chunk.data[at + 1] == rest - 2) & (rest <= 13)
    step &= (rest == 2) | (chunk.data[at + 2] == _NUMBER)
    return np.asarray((rest == 0) | step)


def _numbers(chunk: Chunk, rows: IntArray, start: IntArray, stop: IntArray) -> tuple[IntArray, FloatArray]:
    """The numbers (n, items) at `start:stop` (n, items), without the rows in which something else stands."""
    none = rows[:0], np.empty((0, start.shape[1]))
    for _ in range(2):
        if not len(rows):
            return none
        size = (stop - start).ravel() + 1  # with a comma behind it
        ends = np.cumsum(size)
        where = np.arange(ends[-1]) + np.repeat(start.ravel() - (ends - size), size)
        text = chunk.data[where]
        text[ends - 1] = ord(",")
        joined = text[:-1].tobytes()
        if not joined.translate(None, _PLAIN + b",") and np.count_nonzero(text == ord(",")) == start.size:
            try:
                values = np.fromiter(_parsed(joined), np.float64, start.size)
            except (ValueError, OverflowError, TypeError):
                return none
            return rows, values.reshape(start.shape)
        text[ends - 1] = ord("0")
        odd = np.searchsorted(ends, np.flatnonzero(_ODD[text]), side="right") // start.shape[1]
        keep = np.ones(len(rows), np.bool_)
        keep[odd] = False
        rows, start, stop = rows[keep], start[keep], stop[keep]
    return none


def _parsed(joined: bytes) -> list[float]:
    """Numbers with commas between them. NaN and Infinity are no JSON, but W&B writes them, and `json` takes them."""
    text = b"[" + joined + b"]"
    parsed: list[float] = json.loads(text) if b"N" in joined or b"I" in joined else orjson.loads(text)
    return parsed


class Rows:
    """Rows of one kind. `rows` (n,) are their numbers, `values` (n, items) the numbers of the series `which` (items,)."""

    def __init__(self, rows: IntArray, which: list[int], values: FloatArray) -> None:
        self.rows, self.which, self.values = rows, which, values

    def axis(self, index: int) -> FloatArray:
        """The values (n,) of one of the first series, NaN where they are unknown."""
        if index not in self.which:
            return np.full(len(self.rows), np.nan)
        return self.values[:, self.which.index(index)]

    def points(self) -> Iterator[tuple[int, FloatArray, IntArray | slice]]:
        """Every series with its values (k,) and where in `rows` they stand (k,)."""
        for at, index in enumerate(self.which):
            yield index, self.values[:, at], slice(None)


class Loose:
    """Rows that were read by their fields. After `end`, `rows` (n,) are their numbers."""

    def __init__(self) -> None:
        self._rows: list[int] = []
        self._steps: list[float] = []  # for every row: the step in the record itself
        self._counts: list[int] = []  # for every row: its items
        self._which: list[int] = []  # for every item: the index of its series
        self._texts: list[bytes] = []  # … and its JSON text

    def add(self, row: int, which: list[int], texts: list[bytes], step: float) -> None:
        """Keep one row."""
        self._rows.append(row)
        self._steps.append(step)
        self._counts.append(len(which))
        self._which += which
        self._texts += texts

    def end(self) -> bool:
        """Turn the texts of all rows into numbers; whether there are any rows."""
        found = [number_in(text) for text in self._texts]
        known = np.array([value is not None for value in found], np.bool_)
        self.rows = np.array(self._rows, np.int64)
        self._which_known = np.array(self._which, np.int64)[known]
        self._values = np.array([value for value in found if value is not None], np.float64)
        self._places = np.repeat(np.arange(len(self._rows)), self._counts)[known]
        return len(self._rows) > 0

    def axis(self, index: int) -> FloatArray:
        """The values (n,) of one of the first series, NaN where they are unknown."""
        axis = np.full(len(self.rows), np.nan) if index else np.array(self._steps)
        mine = self._which_known == index
        values = self._values[mine]
        axis[self._places[mine][values == values]] = values[values == values]
        return axis

    def points(self) -> Iterator[tuple[int, FloatArray, IntArray | slice]]:
        """Every series with its values (k,) and where in `rows` they stand (k,)."""
        order = np.argsort(self._which_known, kind="stable")
        for part in np.split(order, np.flatnonzero(np.diff(self._which_known[order])) + 1):
            if len(part):
                yield int(self._which_known[part[0]]), self._values[part], self._places[part]


def number_in(text: bytes) -> float | None:
    """The number in a JSON text (also the bare NaN and Infinity of W&B), else None."""
    if text[:1] not in NUMERIC:
        return None
    try:
        return float(text)
    except ValueError:
        return None


class Writer:
    """Hands rows over as columns. The first three `names` are `_step`, `_timestamp` and `_runtime`."""

    def __init__(self, sink: Sink, names: list[str]) -> None:
        self.sink, self.names = sink, names

    def write(self, parts: list[Rows | Loose]) -> None:
        """Write rows of several kinds, every series in the order of the rows in the file."""
        stamps = [part.axis(1) for part in parts]
        stamped = any(np.isfinite(stamp).any() for stamp in stamps)
        columns: dict[int, list[tuple[FloatArray, FloatArray, FloatArray, IntArray]]] = {}
        for part, stamp in zip(parts, stamps, strict=True):
            step, time = part.axis(0), stamp if stamped else part.axis(2)
            for index, value, where in part.points():
                if index >= 3 and not self.names[index].startswith("_wandb"):
                    columns.setdefault(index, []).append((value, step[where], time[where], part.rows[where]))
        for index, pieces in sorted(columns.items()):
            value, step, time, rows = pieces[0]
            if len(pieces) > 1:
                value, step, time = (np.concatenate([piece[i] for piece in pieces]) for i in range(3))
                rows = np.concatenate([piece[3] for piece in pieces])
                order = np.argsort(rows, kind="stable")
                value, step, time, rows = value[order], step[order], time[order], rows[order]
            self.sink.columns(self.names[index], value, step=step, time=time, line=rows)
