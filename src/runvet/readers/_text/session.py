"""What all parts of the text reader share while one file is read: where training is, what was said, where processes begin."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from runvet.readers._text import config, words
from runvet.readers._text.atoms import Atom, number, seconds, whole
from runvet.readers._text.grammar import Plan, Slot
from runvet.readers._text.points import Points, Row
from runvet.readers._text.position import Place, Tracker
from runvet.readers._text.shapes import Shapes
from runvet.run import FloatArray, Plain
from runvet.sink import Sink

_NAMES = 4_000  # names that are remembered


class Session:
    """The state of reading one file."""

    def __init__(self, sink: Sink) -> None:
        self.sink, self.shapes = sink, Shapes()
        self.tracker, self.points = Tracker(), Points(sink)
        self.section = ""  # the phase that indented lines inherit
        self.former = ""  # the last line that gave points, to see repeats
        self.crashed = False
        self.banner = False  # the line looks like configuration
        self.on_seam: list[Callable[[], None]] = []  # who holds something back
        self._metrics: set[str] = set()  # names that say what they are: single values of them are points
        self._placed: set[str] = set()  # names of metrics on lines that say where they stand
        self._within: set[str] = set()  # names of metrics on lines that count batches
        self._said: dict[str, float] = {}
        self._held: dict[str, tuple[float | None, float]] = {}  # evaluations that lines of training repeat
        self._settings = 0
        self._length: tuple[float, int] | None = None

    def placed(self, plan: Plan, row: Row) -> None:
        """Take the values of a line that says where it stands."""
        if plan.phase not in {"val", "test"}:
            self.fresh(row)
        if plan.within:
            self._within.update(row.values if len(self._within) < _NAMES else ())
        elif not self._within.isdisjoint(row.values):  # the summary of an epoch, not one more point of the same curve
            row.values = {f"epoch/{n}" if n in self._within else n: v for n, v in row.values.items()}
        self._placed.update(row.values if len(self._placed) < _NAMES else ())
        if row.values and not (plan.best and not any("best" in n.lower() for n in row.values)):
            self.points.add(row)

    def fresh(self, row: Row) -> None:
        """Take out evaluations that every step of an epoch repeats (`val_loss=2.31` in a progress bar)."""
        for name in [n for n in row.values if is_evaluation(n)]:
            held = (row.place.epoch, row.values[name])
            if self._held.get(name) == held and held[0] is not None:
                del row.values[name]
            elif name in self._held or len(self._held) < _NAMES:
                self._held[name] = held

    def news(self, name: str, epoch: FloatArray, value: FloatArray) -> npt.NDArray[np.bool_]:
        """Which evaluations (n,) on lines of training, in their order, `fresh` would keep; remembers the last one."""
        former = self._held.get(name)
        if former is None and len(self._held) >= _NAMES:
            return np.ones(len(value), np.bool_)
        place, held = (None, math.nan) if former is None else former
        same = epoch == np.append(math.nan if place is None else place, epoch[:-1])
        same &= value == np.append(held, value[:-1])
        self._held[name] = (None if epoch[-1] != epoch[-1] else float(epoch[-1]), float(value[-1]))
        return np.asarray(~same, np.bool_)

    def renamed(self, plan_within: bool, names: tuple[str, ...]) -> dict[str, str] | None:
        """The names that metrics of lines with a position get now; None where such lines would change what is known."""
        if plan_within:
            return dict(zip(names, names, strict=True)) if self._within.issuperset(names) else None
        new = {n: f"epoch/{n}" if n in self._within else n for n in names}
        return new if self._placed.issuperset(new.values()) and len(set(new.values())) == len(names) else None

    def finish(self) -> None:
        """Write out what was held back until the end of the file."""
        for release in self.on_seam:
            release()
        self.points.flush(frozenset(self._metrics))
        if self._length is not None and "epoch-length" not in self._said and self.tracker.local() is None:
            self.say("epoch-length" if self.tracker.place.epoch is not None else "planned-steps", *self._length)
        if self.points.repeats:
            self.sink.problem(
                f"{self.points.repeats} values repeat those of another process or the line before, and count once"
            )

    def unplaced(self, plan: Plan, row: Row) -> None:
        """Take the values of a line that does not say where it stands."""
        established = self.tracker.seen >= 2 or (self.points.count > 0 and self.tracker.seen > 0)
        metrics = {s.name: s.metric for s in plan.slots}
        best = any("best" in n.lower() for n in row.values)
        several = len(row.values) > 1 and any(n not in self._placed for n in row.values)
        for name, value in row.values.items():
            if "best" in name.lower():
                continue
            if several and name in self._placed:
                name = f"val/{name}" if best else f"epoch/{name}"  # a summary, not one more point of the same curve
            metric = metrics.get(name, words.is_metric(name))
            if metric:
                self._metrics.add(name)
            self.points.maybe(name, value, row, metric=metric, established=established, banner=self.banner)

    def place(self, plan: Plan, nums: list[str], side: str, line: int) -> Place:
        """Where a line stands that gives a position. `side`: '' for training, else the phase."""
        epoch = number(nums[plan.epoch]) if plan.epoch >= 0 else None
        step = number(nums[plan.step]) if plan.step >= 0 else None
        length = number(nums[plan.steps]) if plan.steps >= 0 else None
        if epoch is not None and not math.isfinite(epoch):
            epoch = None
        if step is not None and not math.isfinite(step):
            step = None
        if plan.percent >= 0 and epoch is None and step is None:
            return Place(None, self._round("%", number(nums[plan.percent]), 100.0))
        final = plan.rank >= 2 and (epoch is None or length is None)
        if epoch is not None and plan.epochs >= 0 and not side and epoch <= (total := number(nums[plan.epochs])) < 1e7:
            self.say("planned-epochs", total, line)
        if not side:
            self.back(epoch, step, line)
        place = self.tracker.resolve(epoch, step, length, final=final, side=side)
        if length is not None and not side and step is not None and step <= length + 1:
            self.lengths(plan, length, line)
        return place

    def lengths(self, plan: Plan, length: float, line: int) -> None:
        """Tell how many steps an epoch or the run has, once it is clear which of the two the total is."""
        local = self.tracker.local()
        if local is None and plan.rank <= 1 and self.tracker.place.epoch is None and plan.epoch < 0:
            self.say("planned-steps" if plan.rank == 1 else "epoch-length", length, line)
        elif local is None:
            self._length = self._length if self._length and self._length[0] == length else (length, line)
        else:
            if self._length is not None and self._length[0] != length:
                self.say("epoch-length" if local else "planned-steps", *self._length)
            self._length = None
            self.say("epoch-length" if local else "planned-steps", length, line)

    def _round(self, key: str, done: float, total: float) -> float:
        """Epochs counted by a percentage that starts again."""
        former = self._said.get(f"last {key}", -1.0)
        if done < former:
            self._said[f"round {key}"] = self._said.get(f"round {key}", 0.0) + 1
        self._said[f"last {key}"] = done
        return self._said.get(f"round {key}", 0.0) + done / total

    def back(self, epoch: float | None, step: float | None, line: int) -> None:
        """A position that goes back after a crash belongs to a new process."""
        if not self.crashed:
            return
        here = self.tracker.place
        back = epoch is not None and here.epoch is not None and epoch < here.epoch
        again = (
            epoch == here.epoch and step is not None and here.step is not None and epoch is None and step < here.step
        )
        if back or again:
            self.seam(line, "the position goes back after a crash")

    def say(self, kind: str, value: float, line: int) -> None:
        """Tell a total (planned steps, epochs, steps in an epoch) where it is new or has changed."""
        if math.isfinite(value) and value > 0 and self._said.get(kind) != value:
            self._said[kind] = value
            self.sink.event(
                kind,
                f"{value:g}",
                line=line,
                value=value,
                step=self.tracker.place.step,
                epoch=self.tracker.place.epoch,
            )

    def said(self, kind: str) -> float:
        """The total of this kind that was told last; NaN before that."""
        return self._said.get(kind, math.nan)

    @property
    def pending_length(self) -> float | None:
        """A total that is the length of an epoch or of the run: which of them has not shown yet."""
        return None if self._length is None else self._length[0]

    def seam(self, line: int, why: str) -> None:
        """A new process begins at this line."""
        for release in self.on_seam:
            release()
        self.sink.seam(line, why)
        self.points.restart(frozenset(self._metrics))
        self.tracker.restart()
        self.crashed, self.former, self.section = False, "", ""
        self._said = {k: v for k, v in self._said.items() if " " not in k}

    def keep(self, items: list[tuple[str, Plain]], line: int) -> None:
        """Keep settings, up to a bound."""
        for key, value in items:
            if self._settings < config.SETTINGS:
                self._settings += 1
                self.sink.setting(key, value, line=line)


@lru_cache(maxsize=_NAMES)
def is_evaluation(name: str) -> bool:
    """Whether a name says that its value was measured on held-out data."""
    return words.phase(name) in {"val", "test"}


def values_of(plan: Plan, nums: list[str]) -> dict[str, float]:
    """The metrics of a line by name."""
    values: dict[str, float] = {}
    for slot in plan.slots:
        _value(slot, nums, values)
    return values


def _value(slot: Slot, nums: list[str], values: dict[str, float]) -> None:
    atom: Atom = slot.atom
    text = nums[atom.first]
    if atom.kind == "clock":
        value = seconds(nums[atom.first : atom.first + atom.count], atom.text)
        if value == value:
            values.setdefault(slot.name, value)
        return
    if slot.real and whole(text):
        return
    if atom.kind == "arrow":
        text = nums[atom.first + 1]
    value = number(text)
    values.setdefault(slot.name, value)
    if slot.second:
        other = nums[atom.first + 1]
        # `2.31 (+0.02)`: the change since the last time
        change = other[:1] == "+" or (other[:1] == "-" and value > 0)
        if not change:
            values.setdefault(slot.second, number(other))
