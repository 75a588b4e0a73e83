"""Many lines at once: runs of lines that say the same things become columns without being read one by one.

`TextLog` stays the one that knows what a line means. This takes only lines whose meaning depends on nothing but their
own numbers and on state that stays as it is from the first line of a run to the last; every run begins with a line
that `TextLog` read, and ends before the first line that would change that state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import repeat

import numpy as np

from runvet.readers._text.columns import Columns
from runvet.readers._text.log import TextLog
from runvet.readers._text.places import Places, places
from runvet.readers._text.scan import Scan
from runvet.readers._text.stamps import past_midnight
from runvet.readers._text.templates import Kind, Template, compile_template
from runvet.run import IntArray
from runvet.sink import Sink

_RUN = 16  # shorter runs are not worth it
_SHAPES = 4_096  # shapes remembered
_FIRST = 64  # lines of a run that are tried first; four times as many after each success
_MOST = 1 << 20
_POOR = 8  # tries that take fewer lines cost more than they save …
_PATIENCE = 4  # … so that a run with so many of them is left to the caller

Span = tuple[int, int, int]


class Bulk:
    """Takes what it can of each block and leaves the rest to the caller."""

    def __init__(self, log: TextLog, sink: Sink, encoding: str) -> None:
        self._log, self._sink, self._encoding = log, sink, encoding
        self._index: dict[bytes, int] = {}  # shape -> index into `_templates`, -1 for a shape without one
        self._templates: list[Template] = []
        self._kinds: dict[Kind, int] = {}
        self._of: list[int] = []  # for every template the number of its kind
        self._window = _FIRST  # lines that are tried together

    def spans(self, block: bytes, line: int) -> Iterator[Span]:
        """Spans (begin, end, number of the first line) that the caller must read before it asks for the next one.

        `block` holds whole lines; `line` is the number of its first. The lines outside of all spans have been taken.
        """
        scan = Scan(block)
        which = self._known(scan)
        kind = np.array([*self._of, -1], np.int64)[which]
        bounds = np.concatenate(([0], np.flatnonzero(np.diff(kind)) + 1, [len(kind)]))
        left = 0  # the first line that nobody has read
        long = np.flatnonzero((np.diff(bounds) >= _RUN) & (kind[bounds[:-1]] >= 0))
        for begin, end in zip(bounds[long].tolist(), bounds[long + 1].tolist(), strict=True):
            yield _span(scan, left, begin + 1, line)
            columns = Columns(scan, self._templates, which, begin, end, self._log.prefixes)
            for first, last in self._run(columns, begin + 1, end, line):
                yield _span(scan, first, last, line)
            left = end
        if left < len(kind):
            yield _span(scan, left, len(kind), line)

    def _known(self, scan: Scan) -> IntArray:
        """The template of every line (n,), -1 where it has none; shapes that come often get one."""
        for shape, times in Counter(scan.shapes).items():
            if times >= _RUN and shape not in self._index:
                if len(self._index) >= _SHAPES:
                    self._index.clear()
                self._index[shape] = self._learn(scan, shape)
        return np.fromiter(map(self._index.get, scan.shapes, repeat(-1)), np.int64, len(scan.shapes))

    def _learn(self, scan: Scan, shape: bytes) -> int:
        at = scan.shapes.index(shape)
        raw = scan.block[scan.begin[at] : scan.end[at]]
        template = compile_template(raw, shape, self._encoding, self._log.prefixes, self._log.session.shapes)
        if template is None:
            return -1
        self._templates.append(template)
        self._of.append(self._kinds.setdefault(template.kind, len(self._kinds)))
        return len(self._templates) - 1

    def _run(self, columns: Columns, at: int, end: int, line: int) -> Iterator[tuple[int, int]]:
        """Take lines `at` to `end`; gives (begin, end) of those between that must be read by themselves."""
        poor = 0
        while at < end:
            stop = min(end, at + self._window)
            taken = self._take(columns, slice(at - columns.begin, stop - columns.begin), line)
            at += taken
            self._window = min(self._window * 4, _MOST) if at == stop else _FIRST
            poor += taken < _POOR
            if at < stop:
                last = end if poor >= _PATIENCE else at + 1
                yield at, last
                at = last

    def _take(self, columns: Columns, rows: slice, line: int) -> int:
        """Take as many of the rows as can be, from the first one on; gives how many."""
        log, kind = self._log, columns.kind
        session = log.session
        names = session.renamed(kind.within, kind.names)
        if names is None or session.crashed or log.open or (log.tables and kind.slots < 2):
            return 0
        found = places(session, columns, rows) if session.points.knows(names.values()) else None
        if found is None:
            return 0
        fine = found.fine & columns.fine[rows]
        for what, total in columns.planned:
            fine &= (total[rows] == session.said(what)) | ~(total[rows] > 0)
        size = len(fine) if fine.all() else int(fine.argmin())
        if size:
            self._write(columns, slice(rows.start, rows.start + size), found, names, line)
        return size

    def _write(self, columns: Columns, rows: slice, found: Places, names: dict[str, str], line: int) -> None:
        session, size = self._log.session, rows.stop - rows.start
        side = columns.kind.phase in {"val", "test"}
        time = None if columns.time is None else columns.time[rows]
        if time is not None and columns.kind.time == "clock":
            day, former = self._log.prefixes.clock
            clock = float(time[-1])
            time, day = past_midnight(time, former, day)
            self._log.prefixes.clock = (day, clock)
        steps = None if columns.steps is None else columns.steps[rows]
        found.commit(session, size, trained=not side, steps=steps)
        lines = np.arange(rows.start, rows.stop) + (columns.begin + line)
        for own, name in names.items():
            self._sink.columns(
                name, columns.values[own][rows], step=found.step[:size], epoch=found.epoch[:size], time=time, line=lines
            )
        session.points.count += size
        session.section, session.banner = columns.kind.phase, False
        session.former = columns.text(rows.stop - 1).decode(self._encoding, "replace")


def _span(scan: Scan, first: int, last: int, line: int) -> Span:
    return int(scan.begin[first]), int(scan.end[last - 1]) + 1, line + first
