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
import numpy.typing as npt

from runvet.readers._text.columns import Columns
from runvet.readers._text.log import TextLog
from runvet.readers._text.places import advance
from runvet.readers._text.scan import Scan
from runvet.readers._text.templates import Kind, Template, compile_template
from runvet.sink import Sink

_RUN = 16  # shorter runs are not worth it
_SHAPES = 4_096  # templates kept
_FIRST = 64  # lines of a run that are tried first; twice as many after each success

Span = tuple[int, int, int]


class Bulk:
    """Takes what it can of each block and leaves the rest to the caller."""

    def __init__(self, log: TextLog, sink: Sink, encoding: str) -> None:
        self._log, self._sink, self._encoding = log, sink, encoding
        self._index: dict[bytes, int] = {}  # shape -> index into `_templates`, -1 for a shape without one
        self._templates: list[Template] = []
        self._kinds: dict[Kind, int] = {}
        self._of: list[int] = []  # for every template the number of its kind

    def spans(self, block: bytes, line: int) -> Iterator[Span]:
        """Spans (begin, end, number of the first line) that the caller must read before it asks for the next one.

        `block` holds whole lines; `line` is the number of its first. The lines of all other spans have been taken.
        """
        scan = Scan(block)
        which = self._templates_of(scan)
        kind = np.array([*self._of, -1], np.int64)[which]
        bounds = np.concatenate(([0], np.flatnonzero(np.diff(kind)) + 1, [len(kind)]))
        left = 0  # the first line that nobody has read
        long = np.flatnonzero((np.diff(bounds) >= _RUN) & (kind[bounds[:-1]] >= 0))
        for begin, end in zip(bounds[long].tolist(), bounds[long + 1].tolist(), strict=True):
            yield _span(scan, left, begin + 1, line)
            left = begin + 1
            columns = Columns(scan, self._templates, which, begin, end, self._log.prefixes)
            for left in self._run(columns, left, end):
                yield _span(scan, left, left + 1, line)
                left += 1
            left = end
        if left < len(kind):
            yield _span(scan, left, len(kind), line)

    def _run(self, columns: Columns, at: int, end: int, line: int) -> Iterator[int]:
        """Take the lines from `at` to `end`; gives each line between that must be read by itself."""
        window = _FIRST
        while at < end:
            stop = min(end, at + window)
            taken = self._take(columns, at, stop, line)
            at += taken
            window = window * 2 if at == stop else _FIRST
            if at < stop:
                yield at
                at += 1
