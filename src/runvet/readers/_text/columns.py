"""The numbers of a run of lines of one kind, as columns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from runvet.readers._text.prefix import Prefixes
from runvet.readers._text.scan import LONGEST, Scan
from runvet.readers._text.templates import Template, fits
from runvet.run import FloatArray, IntArray


class Columns:
    """Lines `begin` to `end` of a scan, which all have templates of one kind; all arrays are (end - begin,).

    `fine` says which lines are just what their template says. `time` is None where lines have none, and counts from
    midnight where the clock has no date. Parts of the position that lines of this kind lack are None.
    """

    def __init__(
        self, scan: Scan, templates: list[Template], which: IntArray, begin: int, end: int, prefixes: Prefixes
    ) -> None:
        self.scan, self.begin, self.kind = scan, begin, templates[which[begin]].kind
        size, mine, first = end - begin, which[begin:end], scan.run[begin:end]
        kind = self.kind
        table = np.empty((len(templates[which[begin]].values), size))
        time = np.empty(size) if kind.time else None
        self.fine = self._short(begin, end)
        for index in [int(mine[0])] if (mine == mine[0]).all() else np.unique(mine).tolist():
            template = templates[index]
            rows = np.flatnonzero(mine == index)
            runs = first[rows]
            self.fine[rows] &= fits(scan, template, runs)
            rows = rows[self.fine[rows]]
            runs = first[rows]
            for column, value in zip(table, template.values, strict=True):
                column[rows] = value.read(scan, runs)
            if template.stamp is not None and time is not None and len(rows):
                time[rows], valid = template.stamp.read(scan, runs, prefixes)
                self.fine[rows] &= valid
        self.time = time
        names = kind.names
        self.values = dict(zip(names, table, strict=False))
        rest = iter(table[len(names) :])
        self.epoch, self.epochs, self.step, self.steps = (
            next(rest) if has else None for has in (kind.epoch, kind.epochs, kind.step, kind.steps)
        )
        self.planned = tuple(zip(kind.planned, rest, strict=True))
        for place in (self.epoch, self.step, self.steps):
            if place is not None:
                self.fine &= np.isfinite(place)
        self._repeats(table)

    def _short(self, begin: int, end: int) -> npt.NDArray[np.bool_]:
        """Which lines have no number of too many digits."""
        fine = np.ones(end - begin, np.bool_)
        runs = slice(self.scan.run[begin], self.scan.run[end] if end < len(self.scan.run) else None)
        for run in np.flatnonzero(self.scan.length[runs] > LONGEST).tolist():
            fine[np.searchsorted(self.scan.run[begin:end], run + runs.start, side="right") - 1] = False
        return fine

    def _repeats(self, table: FloatArray) -> None:
        """Lines that repeat the one before are not fine."""
        begin, end = self.scan.begin[self.begin :], self.scan.end[self.begin :]
        same = np.ones(len(self.fine) - 1, np.bool_)
        for column in (*table, *(() if self.time is None else (self.time,))):
            same &= ~(column[1:] != column[:-1])
        for row in (np.flatnonzero(same) + 1).tolist():
            if self.scan.block[begin[row] : end[row]] == self.scan.block[begin[row - 1] : end[row - 1]]:
                self.fine[row] = False

    def text(self, row: int) -> bytes:
        """One line without its end."""
        at = self.begin + row
        return self.scan.block[self.scan.begin[at] : self.scan.end[at]].removesuffix(b"\r")
