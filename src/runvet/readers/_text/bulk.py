"""Many lines at once: runs of lines that say the same things become columns without being read one by one.

`TextLog` stays the one that knows what a line means. This takes only lines whose meaning depends on nothing but their
own numbers, on the position that lines hand on to each other, and on state that stays as it is: a run of lines, of
whatever kinds, is taken up to the first one that would change that state, and `TextLog` reads this one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import repeat

import numpy as np
import numpy.typing as npt

from runvet.readers._text.columns import Columns
from runvet.readers._text.log import TextLog
from runvet.readers._text.places import SIDES, Part, Places, places
from runvet.readers._text.scan import Scan
from runvet.readers._text.session import is_evaluation
from runvet.readers._text.stamps import past_midnight
from runvet.readers._text.templates import Kind, Template, compile_template
from runvet.run import FloatArray, IntArray
from runvet.sink import Sink

_RUN = 16  # shorter runs are not worth it
_NEW = -2  # in place of a template: the shape has not been looked at
_SHAPES = 4_096  # shapes remembered
_FIRST = 64  # lines of a run that are tried first; four times as many after each success
_MOST = 1 << 20
_POOR = 8  # tries that take fewer lines cost more than they save …
_PATIENCE = 4  # … so that after so many of them the caller reads …
_LEFT = 1_024  # … this many lines

Span = tuple[int, int, int]
Points = tuple[FloatArray, FloatArray, FloatArray, FloatArray, IntArray]  # values, steps, epochs, times, lines


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
        bounds = np.concatenate(([0], np.flatnonzero(np.diff(kind >= 0)) + 1, [len(kind)]))
        found: dict[int, Columns] = {}  # by kind
        left = 0  # the first line that nobody has read
        long = np.flatnonzero((np.diff(bounds) >= _RUN) & (kind[bounds[:-1]] >= 0))
        for begin, end in zip(bounds[long].tolist(), bounds[long + 1].tolist(), strict=True):
            kinds = set(kind[begin:end].tolist())
            if len(kinds) * _POOR > end - begin:
                continue
            if left < begin:
                yield _span(scan, left, begin, line)
            for one in kinds - found.keys():
                lines = np.flatnonzero(kind == one)
                found[one] = Columns(scan, self._templates, which, lines, self._log.prefixes)
            columns = [found[one] for one in sorted(kinds)]
            for first, last in self._run(scan, columns, begin, end, line):
                yield _span(scan, first, last, line)
            left = end
        if left < len(kind):
            yield _span(scan, left, len(kind), line)

    def _known(self, scan: Scan) -> IntArray:
        """The template of every line (n,), -1 where it has none; shapes that come often get one."""
        which = np.fromiter(map(self._index.get, scan.shapes, repeat(_NEW)), np.int64, len(scan.shapes))
        new = np.flatnonzero(which == _NEW)
        for shape, times in Counter([scan.shapes[at] for at in new.tolist()]).items():
            if times >= _RUN:
                if len(self._index) >= _SHAPES:
                    self._index.clear()
                self._index[shape] = self._learn(scan, shape)
        which[new] = [self._index.get(scan.shapes[at], -1) for at in new.tolist()]
        return which

    def _learn(self, scan: Scan, shape: bytes) -> int:
        at = scan.shapes.index(shape)
        raw = scan.block[scan.begin[at] : scan.end[at]]
        template = compile_template(raw, shape, self._encoding, self._log.prefixes, self._log.session.shapes)
        if template is None:
            return -1
        self._templates.append(template)
        self._of.append(self._kinds.setdefault(template.kind, len(self._kinds)))
        return len(self._templates) - 1

    def _run(self, scan: Scan, columns: list[Columns], at: int, end: int, line: int) -> Iterator[tuple[int, int]]:
        """Take lines `at` to `end`; gives (begin, end) of those between that must be read by themselves."""
        poor = 0
        while at < end:
            stop = min(end, at + self._window)
            taken = self._take(scan, columns, at, stop, line)
            at += taken
            self._window = min(self._window * 4, _MOST) if at == stop else _FIRST
            poor = poor + 1 if taken < _POOR else max(poor - taken // _FIRST, 0)
            if at < stop:
                last = min(end, at + _LEFT) if poor >= _PATIENCE else at + 1
                yield at, last
                at = last

    def _take(self, scan: Scan, columns: list[Columns], at: int, stop: int, line: int) -> int:
        """Take as many of the lines as can be, from the first one on; gives how many."""
        log, session = self._log, self._log.session
        if session.crashed or log.open or self._text(scan, at) == session.former:
            return 0
        parts = [part for each in columns if len((part := _part(each, at, stop)).where)]
        found = places(session, parts, stop - at)
        names: list[dict[str, str]] = []
        for part in parts:
            kind = part.columns.kind
            renamed = session.renamed(kind.within, kind.names)
            known = renamed is not None and session.points.knows(renamed.values())
            names.append(renamed or {})
            fine = part.columns.fine[part.rows] & (known and not (log.tables and kind.slots < 2))
            for what, total in part.columns.planned:
                fine &= (total[part.rows] == session.said(what)) | ~(total[part.rows] > 0)
            found.fine[part.where] &= fine
        size = stop - at if found.fine.all() else int(found.fine.argmin())
        if size:
            pairs = [(part.until(size), new) for part, new in zip(parts, names, strict=True)]
            self._write([pair for pair in pairs if len(pair[0].where)], found, size, line)
            session.former = self._text(scan, at + size - 1)
        return size

    def _write(self, parts: list[tuple[Part, dict[str, str]]], found: Places, size: int, line: int) -> None:
        """Write the first lines of a window, every series in the order of the lines, and leave the state behind them."""
        session = self._log.session
        series: dict[str, dict[tuple[str, bool], list[Points]]] = {}
        clock = self._clock([part for part, _ in parts], size)
        for part, names in parts:
            where, columns = part.where, part.columns
            side = columns.kind.phase in SIDES
            if where[-1] == size - 1:
                session.section, session.banner = columns.kind.phase, False
            time = clock[where] if columns.kind.time == "clock" else part.of(columns.time)
            if time is None:
                time = np.full(len(where), np.nan)
            axes = found.step[where], found.epoch[where], time, columns.lines[part.rows] + line
            for own, name in names.items():
                same = series.setdefault(name, {}).setdefault((own, not side and is_evaluation(own)), [])
                same.append((columns.values[own][part.rows], *axes))
        kept: list[IntArray] = []
        repeated = self._repeated(series)
        for name, sources in series.items():
            each = []
            for (own, held), pieces in sources.items():
                points = _merged(pieces)
                each.append(_picked(points, ~np.isin(points[4], repeated[own])) if held and own in repeated else points)
            value, step, epoch, time, lines = _merged(each)
            kept.append(lines)
            self._sink.columns(name, value, step=step, epoch=epoch, time=time, line=lines)
        session.points.count += len(np.unique(np.concatenate(kept))) if repeated else size
        found.commit(session, size, trained=any(part.columns.kind.phase not in SIDES for part, _ in parts))

    def _repeated(self, series: dict[str, dict[tuple[str, bool], list[Points]]]) -> dict[str, IntArray]:
        """The lines whose evaluation only repeats a held one, by its name in the log, whatever series it belongs to."""
        of: dict[str, list[Points]] = {}
        for sources in series.values():
            for (own, held), pieces in sources.items():
                if held:
                    of.setdefault(own, []).extend(pieces)
        out: dict[str, IntArray] = {}
        for own, pieces in of.items():
            points = _merged(pieces)
            new = self._log.session.news(own, points[2], points[0])
            if not new.all():
                out[own] = points[4][~new]
        return out

    def _text(self, scan: Scan, at: int) -> str:
        return scan.line(at).decode(self._encoding, "replace")

    def _clock(self, parts: list[Part], size: int) -> FloatArray:
        """The times (size,) of lines whose clock has no date, counted on over midnights."""
        times = np.full(size, np.nan)
        for part in parts:
            if part.columns.kind.time == "clock" and part.columns.time is not None:
                times[part.where] = part.columns.time[part.rows]
        where = np.flatnonzero(times == times)
        if len(where):
            day, former = self._log.prefixes.clock
            clock = float(times[where[-1]])
            times[where], day = past_midnight(times[where], former, day)
            self._log.prefixes.clock = (day, clock)
        return times


def _part(columns: Columns, at: int, stop: int) -> Part:
    """The lines of one kind in a window."""
    first, last = np.searchsorted(columns.lines, (at, stop)).tolist()
    return Part(columns, slice(first, last), columns.lines[first:last] - at)


def _merged(pieces: list[Points]) -> Points:
    """Points of one series from lines of several kinds, in the order of the lines."""
    if len(pieces) == 1:
        return pieces[0]
    value, step, epoch, time = (np.concatenate([piece[i] for piece in pieces]) for i in range(4))
    lines = np.concatenate([piece[4] for piece in pieces])
    return _picked((value, step, epoch, time, lines), np.argsort(lines, kind="stable"))


def _picked(points: Points, which: IntArray | npt.NDArray[np.bool_]) -> Points:
    value, step, epoch, time, lines = points
    return value[which], step[which], epoch[which], time[which], lines[which]


def _span(scan: Scan, first: int, last: int, line: int) -> Span:
    return int(scan.begin[first]), int(scan.end[last - 1]) + 1, line + first
