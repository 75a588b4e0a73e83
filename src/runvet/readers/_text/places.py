"""Where many lines of one kind stand: the same as `Session.place` gives line by line, while its state stays as it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from runvet.readers._text.columns import Columns
from runvet.readers._text.position import Count, Place
from runvet.readers._text.session import Session
from runvet.run import FloatArray

Mask = npt.NDArray[np.bool_]


@dataclass(slots=True)
class Places:
    """Positions of consecutive lines (n,), NaN where unknown; `fine` marks those that hold as they are.

    Lines from the first one on that is not fine may not be used.
    """

    step: FloatArray
    epoch: FloatArray
    fine: Mask
    count: Count | None = None  # the counter of these lines, if any, …
    own: FloatArray | None = None  # … and its values (n,)

    def commit(self, session: Session, size: int, *, trained: bool, steps: FloatArray | None) -> None:
        """Leave the tracker as the first `size` lines would have left it."""
        tracker = session.tracker
        if self.count is not None and self.own is not None:
            self.count.step = float(self.own[size - 1])
            if self.epoch[0] == self.epoch[0]:
                self.count.epoch = float(self.epoch[size - 1])
                self.count.highest = max(self.count.highest, float(self.own[:size].max()))
            tracker.latest = self.count
            if steps is not None:
                tracker.length = float(steps[size - 1]) or tracker.length
        step, epoch = self.step[:size], self.epoch[:size]
        moved = _differs(step) | _differs(epoch)
        tracker.seen += int(moved.sum())
        tracker.move(Place(_known(step[0]), _known(epoch[0])), trained=trained)
        tracker.place = Place(_known(step[-1]), _known(epoch[-1]))


def places(session: Session, columns: Columns, rows: slice) -> Places | None:
    """The positions of some rows; None where the state does not allow to take lines together."""
    kind, tracker = columns.kind, session.tracker
    epoch = None if columns.epoch is None else columns.epoch[rows]
    step = None if columns.step is None else columns.step[rows]
    steps = None if columns.steps is None else columns.steps[rows]
    size = rows.stop - rows.start
    fine = np.ones(size, np.bool_)
    if epoch is not None:
        fine &= (epoch != np.floor(epoch)) | (epoch >= tracker.base if tracker.base is not None else False)
    here = tracker.place
    known = epoch if epoch is not None else np.full(size, np.nan if here.epoch is None else here.epoch)
    if kind.phase in {"val", "test"}:
        return Places(_held(here, epoch, size), known, fine) if tracker.trained or here != Place() else None
    if columns.epochs is not None and epoch is not None:
        total = columns.epochs[rows]
        fine &= ~((epoch <= total) & (total < 1e7)) | (total == session.said("planned-epochs")) | (total <= 0)
    if step is None:
        return Places(_held(here, epoch, size), known, fine)
    if kind.rank >= 2 and (epoch is None or steps is None):
        found = Places(step, known, fine)
    else:
        count = tracker.count(own=epoch is not None, total=steps is not None)
        if count is None:
            return None
        found = _counted(session, columns, rows, known, count, fine)
    if steps is not None:
        found.fine &= (step > steps + 1) | _told(session, columns, steps)
    return found


def _counted(session: Session, columns: Columns, rows: slice, known: FloatArray, count: Count, fine: Mask) -> Places:
    """Positions by a counter that may start anew in each epoch; an epoch's first line is not fine."""
    assert columns.step is not None
    tracker, step = session.tracker, columns.step[rows]
    if known[0] != known[0]:
        return Places(step, known, fine, count, step)
    before = np.concatenate(([np.inf if count.epoch is None else count.epoch], known[:-1]))
    fine &= known <= before
    if count.local is False:
        return Places(step, known, fine, count, step)
    if columns.steps is not None:
        size: FloatArray | float = columns.steps[rows]
        fine &= size > 0
    else:
        size = tracker.length or count.length
        if not (size and count.local):
            return Places(step, known, fine, count, step)
    with np.errstate(over="ignore"):
        return Places((known - (tracker.base or 0.0)) * size + step, known, fine, count, step)


def _told(session: Session, columns: Columns, steps: FloatArray) -> Mask:
    """Which lengths (n,) `Session.lengths` would pass over, as they are known."""
    local, place = session.tracker.local(), session.tracker.place
    if local is None and columns.kind.rank <= 1 and place.epoch is None and columns.epoch is None:
        return np.asarray(steps == session.said("planned-steps" if columns.kind.rank == 1 else "epoch-length"))
    pending = session.pending_length
    if local is None:
        return np.asarray(steps == (np.nan if pending is None else pending))
    known = session.said("epoch-length" if local else "planned-steps")
    return np.asarray(steps == known) if pending is None else np.zeros(len(steps), np.bool_)


def _held(here: Place, epoch: FloatArray | None, size: int) -> FloatArray:
    """The step that lines without a counter of their own inherit: the last one, as long as the epoch stays."""
    step = np.full(size, np.nan if here.step is None else here.step)
    if epoch is not None:
        step[np.maximum.accumulate(epoch != (np.nan if here.epoch is None else here.epoch))] = np.nan
    return step


def _differs(values: FloatArray) -> Mask:
    """Where a value differs from the one before it (n - 1,), NaN being equal to NaN."""
    a, b = values[:-1], values[1:]
    return np.asarray((a != b) & ~((a != a) & (b != b)))


def _known(value: float) -> float | None:
    return None if value != value else float(value)
