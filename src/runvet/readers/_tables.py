"""Tables of rows become series: coordinates are found by name, then every other column is one series.

A `Block` is some consecutive rows of a file; `Writer` keeps what must be known from one block to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from runvet.readers._axes import PLANNED, axis_of, is_series_too, normal
from runvet.run import FloatArray, IntArray
from runvet.sink import Sink

Rows = npt.NDArray[np.intp]


@dataclass(slots=True)
class Block:
    """`rows` consecutive records. `lines` (rows,) are their lines; `columns` maps a name to its values (k,) and the
    rows (k,) where it was logged, in order; None where it was logged in all of them.

    `other` marks the rows (rows,) that belong to validation or test in a log that numbers them by themselves.
    """

    rows: int
    lines: IntArray
    columns: dict[str, tuple[FloatArray, Rows | None]]
    other: npt.NDArray[np.bool_] | None = None


@dataclass(slots=True)
class Writer:
    """Gives the blocks of one table to a sink. `rename` maps a column to the name of its series ('' drops it)."""

    sink: Sink
    rename: Callable[[str], str] = str
    keep: frozenset[str] = frozenset()  # coordinates that are series, too
    drop: frozenset[str] = frozenset()
    _clock: str | None = None  # the column `time` that turned out to be a clock, '' if it did not
    _fixed: dict[str, bool] = field(default_factory=dict)  # counters that never count: the planned number
    _base: float = 0.0  # steps before this epoch, where steps count within an epoch
    _last: tuple[float, float] = (np.nan, np.nan)  # step and epoch of the last row that had both
    _seen: tuple[float, float] = (np.nan, np.nan)  # step (counted on) and epoch of the last row of the training
    _start: float = np.nan  # the first step of an epoch
    _inner: bool = False
    _names: dict[str, str] = field(default_factory=dict)

    def set_header(self, rename: Callable[[str], str], drop: frozenset[str]) -> None:
        """Go on with other columns: the names of series change, coordinates count on."""
        self.rename, self.drop = rename, drop
        self._names.clear()

    def write(self, block: Block) -> None:
        """Add the rows of one block."""
        if not block.rows:
            return
        self._decide_clock(block)
        step, epoch, time = (self._axis(block, kind) for kind in ("step", "epoch", "time"))
        self._join_epochs(step, epoch, block)
        self._separate(block, step, epoch)
        for column, (value, rows) in block.columns.items():
            name = self._name(column)
            if not name or not len(value):
                continue
            pick = slice(None) if rows is None else rows
            self.sink.columns(
                name, value, step=step[pick], epoch=epoch[pick], time=time[pick], line=block.lines[pick]
            )  # fmt: skip

    def _name(self, column: str) -> str:
        if column not in self._names:
            axis = axis_of(column)
            shown = axis is None or self._fixed.get(column, False) or column in self.keep or is_series_too(column)
            shown = shown or (axis is not None and axis[0] == "clock?" and self._clock != column)
            self._names[column] = self.rename(column) if shown and column not in self.drop else ""
        return self._names[column]

    def _axis(self, block: Block, kind: str) -> FloatArray:
        """The coordinate of every row, NaN where it has none: the best column of those a row has."""
        found = np.full(block.rows, np.nan)
        candidates = []
        for column in block.columns:
            axis = axis_of(column)
            if axis is not None and axis[0] == kind and not self._is_fixed(column, block):
                candidates.append((axis[1], column))
            elif kind == "time" and column == self._clock:
                candidates.append((1_000, column))
        if not candidates and kind == "step" and not any((axis_of(c) or ("",))[0] == "epoch" for c in block.columns):
            candidates = [(0, c) for c in block.columns if (axis_of(c) or ("",))[0] == "index"]
        if not candidates:
            return found
        for _, column in sorted(candidates):
            value, rows = block.columns[column]
            if rows is None:
                np.copyto(found, value, where=np.isnan(found))
            else:
                free = np.isnan(found[rows])
                found[rows[free]] = value[free]
        found[~np.isfinite(found)] = np.nan
        return _seconds(found) if kind == "time" else found

    def _is_fixed(self, column: str, block: Block) -> bool:
        if normal(column) not in PLANNED:
            return False
        if column not in self._fixed:
            value = block.columns[column][0]
            self._fixed[column] = len(value) >= 2 and bool((value == value[0]).all())
        return self._fixed[column]

    def _decide_clock(self, block: Block) -> None:
        """A column named `time` is a clock if it only grows, else a duration: an ordinary metric."""
        if self._clock is not None:
            return
        for column, (value, _) in block.columns.items():
            if (axis_of(column) or ("",))[0] == "clock?":
                grows = len(value) >= 3 and bool((np.diff(value) > 0).all())
                self._clock = column if grows else ""
                return

    def _separate(self, block: Block, step: FloatArray, epoch: FloatArray) -> None:
        """Rows of a validation that number themselves by epoch, or by their own batches, stand at the step before."""
        if block.other is None and np.isnan(self._seen[1]) and np.isnan(epoch).all():
            return
        train = np.isfinite(step) & (np.isfinite(epoch) if block.other is None else ~block.other)
        last = np.maximum.accumulate(np.where(train, np.arange(block.rows), -1))
        steps = np.where(last >= 0, step[last], self._seen[0])
        epochs = np.where(last >= 0, epoch[last], self._seen[1])
        if block.other is not None:
            behind = block.other & (step < steps) & np.isfinite(epoch)
        else:
            behind = np.isfinite(step) & np.isnan(epoch) & (step == epochs) & (step < steps)
            epoch[behind] = step[behind]
        step[behind] = steps[behind]
        self._seen = float(steps[-1]), float(epochs[-1])

    def _join_epochs(self, step: FloatArray, epoch: FloatArray, block: Block) -> None:
        """Where steps start again with every epoch, count on: the steps of finished epochs are added."""
        both = np.isfinite(step) & np.isfinite(epoch)
        if block.other is not None:
            both &= ~block.other
        where = np.flatnonzero(both)
        if not len(where):
            return
        s, e = step[where].copy(), epoch[where]
        if np.isnan(self._start):
            self._start = float(s[0])
        before_s, before_e = np.append(self._last[0], s[:-1]), np.append(self._last[1], e[:-1])
        # A restart goes back in epochs, or stays: only a step that falls while the epoch rises is inner.
        resets = (s < before_s) & (e == before_e + 1) & (s <= max(2 * self._start, 1))
        lengths = np.where(resets, before_s + (1 if self._start == 0 else 0), 0.0)
        self._last = float(s[-1]), float(e[-1])
        if self._inner or resets.any():
            self._inner = True
            base = self._base + np.cumsum(lengths)
            step[where] = s + base
            self._base = float(base[-1])


def _seconds(time: FloatArray) -> FloatArray:
    """Unix times in milli-, micro- or nanoseconds as seconds; other times as they are."""
    finite = time[np.isfinite(time)]
    top = float(finite.max()) if len(finite) else 0.0
    for limit, unit in ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3)):
        if top > limit:
            return time * unit
    return time
