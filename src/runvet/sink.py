"""Where readers put what they find: growing columns with a bound on memory.

A reader calls `row` for each record (or `columns` for whole arrays), `event` for lines that matter, `setting`
for configuration, `problem` for what it could not read. It never keeps points itself.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from runvet.run import Event, FloatArray, IntArray, Log, Plain, Problem, Seam, Series, Setting
from runvet.secrets import mask

# Points kept over all series of one file: 40 bytes a point, so 160 MB. A series beyond its share is thinned.
POINTS = 4_000_000
EVENTS = 20_000  # events kept of one file; the rest are counted
TEXT = 400  # characters kept of an event's line

_COLUMNS = ("value", "step", "epoch", "time", "line")
_AXES = _COLUMNS[1:4]

Numbers = npt.NDArray[np.generic] | list[float] | list[int]


@dataclass(slots=True)
class _Column:
    """The points of one series while it grows; every `stride`-th is kept once memory is short."""

    name: str
    value: array[float] = field(default_factory=lambda: array("d"))
    step: array[float] = field(default_factory=lambda: array("d"))
    epoch: array[float] = field(default_factory=lambda: array("d"))
    time: array[float] = field(default_factory=lambda: array("d"))
    line: array[int] = field(default_factory=lambda: array("q"))
    total: int = 0
    non_finite: int = 0
    minimum: float = math.inf
    maximum: float = -math.inf
    stride: int = 1
    tail: tuple[float, float, float, float, int] | None = None  # the very last point, when thinning skipped it
    absent: set[str] = field(default_factory=lambda: set(_AXES))  # axes that are NaN so far: they are left empty

    def add(self, value: float, step: float, epoch: float, time: float, line: int) -> None:
        if self.absent:
            self._begin(_AXES)
        if value - value == 0.0:  # finite, without a call
            if value < self.minimum:
                self.minimum = value
            if value > self.maximum:
                self.maximum = value
        else:
            self.non_finite += 1
        if self.total % self.stride == 0:
            self.value.append(value)
            self.step.append(step)
            self.epoch.append(epoch)
            self.time.append(time)
            self.line.append(line)
            self.tail = None
        else:
            self.tail = (value, step, epoch, time, line)
        self.total += 1

    def extend(self, columns: tuple[FloatArray, FloatArray, FloatArray, FloatArray, IntArray]) -> None:
        value = columns[0]
        if not len(value):
            return
        finite = value[np.isfinite(value)]
        self.non_finite += len(value) - len(finite)
        if len(finite):
            self.minimum = min(self.minimum, float(finite.min()))
            self.maximum = max(self.maximum, float(finite.max()))
        skip = -self.total % self.stride
        self._begin([name for name, new in zip(_AXES, columns[1:4], strict=True) if not np.isnan(new).all()])
        for name, new in zip(_COLUMNS, columns, strict=True):
            if name in self.absent:
                continue
            kept: npt.NDArray[np.generic] = np.ascontiguousarray(new[skip :: self.stride])
            getattr(self, name).frombytes(kept.view(np.uint8).data)
        kept_last = (self.total + len(value) - 1) % self.stride == 0
        self.tail = None if kept_last else (
            float(value[-1]), float(columns[1][-1]), float(columns[2][-1]), float(columns[3][-1]), int(columns[4][-1])
        )  # fmt: skip
        self.total += len(value)

    def _begin(self, axes: Sequence[str]) -> None:
        """Keep these axes from the next point on; up to there they are NaN."""
        for name in self.absent.intersection(axes):
            self.absent.remove(name)
            getattr(self, name).frombytes(np.full(len(self.value), np.nan).view(np.uint8).data)

    def halve(self) -> None:
        """Keep every second point from now on; the newest point stays in `tail` until a newer one comes."""
        self.stride *= 2
        if (self.total - 1) % self.stride and self.tail is None:
            self._begin(_AXES)
            self.tail = (self.value[-1], self.step[-1], self.epoch[-1], self.time[-1], self.line[-1])
        for name in _COLUMNS:
            setattr(self, name, getattr(self, name)[::2])

    def series(self, source: str) -> Series:
        """The points so far. They are not copied, so that none can be added any more (BufferError)."""
        if self.tail is not None:
            self._begin(_AXES)
            value, step, epoch, time, line = self.tail
            self.value.append(value)
            self.step.append(step)
            self.epoch.append(epoch)
            self.time.append(time)
            self.line.append(line)
            self.tail = None
        n = len(self.value)
        empty = not math.isfinite(self.minimum)
        return Series(
            name=self.name,
            value=np.frombuffer(self.value, dtype=np.float64) if n else np.empty(0),
            step=self._axis("step"),
            epoch=self._axis("epoch"),
            time=self._axis("time"),
            line=np.frombuffer(self.line, dtype=np.int64) if n else np.empty(0, np.int64),
            file=np.zeros(n, np.int64),
            segment=np.zeros(n, np.int64),
            files=(source,),
            total=self.total,
            non_finite=self.non_finite,
            minimum=math.nan if empty else self.minimum,
            maximum=math.nan if empty else self.maximum,
            stride=self.stride,
        )

    def _axis(self, name: str) -> FloatArray:
        n = len(self.value)
        if name in self.absent or not n:
            return np.full(n, np.nan)
        return np.frombuffer(getattr(self, name), dtype=np.float64)


class Sink:
    """Collects what one reader finds in one file."""

    def __init__(self, source: str, reader: str = "", *, points: int | None = POINTS) -> None:
        self.source, self.reader, self.scope_name = source, reader, ""
        self._points, self._kept = points, 0
        self._columns: dict[str, _Column] = {}
        self._events: list[Event] = []
        self._dropped_events = 0
        self._settings: dict[str, Setting] = {}
        self._problems: list[Problem] = []
        self._seams: list[Seam] = []
        self._scopes: dict[str, Sink] = {}

    def scope(self, name: str) -> Sink:
        """The sink of one run or stage within this file (a database of runs, a log of folds)."""
        if not name or name == self.scope_name:
            return self
        if name not in self._scopes:
            child = Sink(self.source, self.reader, points=self._points)
            child.scope_name = name
            self._scopes[name] = child
        return self._scopes[name]

    def row(
        self,
        values: Mapping[str, float],
        *,
        step: float | None = None,
        epoch: float | None = None,
        time: float | None = None,
        line: int = 0,
    ) -> None:
        """Add one record: every named value at the same coordinates. `time` is in seconds."""
        s = math.nan if step is None else float(step)
        e = math.nan if epoch is None else float(epoch)
        t = math.nan if time is None else float(time)
        for name, value in values.items():
            column = self._columns.get(name)
            if column is None:
                column = self._columns[name] = _Column(name)
            column.add(float(value), s, e, t, line)
        self._kept += len(values)
        if self._points is not None and self._kept > self._points:
            self._thin()

    def columns(
        self,
        name: str,
        value: Numbers,
        *,
        step: Numbers | None = None,
        epoch: Numbers | None = None,
        time: Numbers | None = None,
        line: Numbers | None = None,
    ) -> None:
        """Add many points of one series at once; every given array has the shape of `value`, (n,).

        Raises ValueError naming an array of another length.
        """
        column = self._columns.setdefault(name, _Column(name))
        values = np.asarray(value, np.float64)
        for what, given in (("step", step), ("epoch", epoch), ("time", time), ("line", line)):
            if given is not None and len(given) != len(values):
                raise ValueError(f"{name}: {len(given)} values of {what} for {len(values)} points")
        unknown = np.full(len(values), np.nan)
        axes = [unknown if a is None else np.asarray(a, np.float64) for a in (step, epoch, time)]
        lines = np.zeros(len(values), np.int64) if line is None else np.asarray(line, np.int64)
        column.extend((values, axes[0], axes[1], axes[2], lines))
        self._kept += len(values)
        if self._points is not None and self._kept > self._points:
            self._thin()

    def _thin(self) -> None:
        """Halve the largest columns until three quarters of the budget suffice."""
        assert self._points is not None
        kept = sum(len(c.value) for c in self._columns.values())
        while kept > self._points * 3 // 4:
            largest = max(self._columns.values(), key=lambda c: len(c.value))
            if len(largest.value) < 64:
                break
            before = len(largest.value)
            largest.halve()
            kept -= before - len(largest.value)
        self._kept = kept

    def event(
        self,
        kind: str,
        text: str,
        *,
        line: int = 0,
        step: float | None = None,
        epoch: float | None = None,
        value: float | str | None = None,
    ) -> None:
        """Keep a line that matters (see `run.EVENT_KINDS`). Equal neighbours are folded into one with a count."""
        text, secret = mask(text.strip())
        if secret and kind != "credential":
            self._add_event(Event("credential", "", self.source, line, value=secret))
        if isinstance(value, str):
            value = mask(value)[0]
        self._add_event(Event(kind, text[:TEXT], self.source, line, step, epoch, value))

    def _add_event(self, event: Event) -> None:
        if self._events:
            last = self._events[-1]
            if (last.kind, last.text, last.value) == (event.kind, event.text, event.value):
                self._events[-1] = replace(last, count=last.count + 1)
                return
        if len(self._events) < EVENTS:
            self._events.append(event)
        else:
            self._dropped_events += 1

    def setting(self, key: str, value: Plain, *, line: int = 0) -> None:
        """Keep one value of a configuration under its dotted key; the last one given for a key wins."""
        if isinstance(value, str):
            value, secret = mask(value, key=key)
            if secret:
                self._add_event(Event("credential", "", self.source, line, value=secret))
        self._settings[key] = Setting(key, value, self.source, line)

    def problem(self, why: str, *, line: int = 0, offset: int | None = None, remedy: str = "") -> None:
        """Name something that could not be read. Equal reasons are kept once, with the first place."""
        if not any(p.why == why for p in self._problems) and len(self._problems) < 100:
            self._problems.append(Problem(self.source, mask(why)[0], line, offset, remedy))

    @property
    def told(self) -> int:
        """How many problems are kept so far."""
        return len(self._problems)

    def seam(self, line: int, why: str) -> None:
        """Say that a new process begins at this line."""
        self._seams.append(Seam(self.source, line, why))

    def close(self, *, modified: float = 0.0, size: int = 0) -> list[Log]:
        """The logs of this file: its own, if it holds anything, then one for every scope."""
        if self._dropped_events:
            self.problem(f"{self._dropped_events} further events of this file are not kept (limit {EVENTS})")
        mine = Log(
            source=self.source,
            reader=self.reader,
            scope=self.scope_name,
            series=tuple(c.series(self.source) for c in self._columns.values() if c.total),
            events=tuple(self._events),
            settings=tuple(self._settings.values()),
            problems=tuple(self._problems),
            seams=tuple(self._seams),
            modified=modified,
            size=size,
        )
        children = [log for s in self._scopes.values() for log in s.close(modified=modified, size=size)]
        holds = mine.series or mine.events or mine.settings or mine.problems
        return [mine, *children] if holds or not children else children
