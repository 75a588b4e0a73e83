"""Where many lines stand: the same as `Session.place` gives line by line, as long as its state stays as it is.

A position is handed on from line to line, whatever their kinds: a line sets the step or epoch that it gives, and the
next one inherits what it does not give itself. Counters of steps that may start anew in each epoch are followed kind
by kind, as `Tracker` does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from runvet.readers._text.columns import Columns
from runvet.readers._text.position import Count, Place
from runvet.readers._text.session import Session
from runvet.run import FloatArray, IntArray

Mask = npt.NDArray[np.bool_]
SIDES = frozenset({"val", "test"})


@dataclass(frozen=True, slots=True)
class Part:
    """The lines of one kind in a window: rows of its columns, and where they stand in the window (k,)."""

    columns: Columns
    rows: slice
    where: IntArray

    def of(self, column: FloatArray | None) -> FloatArray | None:
        """The rows (k,) of one column."""
        return None if column is None else column[self.rows]

    def until(self, size: int) -> Part:
        """The lines among the first `size` of the window."""
        count = int(np.searchsorted(self.where, size))
        return Part(self.columns, slice(self.rows.start, self.rows.start + count), self.where[:count])


@dataclass(slots=True)
class Counted:
    """The lines of a window that count by one counter. All arrays are (k,).

    `rises` marks the first line of each further epoch, `longer` is the length that the epoch before shows there (-1:
    none), `steps` what the lines say about the length of an epoch or run, if they do.
    """

    count: Count
    where: IntArray
    own: FloatArray
    known: FloatArray
    steps: FloatArray | None
    rises: Mask
    longer: FloatArray

    def commit(self, rows: int) -> None:
        """Leave the counter as the first `rows` lines would have left it."""
        count, own = self.count, self.own[:rows]
        count.step = float(own[-1])
        if self.known[0] != self.known[0]:
            return
        count.epoch = float(self.known[rows - 1])
        count.length = max(count.length, float(self.longer[:rows].max()))
        rises = np.flatnonzero(self.rises[:rows])
        since = int(rises[-1]) if len(rises) else 0
        count.highest = max(-1.0 if len(rises) else count.highest, float(own[since:].max()))


@dataclass(slots=True)
class Places:
    """Positions of consecutive lines (n,), NaN where unknown; `fine` marks those that hold as they are.

    Lines from the first one on that is not fine may not be used.
    """

    step: FloatArray
    epoch: FloatArray
    fine: Mask
    counted: list[Counted]

    def commit(self, session: Session, size: int, *, trained: bool) -> None:
        """Leave the tracker as the first `size` lines would have left it."""
        tracker, last = session.tracker, -1
        for counted in self.counted:
            rows = int(np.searchsorted(counted.where, size))
            if not rows:
                continue
            counted.commit(rows)
            if counted.where[rows - 1] > last:
                last, tracker.latest = int(counted.where[rows - 1]), counted.count
            if counted.steps is not None:
                tracker.length = float(counted.steps[rows - 1]) or tracker.length
        step, epoch = self.step[:size], self.epoch[:size]
        moved = _differs(step) | _differs(epoch)
        tracker.seen += int(moved.sum())
        tracker.move(Place(_known(step[0]), _known(epoch[0])), trained=trained)
        tracker.place = Place(_known(step[-1]), _known(epoch[-1]))


def places(session: Session, parts: list[Part], size: int) -> Places:
    """The positions of the lines of a window, whose parts these are."""
    tracker = session.tracker
    here = tracker.place
    fine = np.ones(size, np.bool_)
    own = np.full(size, np.nan)
    for part in parts:
        if (epoch := part.of(part.columns.epoch)) is not None:
            own[part.where] = epoch
            fine[part.where] &= (epoch != np.floor(epoch)) | (
                (epoch >= tracker.base) if tracker.base is not None else False
            )
    epoch = _filled(own, own == own, here.epoch)
    before = np.concatenate(([np.nan if here.epoch is None else here.epoch], epoch[:-1]))
    step, given = np.full(size, np.nan), np.zeros(size, np.bool_)
    groups: dict[tuple[bool, bool], list[Part]] = {}
    for part in parts:
        kind, where = part.columns.kind, part.where
        if kind.phase in SIDES:
            fine[where] &= tracker.trained or here != Place()
            continue
        if kind.epochs and kind.epoch:
            fine[where] &= _planned(session, part)
        if kind.step and kind.rank >= 2 and not (kind.epoch and kind.steps):
            step[where], given[where] = part.of(part.columns.step), True
        elif kind.step:
            groups.setdefault((kind.epoch, kind.steps), []).append(part)
    counted = [_counted(session, key, members, epoch, step, fine) for key, members in groups.items()]
    found = [group for group in counted if group is not None]
    for group in found:
        given[group.where] = True
    _lengths(session, parts, found, before, fine)
    lost = ~given & (own == own) & (own != before)
    return Places(_filled(step, given | lost, here.step), epoch, fine, found)


def _planned(session: Session, part: Part) -> Mask:
    """Which lines (k,) say nothing new about the planned epochs."""
    epoch, total = part.of(part.columns.epoch), part.of(part.columns.epochs)
    assert epoch is not None
    assert total is not None
    return np.asarray(
        ~((epoch <= total) & (total < 1e7)) | (total == session.said("planned-epochs")) | (total <= 0), np.bool_
    )


def _counted(
    session: Session, key: tuple[bool, bool], members: list[Part], epoch: FloatArray, step: FloatArray, fine: Mask
) -> Counted | None:
    """Write the steps of the lines that share a counter; None (and none is fine) where it has not begun."""
    tracker = session.tracker
    where, own, steps = _joined(members)
    count = tracker.count(own=key[0], total=key[1])
    if count is None:
        fine[where] = False
        return None
    known = epoch[where]
    none = np.zeros(len(where), np.bool_)
    group = Counted(count, where, own, known, steps, none, np.full(len(where), -1.0))
    step[where] = own
    if known[0] != known[0]:
        fine[where] &= known != known
        return group
    size: FloatArray | float = (tracker.length or count.length) if steps is None else steps
    _epochs(group, free=steps is not None or bool(tracker.length), fine=fine)
    if count.local is False:
        return group
    if steps is not None:
        fine[where] &= size > 0
    elif not (size and count.local):
        return group
    with np.errstate(over="ignore"):
        step[where] = (known - (tracker.base or 0.0)) * size + own
    return group


def _joined(members: list[Part]) -> tuple[IntArray, FloatArray, FloatArray | None]:
    """Where lines of several kinds stand, their counts and totals, in the order of the lines."""
    where = np.concatenate([part.where for part in members])
    order = np.argsort(where, kind="stable")
    own = [part.columns.step[part.rows] for part in members if part.columns.step is not None]
    steps = [part.columns.steps[part.rows] for part in members if part.columns.steps is not None]
    return where[order], np.concatenate(own)[order], np.concatenate(steps)[order] if steps else None


def _epochs(group: Counted, *, free: bool, fine: Mask) -> None:
    """Find where epochs begin, and which of these lines leave the counter's kind as it is.

    `free`: positions do not depend on the length that the counter itself has shown.
    """
    count, own = group.count, group.own
    before = np.concatenate(([np.inf if count.epoch is None else count.epoch], group.known[:-1]))
    group.rises = group.known > before
    rises = np.flatnonzero(group.rises)
    if not len(rises):
        return
    if count.local is None:
        fine[group.where[rises]] = False
        return
    former = np.concatenate(([count.step], own[:-1]))
    again = own < former
    if group.steps is not None:
        again |= (own == former) & (own == group.steps)
    if not count.local:
        fine[group.where[rises]] &= ~again[rises]
        return
    highest = np.maximum.reduceat(own, np.concatenate(([0], rises)))[:-1] if rises[0] else np.concatenate(
        ([-1.0], np.maximum.reduceat(own, rises)[:-1])
    )  # fmt: skip
    highest[0] = max(highest[0], count.highest)
    shown = highest + np.where(highest % 10 == 0, 0.0, 1.0)
    group.longer[rises] = np.where(again[rises], shown, -1.0)
    if not free:
        fine[group.where[rises]] &= group.longer[rises] <= count.length


def _lengths(session: Session, parts: list[Part], groups: list[Counted], before: FloatArray, fine: Mask) -> None:
    """Lines are fine whose totals tell nothing new: see `Session.lengths`."""
    tracker = session.tracker
    kinds = {group.count.local for group in groups}
    for part in parts:
        kind, where = part.columns.kind, part.where
        step, steps = part.of(part.columns.step), part.of(part.columns.steps)
        if step is None or steps is None or kind.phase in SIDES:
            continue
        if kind.rank >= 2 and not kind.epoch:
            local = tracker.local()
            fine[where] &= kinds <= {local}
        else:
            count = tracker.count(own=kind.epoch, total=True)
            local = None if count is None else count.local
            if len(groups) > 1:
                fine[where] &= (steps == tracker.length) | (steps == 0)
        fine[where] &= (step > steps + 1) | _told(session, part, steps, local, before[where])


def _told(session: Session, part: Part, steps: FloatArray, local: bool | None, before: FloatArray) -> Mask:
    """Which lengths (k,) `Session.lengths` would pass over, as they are known."""
    kind, pending = part.columns.kind, session.pending_length
    if local is None:
        held = steps == (np.nan if pending is None else pending)
        if kind.rank > 1 or kind.epoch:
            return np.asarray(held)
        said = session.said("planned-steps" if kind.rank == 1 else "epoch-length")
        return np.asarray(np.where(before != before, steps == said, held), np.bool_)
    known = session.said("epoch-length" if local else "planned-steps")
    return np.asarray(steps == known) if pending is None else np.zeros(len(steps), np.bool_)


def _filled(values: FloatArray, given: Mask, first: float | None) -> FloatArray:
    """The last given value at each place (n,), `first` before there is any."""
    last = np.maximum.accumulate(np.where(given, np.arange(len(values)), -1))
    return np.where(last >= 0, values[last], np.nan if first is None else first)


def _differs(values: FloatArray) -> Mask:
    """Where a value differs from the one before it (n - 1,), NaN being equal to NaN."""
    a, b = values[:-1], values[1:]
    return np.asarray((a != b) & ~((a != a) & (b != b)))


def _known(value: float) -> float | None:
    return None if value != value else float(value)
