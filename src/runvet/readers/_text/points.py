"""From values to points: lines without a position, repeats of one line, and several ranks in one log."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from runvet.readers._text.position import Place
from runvet.sink import Sink

NAMES = 2_000  # series of one file
_WAITING = 5_000  # names that have been seen once
_OTHERS = 256  # rows of other ranks that wait for the first rank's row at their position


@dataclass(slots=True)
class Row:
    """The values of one line, where it stands, and who wrote it."""

    values: dict[str, float]
    place: Place
    time: float | None
    line: int
    rank: int | None = None


@dataclass(slots=True)
class _Waiting:
    value: float
    row: Row
    established: bool
    banner: bool  # the line looks like configuration


@dataclass(slots=True)
class Points:
    """Decides which values become points of the sink."""

    sink: Sink
    count: int = 0  # points since the process started
    repeats: int = 0
    _waiting: dict[str, _Waiting] = field(default_factory=dict)
    _names: set[str] = field(default_factory=set)
    _main: int | None = None
    _last: dict[str, tuple[Place, float]] = field(default_factory=dict)
    _others: deque[Row] = field(default_factory=deque)
    _told: bool = False
    _free: set[str] = field(
        default_factory=set
    )  # names that proved to be metrics in this process, without any position

    def add(self, row: Row) -> None:
        """Take a row that says where it stands."""
        if row.rank is None:
            self._write(row)
            return
        if self._main is None:
            self._main = row.rank
        if row.rank == self._main:
            self._write(row)
            for name, value in row.values.items():
                self._last[name] = (row.place, value)
            self._match(row)
            return
        self._others.append(row)
        self._settle(row)
        while len(self._others) > _OTHERS:
            self._apart(self._others.popleft())

    def knows(self, names: Iterable[str]) -> bool:
        """Whether all of these have points already."""
        return self._names.issuperset(names)

    def _settle(self, row: Row) -> None:
        """Drop what the first rank has already said at this position."""
        for name in list(row.values):
            place, value = self._last.get(name, (None, math.nan))
            if place == row.place:
                if _same(value, row.values[name]):
                    del row.values[name]
                    self.repeats += 1
                else:
                    self._write(Row({f"rank {row.rank}/{name}": row.values.pop(name)}, row.place, row.time, row.line))

    def _match(self, row: Row) -> None:
        for other in self._others:
            if other.place == row.place:
                self._settle(other)
        while self._others and not self._others[0].values:
            self._others.popleft()

    def _apart(self, row: Row) -> None:
        if row.values:
            self._write(
                Row({f"rank {row.rank}/{name}": v for name, v in row.values.items()}, row.place, row.time, row.line)
            )

    def maybe(
        self, name: str, value: float, row: Row, *, metric: bool, established: bool, banner: bool = False
    ) -> None:
        """Take a value of a line without a position: a point once the name comes again and is no constant of a banner."""
        if name not in self._waiting and (name in self._free or (established and name in self._names)):
            self._write(Row({name: value}, row.place, row.time, row.line))
            return
        former = self._waiting.get(name)
        if former is None:
            if len(self._waiting) < _WAITING:
                self._waiting[name] = _Waiting(value, row, established, banner)
            return
        moved = established and former.established and former.row.place != row.place
        if moved or (metric and former.value != value and (established or not former.established)):
            del self._waiting[name]
            if former.established == established or (metric and not former.banner):
                self._write(Row({name: former.value}, former.row.place, former.row.time, former.row.line))
            self._write(Row({name: value}, row.place, row.time, row.line))
            self._free.add(name)
        elif established and not former.established:
            if metric and not former.banner:
                self._write(Row({name: former.value}, former.row.place, former.row.time, former.row.line))
            self._waiting[name] = _Waiting(value, row, established, banner)

    def restart(self, metric_names: frozenset[str] = frozenset()) -> None:
        """A process ended: single values that stood after training began are points, those of banners are none."""
        self.flush(metric_names)
        self.count = 0
        self._free.clear()

    def flush(self, metric_names: frozenset[str] = frozenset()) -> None:
        """Write out what waits, at the end of a process or of the file."""
        for row in self._others:
            self._apart(row)
        self._others.clear()
        for name, waiting in self._waiting.items():
            if waiting.established and name in metric_names:
                self._write(Row({name: waiting.value}, waiting.row.place, waiting.row.time, waiting.row.line))
        self._waiting.clear()

    def _write(self, row: Row) -> None:
        fresh = [name for name in row.values if name not in self._names]
        if fresh:
            room = NAMES - len(self._names)
            if len(fresh) > room:
                if not self._told:
                    self._told = True
                    self.sink.problem(
                        f"more than {NAMES} different metric names: further names are not kept", line=row.line
                    )
                for name in fresh[max(room, 0) :]:
                    del row.values[name]
            self._names.update(fresh[: max(room, 0)])
        if row.values:
            self.count += 1
            self.sink.row(row.values, step=row.place.step, epoch=row.place.epoch, time=row.time, line=row.line)


def _same(a: float, b: float) -> bool:
    return a == b or (a != a and b != b)
