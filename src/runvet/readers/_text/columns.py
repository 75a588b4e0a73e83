"""The numbers of many lines of one kind, as columns."""

from __future__ import annotations

import numpy as np

from runvet.readers._text.prefix import Prefixes
from runvet.readers._text.scan import Scan
from runvet.readers._text.templates import Template, fits
from runvet.run import FloatArray, IntArray


class Columns:
    """The `lines` (n,) of a scan, ascending, which all have templates of one kind; all arrays are (n,).

    `fine` says which lines are just what their template says. `time` is None where lines have none, and counts from
    midnight where the clock has no date. Parts of the position that lines of this kind lack are None.
    """

    def __init__(
        self, scan: Scan, templates: list[Template], which: IntArray, lines: IntArray, prefixes: Prefixes
    ) -> None:
        mine = which[lines]
        self.scan, self.lines, self.kind = scan, lines, templates[mine[0]].kind
        size, first, kind = len(lines), scan.run[lines], self.kind
        table = np.empty((len(templates[mine[0]].values), size))
        time = np.empty(size) if kind.time else None
        self.fine = scan.short[lines]
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

    def _repeats(self, table: FloatArray) -> None:
        """Lines that repeat the one right before them are not fine."""
        same = np.diff(self.lines) == 1
        for column in (*table, *(() if self.time is None else (self.time,))):
            if not same.any():
                return
            same &= ~(column[1:] != column[:-1])
        for row in (np.flatnonzero(same) + 1).tolist():
            if self.scan.line(int(self.lines[row])) == self.scan.line(int(self.lines[row - 1])):
                self.fine[row] = False
