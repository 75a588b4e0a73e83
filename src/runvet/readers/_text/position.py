"""Where a line is in training: epochs and steps within them become one count of steps over the whole run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple


class Place(NamedTuple):
    """A position; None where unknown."""

    step: float | None = None
    epoch: float | None = None


@dataclass(slots=True)
class Count:
    """One counter of steps, followed until it shows whether it starts anew in each epoch."""

    epoch: float | None = None
    step: float = -1.0
    highest: float = -1.0
    local: bool | None = None
    length: float = 0.0  # steps in an epoch, learned where the log does not say it
    rounds: int = 0
    offset: float = 0.0


class Tracker:
    """Follows the positions of one log, line by line."""

    def __init__(self) -> None:
        self.place = Place()
        self.seen = 0  # different positions since the process started
        self.base: float | None = None
        self._counts: dict[tuple[bool, bool], Count] = {}
        self.latest: Count | None = None  # the counter of the last line of training that had one
        self.length: float | None = None  # steps in an epoch, where some line says it
        self.trained = False  # a line of training with metrics has been seen

    def restart(self) -> None:
        """A new process begins: its counts are not compared with those before it."""
        self.place, self.seen, self.trained = Place(), 0, False
        for count in self._counts.values():
            count.epoch, count.step, count.highest = None, -1.0, -1.0

    def resolve(
        self, epoch: float | None, step: float | None, length: float | None, *, final: bool, side: str
    ) -> Place:
        """The place of a line that gives `epoch`, `step` and the steps in an epoch or run, each if it does.

        `final`: the step is a global one. `side`: '' in training, else the phase whose own counter this is.
        """
        epoch = epoch if epoch is not None and math.isfinite(epoch) else None
        step = step if step is not None and math.isfinite(step) else None
        if epoch is not None and epoch == int(epoch):
            self.base = min(self.base if self.base is not None else 1.0, epoch, 1.0)
        if side:
            return self._aside(epoch, step)
        own = epoch is not None
        known = epoch if epoch is not None else self.place.epoch
        if step is None:
            step = self.place.step if epoch == self.place.epoch else None
        elif not final:
            step = self._global(known, step, length, own=own)
        return Place(step, known)

    def _aside(self, epoch: float | None, step: float | None) -> Place:
        """Validation happens at the training's position, if that is known."""
        if self.trained or self.place.epoch is not None or self.place.step is not None:
            same = epoch is None or epoch == self.place.epoch
            return Place(self.place.step if same else None, epoch if epoch is not None else self.place.epoch)
        return Place(step, epoch)

    def _global(self, epoch: float | None, step: float, length: float | None, *, own: bool) -> float:
        count = self._counts.setdefault((own, length is not None), Count())
        self.latest = count
        self.length = length or self.length
        if epoch is None:
            count.step = step
            return step
        if count.epoch is not None and epoch > count.epoch:
            whole = length is not None and step == count.step == length
            if step < count.step or whole or (count.local is None and step == count.step):
                count.local = True
                count.length = max(count.length, count.highest + (0.0 if count.highest % 10 == 0 else 1.0))
            elif not count.local:
                count.local = False
            count.highest = -1.0
        count.epoch, count.step, count.highest = epoch, step, max(count.highest, step)
        if count.local is False:
            return step
        size = length or self.length or count.length
        return (
            (epoch - (self.base or 0.0)) * size + step
            if size and (count.local or length) and not self._beyond(step, length, count)
            else step
        )

    @staticmethod
    def _beyond(step: float, length: float | None, count: Count) -> bool:
        """Whether a count that has not shown its kind can't be one within epochs of this length."""
        return count.local is None and length is None and step > count.length > 0

    def count(self, *, own: bool, total: bool) -> Count | None:
        """The counter of lines that give an epoch of their own and a total, or not; None where there was no such line."""
        return self._counts.get((own, total))

    def local(self) -> bool | None:
        """Whether the training counter starts anew in each epoch; None where that has not shown yet."""
        return None if self.latest is None else self.latest.local

    def move(self, place: Place, *, trained: bool) -> None:
        """Lines without a position stand at this place from now on."""
        if place != self.place:
            self.seen += 1
        self.place = place
        self.trained = self.trained or trained
